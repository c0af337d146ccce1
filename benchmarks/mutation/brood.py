"""An interpreter that has imported whatever the tests import, except the project, and forks for each run.

Starting an interpreter and importing pytest, Hypothesis and Trio takes longer than most mutants live. `Brood`
stands in the process that asks; `serve` is what the interpreter runs, with the standard library alone.
"""

import contextlib
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

MEMORY_LIMIT = 3 << 30
"""Bytes of address space: a mutant may allocate for ever."""

PRELOADED = (
    "pytest",
    "_pytest.assertion.rewrite",
    "_pytest.python",
    "hypothesis",
    "hypothesis.stateful",
    "hypothesis.internal.conjecture.engine",
    "pytest_trio",
    "pytest_timeout",
    "trio.testing",
    "msgpack",
    "msgspec",
    "msgspec.toml",
    "click",
    "cryptography.hazmat.primitives.ciphers.aead",
)
"""What the tests import of others; a name that is gone only costs time."""


@dataclass(frozen=True)
class Ended:
    """A run that has ended, or was stopped at its time limit."""

    code: int | None  # None: stopped
    output: str


class Brood:
    """Runs code in children of an interpreter that stands ready in `folder`."""

    def __init__(self, python: str, folder: Path) -> None:
        # Byte code is told apart by the second and the length: too coarse for mutants. And the project that
        # the environment may know must come after the copy.
        environment = {
            **os.environ,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": str(folder),
        }
        self._server = subprocess.Popen(
            (python, "-c", Path(__file__).read_text(), "serve"),
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, code: str, arguments: tuple[str, ...], limit: float) -> Ended:
        """Run `code` with `arguments` in `sys.argv` for at most `limit` seconds."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps((code, arguments, limit)) + "\n")
        self._server.stdin.flush()
        answer = self._server.stdout.readline()
        if not answer:
            raise RuntimeError(f"cannot run {arguments}: the interpreter that forks has ended; see above why")
        return Ended(*json.loads(answer))

    def close(self) -> None:
        """End the interpreter."""
        self._server.communicate()


def serve() -> None:
    """Answer requests until there are no more."""
    for name in PRELOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    output = Path("brood.out").absolute()
    for line in sys.stdin:
        code, arguments, limit = json.loads(line)
        child = os.fork()
        if not child:
            _hatch(code, arguments, output)
        status = _wait(child, limit)
        print(json.dumps((status, output.read_text(errors="replace"))), flush=True)
        output.unlink()


def _hatch(code: str, arguments: list[str], output: Path) -> None:
    """Be the child: never return."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    file = os.open(output, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.argv = ["-c", *arguments]
    status = 70
    try:
        exec(code, {"__name__": "__main__"})
        status = 0
    except SystemExit as error:
        status = int(error.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def _wait(child: int, limit: float) -> int | None:
    """Return the child's exit code, None if it had to be stopped; whatever it started ends with it."""
    end = time.monotonic() + limit
    status = None
    while time.monotonic() < end:
        ended, raw = os.waitpid(child, os.WNOHANG)
        if ended:
            status = os.waitstatus_to_exitcode(raw)
            break
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if status is None:
        os.waitpid(child, 0)
    return status


if __name__ == "__main__" and sys.argv[1:] == ["serve"]:
    serve()
