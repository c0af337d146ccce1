"""The site of compose.yaml on the real engine: it serves, a container leaves, another one dies."""

import threading
import time

import pytest

from tests.containers.engine import EngineError, Site, wait_until
from tests.containers.load import requests
from tests.containers.site import get, is_served_by, names

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

RATE = 50.0


def test_requests_reach_every_web_container(site: Site) -> None:
    assert len(names(site)) == 2
    assert is_served_by(site, names(site))


def test_first_processes_run_without_root_capabilities_and_a_writable_root(site: Site) -> None:
    for container in (site.container("haproxy"), *site.containers("web")):
        status = container.execute("cat", "/proc/1/status")
        assert "CapEff:\t0000000000000000" in status
        assert "NoNewPrivs:\t1" in status
        assert "Uid:\t1000\t1000\t1000\t1000" in status
        assert container.inspect()["HostConfig"]["ReadonlyRootfs"]


def test_other_containers_do_not_reach_the_status_page(site: Site) -> None:
    web = site.containers("web")[0]
    web.execute("bash", "-c", ": </dev/tcp/haproxy/8080")
    with pytest.raises(EngineError, match="Connection refused"):
        web.execute("bash", "-c", ": </dev/tcp/haproxy/8404")
    page = "exec 3<>/dev/tcp/127.0.0.1/8404; printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3; head -c 12 <&3"
    assert site.container("haproxy").execute("bash", "-c", page) == "HTTP/1.1 200"


def test_containers_are_healthy(site: Site) -> None:
    everything = [site.container("haproxy"), *site.containers("web")]
    wait_until(lambda: {one.health for one in everything} == {"healthy"}, "all are healthy")


def test_stopped_container_leaves_and_no_request_fails(site: Site) -> None:
    balancer, (leaver, *_) = site.container("haproxy"), site.containers("web")
    with requests(site.port(), RATE) as tally:
        time.sleep(0.5)
        assert leaver.stop() < 10
        assert balancer.members()[leaver.id] == "left"
        time.sleep(0.5)
    assert leaver.exit_code == 0
    assert tally.failed == 0, tally.failures
    steps = ("the agent leaves", "leaving gracefully", "member left", "the application finishes", '"stopped"')
    found = [leaver.logs.find(step) for step in steps]
    assert -1 not in found
    assert found == sorted(found)


def test_killed_container_fails_and_no_get_fails(site: Site) -> None:
    balancer, (victim, *_) = site.container("haproxy"), site.containers("web")
    with requests(site.port(), RATE) as tally:
        time.sleep(0.5)
        victim.kill()
        wait_until(lambda: balancer.members()[victim.id] == "failed", "the killed container is failed")
    assert victim.exit_code == 137
    assert tally.failed == 0, tally.failures


def test_stopped_balancer_answers_what_is_in_flight_and_exits_with_zero(site: Site) -> None:
    balancer = site.container("haproxy")
    port = site.port()
    answers: list[dict[str, object]] = []
    asker = threading.Thread(target=lambda: answers.append(get(port, "/?delay=2")))
    asker.start()
    time.sleep(0.5)
    assert balancer.stop() < 10
    asker.join(10)
    assert balancer.exit_code == 0
    assert len(answers) == 1
