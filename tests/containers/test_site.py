"""The site of compose.yaml on the real engine: it serves, a container leaves, another one dies."""

import json
import threading
import time
import urllib.request

import pytest

from tests.containers.engine import Site, wait_until
from tests.containers.load import requests

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

RATE = 50.0


def get(port: int, path: str = "/") -> dict[str, object]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return json.loads(answer.read())


def serving(port: int) -> set[str]:
    """Return which containers answer a few requests; none is retried, none may fail."""
    return {str(get(port)["host"]) for _ in range(20)}


def is_served_by(site: Site, expected: set[str]) -> bool:
    try:
        return serving(site.port()) == expected
    except OSError:
        return False


def names(site: Site) -> set[str]:
    return {container.id for container in site.containers("web")}


def test_requests_reach_every_web_container(site: Site) -> None:
    assert len(names(site)) == 2
    wait_until(lambda: is_served_by(site, names(site)), "both web containers serve")


def test_first_processes_run_without_root_capabilities_and_a_writable_root(site: Site) -> None:
    for container in (site.container("haproxy"), *site.containers("web")):
        status = container.execute("cat", "/proc/1/status")
        assert "CapEff:\t0000000000000000" in status
        assert "NoNewPrivs:\t1" in status
        assert "Uid:\t1000\t1000\t1000\t1000" in status
        assert container.inspect()["HostConfig"]["ReadonlyRootfs"]


def test_containers_are_healthy(site: Site) -> None:
    everything = [site.container("haproxy"), *site.containers("web")]
    wait_until(lambda: {one.health for one in everything} == {"healthy"}, "all are healthy")


def test_stopped_container_leaves_and_no_request_fails(site: Site) -> None:
    balancer, (leaver, *_) = site.container("haproxy"), site.containers("web")
    wait_until(lambda: is_served_by(site, names(site)), "all web containers serve")
    with requests(site.port(), RATE) as tally:
        time.sleep(0.5)
        assert leaver.stop() < 10
        assert balancer.members()[leaver.id] == "left"
        time.sleep(0.5)
    assert leaver.exit_code == 0
    assert tally.failed == 0, tally.failures
    steps = ("the agent leaves", "leaving gracefully", "member left", "the application ends", '"stopped"')
    found = [leaver.logs.find(step) for step in steps]
    assert -1 not in found
    assert found == sorted(found)


def test_killed_container_fails_and_no_get_fails(site: Site) -> None:
    site.up(web=2)
    wait_until(lambda: len(names(site)) == 2 and is_served_by(site, names(site)), "two web containers serve")
    balancer, (victim, *_) = site.container("haproxy"), site.containers("web")
    with requests(site.port(), RATE) as tally:
        time.sleep(0.5)
        victim.kill()
        wait_until(lambda: balancer.members()[victim.id] == "failed", "the killed container is failed")
    assert victim.exit_code == 137
    assert tally.failed == 0, tally.failures


def test_stopped_balancer_answers_what_is_in_flight_and_exits_with_zero(site: Site) -> None:
    balancer = site.container("haproxy")
    wait_until(lambda: is_served_by(site, names(site)), "the web containers serve")
    port = site.port()
    answers: list[dict[str, object]] = []
    asker = threading.Thread(target=lambda: answers.append(get(port, "/?delay=2")))
    asker.start()
    time.sleep(0.5)
    assert balancer.stop() < 10
    asker.join(10)
    assert balancer.exit_code == 0
    assert len(answers) == 1
