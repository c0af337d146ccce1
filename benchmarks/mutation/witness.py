"""Those who may notice a bug: groups of tests, and the simulator's swarm."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.mutation.tree import Tree

TEST_LIMIT = 180.0
"""Seconds for one group of tests, which takes a tenth of that. What hangs has been noticed, too."""
SWARM_LIMIT = 900.0
"""Seconds for the swarm: seeds without agreement take long, because their second phase does."""

PYTEST = "import sys; import pytest; sys.exit(pytest.main(sys.argv[1:]))"
OPTIONS = (
    *("-q", "--tb=no", "--no-header", "-rfE", "-p", "no:cacheprovider", "--hypothesis-seed=0"),
    "--assert=plain",  # nobody reads why; and pytest's plugins are loaded already
)
_FAILED = re.compile(r"^(?:FAILED|ERROR) (tests/[^\s\[]+)", re.MULTILINE)

SWARM = """
import sys
from gossip.sim.swarm import swarm
from gossip.sim.trial import Trial
for seed in range(int(sys.argv[1]) + 1):
    failure = Trial(swarm(seed)).run().failure
    if failure is not None:
        print(f"seed {seed}: {failure.rule}")
        sys.exit(1)
"""


class Witness(Protocol):
    """Anybody who can be asked about the bug in a tree."""

    name: str

    def ask(self, tree: Tree, module: str, *, only_first: bool) -> tuple[str, ...]:
        """Return what caught the bug in `module`, `only_first` or all; nothing if it was not noticed."""


@dataclass(frozen=True)
class Tests:
    """Folders of tests that run together."""

    name: str
    folders: tuple[str, ...]

    def ask(self, tree: Tree, module: str, *, only_first: bool) -> tuple[str, ...]:
        """Return the tests that fail. If the first will do, those of the module itself are the likeliest."""
        if only_first:
            own = f"{self.folders[0]}/test_{Path(module).name}"
            if tree.has(own) and (failed := _run(tree, ("-x", own))):
                return failed
        return _run(tree, (*(("-x",) if only_first else ()), *self.folders))


@dataclass(frozen=True)
class Swarm:
    """The simulator's swarm over the seeds from 0 to `last`; it ends with the first broken rule."""

    name: str
    last: int

    def ask(self, tree: Tree, module: str, *, only_first: bool) -> tuple[str, ...]:
        """Return the first seed that breaks a rule, and which."""
        ended = tree.run(SWARM, (str(self.last),), SWARM_LIMIT)
        if ended.code is None:
            return (f"no end within {SWARM_LIMIT:g} s",)
        return (last_line(ended.output),) if ended.code else ()


def _run(tree: Tree, arguments: tuple[str, ...]) -> tuple[str, ...]:
    ended = tree.run(PYTEST, (*OPTIONS, *arguments), TEST_LIMIT)
    if ended.code is None:
        return (f"no end within {TEST_LIMIT:g} s",)
    return (failed_tests(ended.output) or (f"pytest's exit code {ended.code}",)) if ended.code else ()


def failed_tests(output: str) -> tuple[str, ...]:
    """Return the tests, or modules of tests, that pytest's summary says have failed, each once."""
    return tuple(dict.fromkeys(match[1] for match in _FAILED.finditer(output)))


def is_named(caught_by: str) -> bool:
    """Tell whether a test or a seed noticed the bug, and not only that something went wrong."""
    return caught_by.startswith(("tests/", "seed "))


def last_line(output: str) -> str:
    """Return the last line that says something."""
    return next((line for line in reversed(output.splitlines()) if line.strip()), "no output")
