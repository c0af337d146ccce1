"""Run all experiments and print the tables.

python -m benchmarks.papers.rapid --keep DIRECTORY       # interrupted, it goes on where it stopped
python -m benchmarks.papers.rapid --small --seeds 2      # a look: 51 members only, a minute
"""

import sys
from collections.abc import Sequence
from functools import partial

from benchmarks.papers.command import flags, measure, picture, understand
from benchmarks.papers.rapid import tables
from benchmarks.papers.rapid.experiment import Found, Run, perform

SEEDS = 3
SMALL_SEEDS = 6
LARGE, SERVICE = 1000, 51
BOOT_SIZES = (200, 500)


def plan(seeds: int, small_seeds: int, *, small: bool) -> list[Run]:
    """Return all runs, those first whose absence would hurt most."""
    runs = [
        Run(fault=fault, nodes=SERVICE, seed=seed)
        for seed in range(small_seeds)
        for fault in ("crash", "ingress", "loss", "loss-in", "loss-out")
    ]
    if small:
        return runs
    runs += [Run(fault="bootstrap", nodes=nodes, seed=seed) for nodes in BOOT_SIZES for seed in range(seeds)]
    large = partial(Run, nodes=LARGE)
    runs += [large(fault=fault, seed=0) for fault in ("crash", "ingress", "loss", "bootstrap")]
    runs += [large(fault="crash", seed=seed) for seed in range(1, seeds)]
    runs.append(large(fault="loss-out", seed=0))
    runs += [large(fault="ingress", seed=seed) for seed in range(1, seeds)]
    runs += [large(fault="ingress", seed=0, reconnect=True), large(fault="loss-in", seed=0)]
    runs += [large(fault="loss", seed=seed) for seed in range(1, seeds)]
    return runs


def main(arguments: Sequence[str]) -> int:
    """Return 0 when the tables are printed; 2 if the flags make no sense."""
    parser = flags("rapid", "Rapid's experiments with memberlist's rules, on our core")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"runs of each kind [{SEEDS}]")
    parser.add_argument("--small-seeds", type=int, default=SMALL_SEEDS, help=f"of 51 members [{SMALL_SEEDS}]")
    parser.add_argument("--small", action="store_true", help="only the runs with 51 members")
    wanted = understand(parser, arguments)
    runs = plan(wanted.seeds, wanted.small_seeds, small=wanted.small)
    results = tables.sort_out(measure("rapid", perform, runs, Found, wanted))
    print("What healthy members see\n\n" + tables.views_table(results))
    print("What the balancer does\n\n" + tables.balancer_table(results))
    print("Figure 8\n\n" + tables.crash_table(results))
    print("Figure 5 and Table 1\n\n" + tables.bootstrap_table(results))
    picture(wanted, tables.panels(results))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
