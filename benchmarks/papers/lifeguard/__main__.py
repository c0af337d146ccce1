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

TABLES = {
    "Table IV: false positives": tables.false_positive_table,
    "False positives of one run by the number of anomalous members": tables.by_anomalous_table,
    "FP / FP- by the length of anomalies": tables.by_anomaly_table,
    "FP / FP- by the length of pauses": tables.by_pause_table,
    "Table V: latency": tables.latency_table,
    "Table VI: load": tables.load_table,
    "Table VII: alpha and beta": tables.tuning_table,
    "Order of the configurations": tables.order_table,
}


def main(arguments: Sequence[str]) -> int:
    """Return 0 when the tables are printed; 2 if the flags make no sense."""
    parser = flags("lifeguard", "Lifeguard's tables IV to VII on our core")
    parser.add_argument("--full", action="store_true", help="the paper's whole grid: a week of one core")
    wanted = understand(parser, arguments)
    runs = whole() if wanted.full else sampled()
    results = measure("lifeguard", perform, runs, Found, wanted)
    if not tables.main_cells(results):
        parser.error("no cell of the interval experiment is complete yet: nothing to compare")
    for title, table in TABLES.items():
        print(f"{title}\n\n{table(results)}")
    picture(wanted, pictures.panels(results))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
