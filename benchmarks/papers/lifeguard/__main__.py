"""Run the sampled grid, or all of it, and print the tables.

python -m benchmarks.papers.lifeguard --keep DIRECTORY    # interrupted, it goes on where it stopped
python -m benchmarks.papers.lifeguard --full --jobs 16
"""

import sys
from collections.abc import Sequence

from benchmarks.papers.command import flags, measure, picture, understand
from benchmarks.papers.lifeguard import pictures, tables
from benchmarks.papers.lifeguard.experiment import Found, perform
from benchmarks.papers.lifeguard.grid import sampled, whole


def main(arguments: Sequence[str]) -> int:
    """Return 0 when the tables are printed; 2 if the flags make no sense."""
    parser = flags("lifeguard", "Lifeguard's tables IV to VII on our core")
    parser.add_argument("--full", action="store_true", help="the paper's whole grid: a week of one core")
    wanted = understand(parser, arguments)
    runs = whole() if wanted.full else sampled()
    results = measure("lifeguard", perform, runs, Found, wanted)
    print("Table IV: false positives\n\n" + tables.false_positive_table(results))
    print(
        "False positives per run by the number of anomalous members\n\n" + tables.by_anomalous_table(results)
    )
    print("Anomalies shorter than 10 s: false positives\n\n" + tables.short_table(results))
    print("Table V: latency\n\n" + tables.latency_table(results))
    print("Table VI: load\n\n" + tables.load_table(results))
    print("Table VII: alpha and beta\n\n" + tables.tuning_table(results))
    print("Order of the configurations\n\n" + tables.order_table(results))
    picture(wanted, pictures.panels(results))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
