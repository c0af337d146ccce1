"""Put bugs into a copy of the core and list what notices them.

    python -m benchmarks.mutation deliberate                    # named bugs: all tests, and the swarm
    python -m benchmarks.mutation random --count 200 --seed 1   # random mutants of gossip.swim
    python -m benchmarks.mutation random --package lb/policy    # of another package

`random` needs Cosmic Ray in the environment that runs it; the tests run in the project's (--python).
"""

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.mutation.bugs import BUGS, BugGoneError
from benchmarks.mutation.equivalents import why_equivalent
from benchmarks.mutation.journal import Finding, Journal
from benchmarks.mutation.mutants import Mutant, draw
from benchmarks.mutation.table import deliberate_lines, random_lines
from benchmarks.mutation.tree import ROOT, Tree, commit_of
from benchmarks.mutation.witness import Swarm, Tests, Witness, is_named

OF_CORE = Tests("tests of the core", ("tests/swim", "tests/serf"))
OF_SIMULATOR = Tests("tests of the simulator", ("tests/sim",))
WHOLE_SWARM = Swarm("swarm, seeds 0 to 49", 49)
PROPERTIES = Tests("tests/properties", ("tests/properties",))
SHORT_SWARM = Swarm("swarm, seeds 0 to 19", 19)
WITNESSES: dict[str, tuple[Witness, ...]] = {
    "gossip/swim": (
        Tests("tests/swim", ("tests/swim",)),
        Tests("tests/serf", ("tests/serf",)),
        Tests("tests/sim", ("tests/sim",)),
        PROPERTIES,
        SHORT_SWARM,
    ),
    "gossip/serf": (
        Tests("tests/serf", ("tests/serf",)),
        Tests("tests/sim", ("tests/sim",)),
        PROPERTIES,
        SHORT_SWARM,
    ),
    "lb/policy": (Tests("tests/lb/policy", ("tests/lb/policy",)),),
}
"""For each package, who is asked about a random mutant, in turn, until one of them has noticed it."""


def deliberate(tree: Tree, journal: Journal) -> int:
    """Ask everybody about every deliberate bug; return 1 if one of them escapes all."""
    findings = []
    for bug in BUGS:
        finding = journal.get(tree.commit, bug.name)
        if finding is None:
            text = bug.put_into(tree.read(bug.module))
            began = time.monotonic()
            caught = {
                witness.name: ask(witness, tree, bug.module, text, only_first=False)
                for witness in (OF_CORE, OF_SIMULATOR, WHOLE_SWARM)
            }
            finding = Finding(tree.commit, bug.name, bug.right, bug.wrong, caught, _since(began))
            journal.add(finding)
            _tell(finding, len(findings) + 1, len(BUGS))
        findings.append(finding)
    names = (OF_CORE.name, OF_SIMULATOR.name)
    print("\n".join(deliberate_lines(findings, names, WHOLE_SWARM.name)))
    return 0 if all(finding.killer for finding in findings) else 1


def random(tree: Tree, journal: Journal, package: str, mutants: Sequence[Mutant]) -> int:
    """Ask one witness after the other about each mutant of `package`."""
    findings = []
    witnesses = WITNESSES[package]
    for mutant in mutants:
        name = str(mutant.candidate)
        finding = journal.get(tree.commit, name)
        if finding is None:
            caught: dict[str, tuple[str, ...]] = {}
            began = time.monotonic()
            module = mutant.candidate.module
            # Where nothing differs, there is nothing to search for at length.
            is_equivalent = why_equivalent(mutant.before, mutant.after) is not None
            for witness in witnesses[:2] if is_equivalent else witnesses:
                caught[witness.name] = ask(witness, tree, module, mutant.text, only_first=True)
                if caught[witness.name]:
                    break
            finding = Finding(tree.commit, name, mutant.before, mutant.after, caught, _since(began))
            journal.add(finding)
            _tell(finding, len(findings) + 1, len(mutants))
        findings.append(finding)
    print("\n".join(random_lines(findings)))
    return 0


