"""Measure that the pure parts are covered by their own tests, branch by branch (after websockets' maxi_cov).

Each area runs under coverage with its own test folder alone: lines that only somebody else's tests reach do
not count. Run as a script; exits 1 when an area has a gap.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]

AREAS = {
    "gossip/wire": ("tests/wire",),
    "gossip/swim": ("tests/swim",),
    "gossip/serf": ("tests/serf",),
    "lb/policy": ("tests/lb/policy",),
    "lb/render": ("tests/lb/render",),
}
"""What must be covered to the last branch, and by which tests."""

EXCLUDED_LINES = (
    "if TYPE_CHECKING:",  # names for annotations: never run
    r"^\s*\.\.\.$",  # bodies of protocol methods
    "assert_never",  # a branch that mypy proves to be dead
)
"""The only exclusions; none of them is a line that can run."""


def run(*command: str) -> int:
    """Run a command in the root of the project; return its exit code."""
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def is_covered(area: str, tests: tuple[str, ...], config: Path, data: Path) -> bool:
    """Run `tests` alone and report what they leave out of `area`."""
    coverage = (sys.executable, "-m", "coverage")
    options = (f"--rcfile={config}", f"--data-file={data}")
    failed = run(*coverage, "run", *options, f"--include={area}/*", "-m", "pytest", "-q", *tests)
    gaps = run(*coverage, "report", *options, "--fail-under=100", "--show-missing", "--skip-covered")
    return not failed and not gaps


def main() -> int:
    """Measure every area, report all gaps."""
    excluded = "\n    ".join(EXCLUDED_LINES)
    with TemporaryDirectory() as folder:
        config, data = Path(folder, "rc"), Path(folder, "data")
        config.write_text(f"[run]\nbranch = true\n[report]\nexclude_lines =\n    {excluded}\n")
        failed = [area for area, tests in AREAS.items() if not is_covered(area, tests, config, data)]
    print(f"own coverage: {', '.join(failed)} NOT covered" if failed else "own coverage: 100 % of every area")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
