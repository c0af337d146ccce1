"""``python -m benchmarks.containers``: a table of all contenders, one after the other on one engine."""

import argparse
import time

from benchmarks.containers.contender import Contender, build
from benchmarks.containers.trial import Row, memory, right_after, rows
from tests.containers.engine import Images, docker
from tests.containers.site import names

PREFIX = "gossip-bench"
RATE = 200.0


def main() -> None:
    """Build, try out, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=RATE, help="requests per second [default: %(default)s]")
    rate = parser.parse_args().rate
    images = Images(PREFIX)
    contenders = build(images)
    print("| image | size |\n|---|---|")
    for image in (
        "python:3.11-slim-bookworm",
        *sorted({c.web for c in contenders} | {c.haproxy for c in contenders}),
    ):
        size = int(docker("image", "inspect", "-f", "{{.Size}}", image)) / 1e6
        print(f"| {image.removeprefix(PREFIX + '-')} | {size:.0f} MB |")
    print("\n| | | right after | failed | slowest | reloads |\n|---|---|---|---|---|---|")
    for contender in contenders:
        try_contender(contender, images, rate)


def try_contender(contender: Contender, images: Images, rate: float) -> None:
    """Print one row of the table after the other."""
    with contender.site(f"{PREFIX}-{contenders_name(contender)}", images) as site:
        began = time.monotonic()
        site.up(web=5)
        right_after(site, lambda: names(site))
        print(f"| {contender.name} | `up` with five | {time.monotonic() - began:.1f} s | | | |", flush=True)
        time.sleep(5)
        web, balancer = memory(site.containers("web")), memory(site.containers("haproxy"))
        print(f"| {contender.name} | memory: web, balancer | {web:.1f}, {balancer:.1f} MiB | | | |")
        site.up(web=2)
        right_after(site, lambda: names(site))
        for row in rows(site, rate):
            print(shown(contender, row), flush=True)


def contenders_name(contender: Contender) -> str:
    """Return a name that can be that of a project."""
    return "".join(letter for letter in contender.name.lower() if letter.isalnum())


def shown(contender: Contender, row: Row) -> str:
    """Return one row of the table."""
    right = "not in 90 s" if row.right is None else f"{row.right:.1f} s"
    failed = f"{row.failed} of {row.sent:,} | {row.slowest:.2f} s"
    return f"| {contender.name} | {row.what} | {right} | {failed} | {row.reloads} |"


if __name__ == "__main__":
    main()
