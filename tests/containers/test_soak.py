"""Long: a steady load while containers come, leave, die, hang and move. Run by `make accept-containers`."""

import logging
import time
from collections.abc import Callable, Iterator

import pytest

from lb.demo.load import Tally
from tests.containers.engine import Images, Site, Standalone, docker, wait_until
from tests.containers.load import requests
from tests.containers.site import get, is_served_by, names

pytestmark = [pytest.mark.docker, pytest.mark.soak, pytest.mark.timeout(900)]

RATE = 200.0
log = logging.getLogger(__name__)


def settled(site: Site) -> bool:
    """Whether exactly the running containers serve, and all members agree that they are alive."""
    return is_served_by(site, names(site))


def scale(site: Site, count: int) -> float:
    """Change the number of web containers; return after how long exactly these serve."""
    began = time.monotonic()
    site.up(web=count)
    wait_until(lambda: len(names(site)) == count and settled(site), f"{count} web containers serve", 60)
    return time.monotonic() - began


def report(what: str, tally: Tally, **figures: object) -> None:
    shown = " ".join(
        f"{key}={value:.2f}" if isinstance(value, float) else f"{key}={value}"
        for key, value in figures.items()
    )
    log.info(
        "%s: sent=%d failed=%d %s slowest=%.2f %s",
        what,
        tally.sent,
        tally.failed,
        dict(tally.failures),
        tally.slowest,
        shown,
    )


@pytest.fixture
def busy_site(new_site: Callable[..., Site]) -> Iterator[Site]:
    with new_site() as site:
        site.up(web=2)
        wait_until(lambda: settled(site), "the site serves", 60)
        yield site


def test_scaling_up_and_down_fails_no_request(busy_site: Site) -> None:
    with requests(busy_site.port(), RATE) as tally:
        time.sleep(2)
        up = scale(busy_site, 10)
        time.sleep(2)
        down = scale(busy_site, 3)
        time.sleep(2)
    report("scale 2 -> 10 -> 3", tally, up=up, down=down)
    assert tally.failed == 0, tally.failures


def test_stop_of_five_at_once_fails_no_request(busy_site: Site) -> None:
    scale(busy_site, 8)
    victims = busy_site.containers("web")[:5]
    with requests(busy_site.port(), RATE) as tally:
        time.sleep(2)
        began = time.monotonic()
        docker("stop", *(victim.id for victim in victims))
        stopped = time.monotonic() - began
        wait_until(lambda: settled(busy_site), "the other three serve")
        time.sleep(2)
    report("docker stop of five", tally, stopped=stopped)
    assert [victim.exit_code for victim in victims] == [0] * 5
    members = busy_site.container("haproxy").members()
    assert {members[victim.id] for victim in victims} == {"left"}
    assert tally.failed == 0, tally.failures


def test_rolling_update_fails_no_request(busy_site: Site, images: Images) -> None:
    scale(busy_site, 3)
    image = f"{images.prefix}-web"
    old = busy_site.containers("web")
    docker("tag", image, f"{image}:before")
    try:
        images.build(
            "", "--build-arg", f"BASE={image}:before", tag=image, file="tests/containers/Dockerfile.update"
        )
        with requests(busy_site.port(), RATE) as tally:
            time.sleep(2)
            began = time.monotonic()
            for container in old:
                busy_site.compose(
                    "up", "-d", "--no-build", "--no-recreate", "--scale", f"web={len(names(busy_site)) + 1}"
                )
                wait_until(lambda: settled(busy_site), "the new container serves", 60)
                container.stop()
                docker("rm", container.id)
            took = time.monotonic() - began
            wait_until(lambda: settled(busy_site), "only new containers serve", 60)
            time.sleep(2)
        versions = {get(busy_site.port())["version"] for _ in range(20)}
    finally:
        docker("tag", f"{image}:before", image)
        docker("rmi", f"{image}:before")
    report("rolling update of three", tally, took=took)
    assert versions == {"2"}
    assert tally.failed == 0, tally.failures


