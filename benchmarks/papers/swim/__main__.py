"""Run all experiments and print the tables.

python -m benchmarks.papers.swim --keep DIRECTORY       # interrupted, it goes on where it stopped
python -m benchmarks.papers.swim --seeds 10             # a look, one minute
"""

import sys
from collections.abc import Sequence

from benchmarks.papers.command import flags, measure, picture, understand
from benchmarks.papers.swim import crash, load, loss


def main(arguments: Sequence[str]) -> int:
    """Return 0 when the tables are printed; 2 if the flags make no sense."""
    parser = flags("swim", "SWIM's figures 2 to 4 on our core")
    parser.add_argument("--seeds", type=int, default=crash.SEEDS, help=f"runs of each kind [{crash.SEEDS}]")
    wanted = understand(parser, arguments)
    if wanted.seeds < 1:
        parser.error(f"--seeds must be at least 1, not {wanted.seeds}")
    crashes = crash.sort_out(measure("crash", crash.perform, crash.runs(wanted.seeds), crash.Found, wanted))
    losses = loss.by_rule(measure("loss", loss.perform, loss.runs(wanted.seeds), loss.Found, wanted))
    loads = load.by_size(measure("load", load.perform, load.runs(wanted.seeds), load.Found, wanted))
    print("Figure 2: messages per member and period\n\n" + load.table(loads))
    print("Figure 3a: periods from the crash\n\n" + crash.detection_table(crashes))
    print("Figures 3b and 3c: periods, medians\n\n" + crash.spread_table(crashes))
    print("Figure 4\n\n" + loss.table(losses))
    picture(wanted, [load.panel(loads), *crash.panels(crashes), loss.panel(losses)])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
