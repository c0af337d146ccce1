"""What the first process of a container does when one of its two services dies, or should stop."""

import re
import time

import pytest

from tests.containers.engine import Container, Site, Standalone, wait_until
from tests.containers.load import requests
from tests.containers.site import is_served_by, names

NO_PORT = ("-e", "GOSSIP_TAGS=", "-e", "PORT=")
"""Such an application is ready as soon as it runs."""

SUSPICION = 3.0
"""Members of a lan cluster suspect for four seconds; the killed agent has to be heard before."""

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]


def pid(container: Container, service: str) -> str:
    return container.execute("s6-svstat", "-o", "pid", f"/run/service/{service}")


def kill(container: Container, service: str) -> None:
    container.execute("sh", "-c", f"kill -9 $(s6-svstat -o pid /run/service/{service})")


def is_ready(container: Container, service: str) -> bool:
    return container.execute("s6-svstat", "-o", "up,ready", f"/run/service/{service}") == "true true"


def zombies(container: Container) -> int:
    return container.execute("sh", "-c", "cat /proc/[0-9]*/stat").count(") Z ")


def test_killed_agent_is_back_before_a_member_sees_it_failed(site: Site) -> None:
    balancer, (web, other) = site.container("haproxy"), site.containers("web")
    before = pid(web, "agent")
    marks = {witness: len(witness.logs) for witness in (balancer, other)}
    kill(web, "agent")
    seconds = wait_until(lambda: is_ready(web, "agent") and pid(web, "agent") != before, "the agent is back")
    wait_until(lambda: set(web.members().values()) == {"alive"} and len(web.members()) == 3, "it has joined")
    time.sleep(7)  # longer than the suspicion of a lan profile lasts among three
    for witness, mark in marks.items():
        assert witness.members()[web.id] == "alive"
        # On a machine that is busy with other things it may take longer than members wait.
        assert "member failed" not in witness.logs_after(mark) or seconds > SUSPICION
    assert zombies(web) == 0


def test_killed_application_is_kept_out_until_it_serves_again(site: Site) -> None:
    web = site.containers("web")[0]
    before = pid(web, "app")
    with requests(site.port(), 50.0) as tally:
        kill(web, "app")
        wait_until(lambda: is_ready(web, "app") and pid(web, "app") != before, "the application is back")
        wait_until(lambda: is_served_by(site, names(site)), "both serve again")
    assert tally.failed == 0, tally.failures
    assert "the application exited: restarting it" in web.logs


def test_killed_haproxy_comes_back_with_its_servers(site: Site) -> None:
    balancer = site.container("haproxy")
    before = pid(balancer, "app")
    kill(balancer, "app")
    wait_until(lambda: pid(balancer, "app") not in (before, "-1"), "haproxy is started again")
    wait_until(lambda: is_served_by(site, names(site)), "both web containers serve")
    assert zombies(balancer) == 0


def test_killed_balancer_agent_leaves_haproxy_alone(site: Site) -> None:
    balancer = site.container("haproxy")
    haproxy, agent = pid(balancer, "app"), pid(balancer, "agent")
    with requests(site.port(), 50.0) as tally:
        kill(balancer, "agent")
        wait_until(lambda: is_ready(balancer, "agent") and pid(balancer, "agent") != agent, "it is back")
        wait_until(lambda: set(balancer.members().values()) == {"alive"}, "it has joined")
    assert pid(balancer, "app") == haproxy
    assert tally.failed == 0, tally.failures


def test_application_that_keeps_dying_ends_the_container_with_its_exit_code(standalone: Standalone) -> None:
    with standalone.start("sh", "-c", "exit 7") as container:
        wait_until(lambda: not container.is_running, "the container ends", 60)
        assert container.exit_code == 7
        assert container.logs.count("the application exited: restarting it") == 5
        assert "the application exited six times in a minute: stopping the container" in container.logs


def test_application_that_ignores_sigterm_is_killed_within_the_grace_time(standalone: Standalone) -> None:
    with standalone.start(
        "sh", "-c", "trap '' TERM; while :; do sleep 1; done", options=NO_PORT
    ) as container:
        wait_until(lambda: is_ready(container, "agent"), "the agent is ready", 60)
        container.stop(grace=60)
        assert container.exit_code == 137
        assert "stopped" in container.logs


def test_arguments_reach_the_application_as_they_are(standalone: Standalone) -> None:
    script = "printf '<%s>' \"$@\"; echo; exec sleep 60"
    with standalone.start("sh", "-c", script, "-", "it's", 'a "b"  c', "$HOME", "") as container:
        wait_until(lambda: "<" in container.logs, "the application runs")
        assert """<it's><a "b"  c><$HOME><>""" in container.logs


def test_agent_that_was_told_to_leave_stays_away_while_the_application_serves(standalone: Standalone) -> None:
    with standalone.start() as container:
        wait_until(lambda: is_ready(container, "agent"), "the agent is ready")
        container.execute("gossip", "leave")
        wait_until(lambda: "is not restarted" in container.logs, "the agent has left")
        assert is_ready(container, "app")
        assert container.stop() < 10
        assert container.exit_code == 0


def test_log_lines_of_a_stop_carry_times(standalone: Standalone) -> None:
    with standalone.start() as container:
        wait_until(lambda: is_ready(container, "agent"), "the agent is ready")
        container.stop()
        assert re.search(
            r"^ts=\d{4}-\d\d-\d\dT\S+Z level=info logger=init msg=\"stopped\" exit_code=0$",
            container.logs,
            re.MULTILINE,
        )