def ask(witness: Witness, tree: Tree, module: str, text: str, *, only_first: bool) -> tuple[str, ...]:
    """Ask `witness` about `module` being `text`.

    Raises:
        SystemExit: it complains of something else, and without any bug, too.
    """
    with tree.changed(module, text):
        caught = witness.ask(tree, module, only_first=only_first)
    # A hang or a crash may be the bug's doing, or the machine's.
    if caught and not is_named(caught[0]) and (without := witness.ask(tree, module, only_first=True)):
        raise SystemExit(f"{witness.name} fails without any bug, so that it tells nothing: {without[0]}")
    return caught


def check_tree(tree: Tree, package: str) -> None:
    """Make sure that without a bug no witness complains, and that the copy is what is tested.

    Raises:
        SystemExit: otherwise, with the reason.
    """
    module = tree.modules(package)[-1]
    for witness in WITNESSES[package]:
        began = time.monotonic()
        caught = witness.ask(tree, module, only_first=True)
        if caught:
            raise SystemExit(f"{witness.name} fails without any bug, so that it tells nothing: {caught[0]}")
        print(f"without a bug {witness.name} holds ({_since(began):.1f} s)", file=sys.stderr)
        with tree.changed(module, "raise ImportError\n"):
            if not witness.ask(tree, module, only_first=True):
                raise SystemExit(f"{witness.name} does not test the copy: it holds without {module}")


def main(arguments: Sequence[str]) -> int:
    """Return 0 if it went well, 1 if a deliberate bug escaped, 2 if it cannot run at all."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.mutation", description=__doc__.splitlines()[0]
    )
    parser.add_argument("what", choices=("deliberate", "random"))
    parser.add_argument(
        "--package", choices=WITNESSES, default="gossip/swim", help="whose mutants [gossip/swim]"
    )
    parser.add_argument("--count", type=int, default=200, help="random mutants [200]")
    parser.add_argument("--seed", type=int, default=1, help="which ones [1]")
    parser.add_argument("--commit", default="HEAD", help="what to put bugs into [HEAD]")
    parser.add_argument("--python", default=str(ROOT / ".venv/bin/python"), help="interpreter for the tests")
    parser.add_argument("--journal", type=Path, help="keep findings in this file, and do not repeat them")
    parser.add_argument("--unchecked", action="store_true", help="do not run everything without a bug first")
    wanted = parser.parse_args(arguments)
    if wanted.count < 1:
        parser.error(f"--count must be at least 1, not {wanted.count}")
    try:
        with (
            TemporaryDirectory() as folder,
            closing(Tree(commit_of(wanted.commit), Path(folder), wanted.python)) as tree,
        ):
            return carry_out(tree, wanted)
    except ImportError as error:
        parser.error(f"{error}: `random` needs Cosmic Ray (pip install cosmic-ray)")
    except BugGoneError as error:
        parser.error(str(error))


def carry_out(tree: Tree, wanted: argparse.Namespace) -> int:
    """Do what is wanted; return the exit code.

    Raises:
        BugGoneError: a deliberate bug has lost its place.
        ImportError: there is no Cosmic Ray.
    """
    mutants: Sequence[Mutant] = ()
    if wanted.what == "random":
        mutants = draw(tree, wanted.package, wanted.count, wanted.seed)
    else:
        for bug in BUGS:  # before anything takes long
            bug.put_into(tree.read(bug.module))
    if not wanted.unchecked:
        check_tree(tree, wanted.package)
    print(f"commit {tree.commit}", file=sys.stderr)
    journal = Journal(wanted.journal)
    return random(tree, journal, wanted.package, mutants) if mutants else deliberate(tree, journal)


def _since(began: float) -> float:
    return round(time.monotonic() - began, 1)


def _tell(finding: Finding, number: int, of: int) -> None:
    by = "; ".join(f"{name}: {by[0]} ({len(by)})" for name, by in finding.caught.items() if by) or "NOBODY"
    print(f"{number}/{of} {finding.seconds:.1f}s {finding.name}: {by}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
