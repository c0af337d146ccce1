"""One row: do something to a site under load, and wait until exactly the right containers serve."""

import re
import time
from collections.abc import Callable

from msgspec import Struct

from tests.containers.engine import Container, Site, docker, wait_until
from tests.containers.load import requests
from tests.containers.site import is_served_by, names

SETTLE = 2.0
LIMIT = 90.0


class Row(Struct, frozen=True):
    """What was seen. Times in seconds; `right` is None where it was not right within the limit."""

    what: str
    right: float | None
    sent: int
    failed: int
    slowest: float
    reloads: int


def reloads(site: Site) -> int:
    """Return how often HAProxy has been reloaded, by its own log."""
    return site.container("haproxy").logs.count("Reloading HAProxy")


def right_after(site: Site, expected: Callable[[], set[str]]) -> float | None:
    """Wait until exactly `expected` serve."""
    try:
        return wait_until(lambda: is_served_by(site, expected()), "the right ones serve", LIMIT)
    except AssertionError:
        return None


def try_out(
    site: Site, what: str, rate: float, act: Callable[[], object], lost: Callable[[], set[str]] = set
) -> Row:
    """Put `rate` requests per second on the site, `act`, and wait; `lost` run but must not serve."""
    before = reloads(site)
    with requests(site.port(), rate) as tally:
        time.sleep(SETTLE)
        began = time.monotonic()
        act()
        acted = time.monotonic() - began
        waited = right_after(site, lambda: names(site) - lost())
        time.sleep(SETTLE)
    right = None if waited is None else acted + waited
    return Row(what, right, tally.sent, tally.failed, tally.slowest, reloads(site) - before)


def rows(site: Site, rate: float) -> list[Row]:
    """Go through all rows on a site that is up with two web containers."""

    def scale(count: int) -> Callable[[], object]:
        return lambda: site.up(web=count)

    def some(count: int) -> list[Container]:
        return site.containers("web")[:count]

    done = [try_out(site, "scale 2 → 10", rate, scale(10)), try_out(site, "scale 10 → 3", rate, scale(3))]
    site.up(web=8)
    right_after(site, lambda: names(site))
    done.append(try_out(site, "`docker stop` of one", rate, some(1)[0].stop))
    five = [container.id for container in some(5)]
    done.append(try_out(site, "`docker stop` of five", rate, lambda: docker("stop", *five)))
    site.start_stopped()
    right_after(site, lambda: names(site))
    two = [container.id for container in some(2)]
    done.append(try_out(site, "`kill -9` of two", rate, lambda: docker("kill", "-s", "KILL", *two)))
    site.start_stopped()
    right_after(site, lambda: names(site))
    (one,) = some(1)
    paused = {one.id}
    done.append(try_out(site, "pause of one", rate, lambda: docker("pause", one.id), lambda: paused))
    docker("unpause", one.id)
    right_after(site, lambda: names(site))
    (network,) = one.inspect()["NetworkSettings"]["Networks"]
    done.append(
        try_out(
            site,
            "network disconnect of one",
            rate,
            lambda: docker("network", "disconnect", network, one.id),
            lambda: paused,
        )
    )
    docker("network", "connect", "--alias", "gossip", "--alias", "web", network, one.id)
    right_after(site, lambda: names(site))
    balancer = site.container("haproxy")
    done.append(try_out(site, "restart of the balancer", rate, lambda: docker("restart", balancer.id)))
    return done


def memory(containers: list[Container]) -> float:
    """Return the mean memory per container in MiB, by the engine's count."""
    text = docker("stats", "--no-stream", "--format", "{{.MemUsage}}", *(one.id for one in containers))
    return sum(_mebibytes(line.split(" / ")[0]) for line in text.splitlines()) / len(containers)


def _mebibytes(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(\w+)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"KiB": 1 / 1024, "MiB": 1.0, "GiB": 1024.0}[unit]
