"""A copy of one commit, in which modules are changed and tests run; the repository is never touched."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.mutation.brood import Brood, Ended

ROOT = Path(__file__).resolve().parents[2]


def commit_of(revision: str) -> str:
    """Return the abbreviated hash of `revision`."""
    return _git("rev-parse", "--short", f"{revision}^{{commit}}").decode().strip()


class Tree:
    """The files of `commit` in `folder`, and the interpreter that runs them."""

    def __init__(self, commit: str, folder: Path, python: str) -> None:
        self.commit = commit
        self._folder = folder
        subprocess.run(("tar", "-x", "-C", str(folder)), input=_git("archive", commit), check=True)
        self._brood = Brood(python, folder)

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

    def run(self, code: str, arguments: tuple[str, ...], limit: float) -> Ended:
        """Run `code` in the copy with `arguments` in `sys.argv`, for at most `limit` seconds."""
        # What Hypothesis found in one mutant must not help with the next.
        shutil.rmtree(self._folder / ".hypothesis", ignore_errors=True)
        return self._brood.run(code, arguments, limit)

    def has(self, path: str) -> bool:
        """Tell whether there is such a file."""
        return (self._folder / path).exists()

    def close(self) -> None:
        """Stop the interpreter."""
        self._brood.close()


def _git(*arguments: str) -> bytes:
    return subprocess.run(("git", "-C", str(ROOT), *arguments), check=True, stdout=subprocess.PIPE).stdout
