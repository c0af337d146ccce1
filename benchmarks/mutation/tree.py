"""A copy of one commit, in which modules are changed and tests run; the repository is never touched."""

import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

MEMORY_LIMIT = 3 << 30
"""Bytes of address space: a mutant may allocate for ever."""


@dataclass(frozen=True)
class Ended:
    """A command that has ended, or was stopped at its time limit."""

    code: int | None  # None: stopped
    output: str


def commit_of(revision: str) -> str:
    """Return the abbreviated hash of `revision`."""
    return _git("rev-parse", "--short", f"{revision}^{{commit}}").decode().strip()


class Tree:
    """The files of `commit` in `folder`, and the interpreter that runs them."""

    def __init__(self, commit: str, folder: Path, python: str) -> None:
        self.commit = commit
        self._folder = folder
        self._python = python
        subprocess.run(("tar", "-x", "-C", str(folder)), input=_git("archive", commit), check=True)

    def read(self, module: str) -> str:
        """Return the text of `module`, a path from the root."""
        return (self._folder / module).read_text()

    def modules(self, package: str) -> list[str]:
        """Return the paths of all modules right in `package`, in order."""
        return sorted(str(path.relative_to(self._folder)) for path in (self._folder / package).glob("*.py"))

    @contextmanager
    def changed(self, module: str, text: str) -> Iterator[None]:
        """Let `module` be `text` for a while."""
        path = self._folder / module
        before = path.read_text()
        path.write_text(text)
        try:
            yield
        finally:
            path.write_text(before)

    def start(self, arguments: Sequence[str]) -> subprocess.Popen[str]:
        """Start the interpreter in the copy, in a process group of its own; end it with `stop`."""
        # What Hypothesis found in one mutant must not help with the next.
        shutil.rmtree(self._folder / ".hypothesis", ignore_errors=True)
        # Byte code is told apart by the second and the length: too coarse for mutants.
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
        environment["PYTHONPATH"] = str(self._folder)  # before the project that the environment may know
        return subprocess.Popen(
            [self._python, *arguments],
            cwd=self._folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=_limit_memory,
        )

    def run(self, arguments: Sequence[str], limit: float) -> Ended:
        """Run the interpreter with `arguments` for at most `limit` seconds."""
        process = self.start(arguments)
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            return Ended(None, stop(process))
        finally:
            stop(process)
        return Ended(process.returncode, output)


def stop(process: subprocess.Popen[str]) -> str:
    """Kill `process` with all that it started; return what it had still to say."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return ""
    output, _ = process.communicate()
    return output


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))


def _git(*arguments: str) -> bytes:
    return subprocess.run(("git", "-C", str(ROOT), *arguments), check=True, stdout=subprocess.PIPE).stdout