def test_kill_of_two_fails_no_get(busy_site: Site) -> None:
    scale(busy_site, 5)
    victims = busy_site.containers("web")[:2]
    balancer = busy_site.container("haproxy")
    with requests(busy_site.port(), RATE) as tally:
        time.sleep(2)
        began = time.monotonic()
        docker("kill", "-s", "KILL", *(victim.id for victim in victims))
        wait_until(lambda: settled(busy_site), "the other three serve")
        right = time.monotonic() - began
        wait_until(lambda: [balancer.members()[v.id] for v in victims] == ["failed"] * 2, "both are failed")
        failed = time.monotonic() - began
        time.sleep(2)
    report("kill -9 of two", tally, right=right, seen_failed=failed)
    assert tally.failed == 0, tally.failures


def test_restarted_balancer_comes_back_by_itself(busy_site: Site) -> None:
    scale(busy_site, 3)
    balancer = busy_site.container("haproxy")
    before = balancer.members()
    port = busy_site.port()
    with requests(port, RATE) as tally:
        time.sleep(2)
        began = time.monotonic()
        docker("stop", balancer.id)
        stopped = time.monotonic()
        docker("start", balancer.id)
        started = time.monotonic()
    port = busy_site.port()
    wait_until(lambda: settled(busy_site), "the site is back", 60)
    back = time.monotonic()
    report("balancer restarted", tally, down=back - began, stop=stopped - began, cold_start=back - started)
    assert balancer.members() == before
    assert back - started < 15


def test_paused_container_is_failed_and_comes_back(busy_site: Site) -> None:
    scale(busy_site, 3)
    balancer, victim = busy_site.container("haproxy"), busy_site.containers("web")[0]
    with requests(busy_site.port(), RATE) as tally:
        time.sleep(2)
        docker("pause", victim.id)
        seen = wait_until(lambda: balancer.members()[victim.id] == "failed", "the paused one is failed")
        docker("unpause", victim.id)
        back = wait_until(lambda: balancer.members()[victim.id] == "alive", "it is back", 60)
        serves = wait_until(lambda: settled(busy_site), "all serve", 60)
        time.sleep(1)
    report("pause", tally, seen_failed=seen, back=back, serves=back + serves)


def test_disconnected_container_fails_and_heals(busy_site: Site) -> None:
    scale(busy_site, 3)
    balancer, victim = busy_site.container("haproxy"), busy_site.containers("web")[0]
    network = next(iter(victim.inspect()["NetworkSettings"]["Networks"]))
    with requests(busy_site.port(), RATE) as tally:
        time.sleep(2)
        docker("network", "disconnect", network, victim.id)
        seen = wait_until(lambda: balancer.members()[victim.id] == "failed", "the lost one is failed")
        docker("network", "connect", "--alias", "gossip", network, victim.id)
        back = wait_until(lambda: balancer.members()[victim.id] == "alive", "it is back", 60)
        serves = wait_until(lambda: settled(busy_site), "all serve", 60)
        time.sleep(1)
    report("network disconnect", tally, seen_failed=seen, back=back, serves=back + serves)
    assert back < 30


def test_container_that_returns_with_another_address_serves_again(busy_site: Site) -> None:
    scale(busy_site, 3)
    victim = busy_site.containers("web")[0]
    network, settings = next(iter(victim.inspect()["NetworkSettings"]["Networks"].items()))
    with requests(busy_site.port(), RATE) as tally:
        time.sleep(2)
        docker("network", "disconnect", network, victim.id)
        wait_until(lambda: "the agent lost its address" in victim.logs, "the agent notices")
        squatter = Standalone(busy_site.name, victim.inspect()["Config"]["Image"])
        with squatter.start("sleep", "60", options=("--network", network)):
            docker("network", "connect", "--alias", "gossip", network, victim.id)
            moved = next(iter(victim.inspect()["NetworkSettings"]["Networks"].values()))["IPAddress"]
            back = wait_until(lambda: is_served_by(busy_site, names(busy_site)), "all serve", 60)
        time.sleep(1)
    report("disconnected, back with another address", tally, back=back)
    assert moved != settings["IPAddress"]
    assert back < 30
