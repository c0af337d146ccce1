"""Other ways to put the agent beside a server: a sidecar, two balancers, images of one's own."""

import re
import time
import urllib.request
from collections.abc import Callable

import pytest

from tests.containers.engine import Images, Site, Standalone, docker, wait_until
from tests.containers.load import requests
from tests.containers.site import is_served_by, names

pytestmark = [pytest.mark.docker, pytest.mark.soak, pytest.mark.timeout(900)]

SIDECAR = "compose.sidecar.yaml"
TWO = ("compose.yaml", "compose.two-haproxy.yaml")


@pytest.fixture(scope="session")
def agent_image(images: Images) -> str:
    return images.build("agent")


def serves(site: Site, *services: str) -> bool:
    return is_served_by(site, {site.container(service).id for service in services})


def test_sidecar_leaves_with_its_server_and_follows_it_into_a_new_namespace(
    new_site: Callable[..., Site], agent_image: str
) -> None:
    with new_site(SIDECAR) as site:
        site.up()
        wait_until(lambda: serves(site, "web-1", "web-2"), "both web servers serve", 60)
        web, agent = site.container("web-1"), site.container("web-1-agent")
        docker("restart", "-t", "5", web.id)
        wait_until(lambda: "address lost" in agent.logs, "the sidecar notices", 30)
        wait_until(lambda: serves(site, "web-1", "web-2"), "both serve again", 60)
        assert agent.inspect()["RestartCount"] >= 1
        with requests(site.port(), 50.0) as tally:
            time.sleep(0.5)
            assert agent.stop() < 10
            assert web.stop() < 10
            wait_until(lambda: serves(site, "web-2"), "the other one serves")
        assert tally.failed == 0, tally.failures
        assert agent.exit_code == web.exit_code == 0


def digest(site: Site, service: str) -> str:
    text = site.container(service).execute("cat", "/run/haproxy/haproxy.cfg")
    found = re.search(r"^# backends (\S+)", text, re.MULTILINE)
    assert found
    return found[1]


def test_two_balancers_agree_after_every_change(new_site: Callable[..., Site]) -> None:
    with new_site(*TWO) as site:
        for count in (2, 4, 3):
            site.up(web=count)
            for service in ("haproxy", "haproxy-2"):
                port = site.port(service)
                wait_until(
                    lambda port=port: is_served_by(site, names(site), port), f"{service} has {count}", 60
                )
            wait_until(lambda: digest(site, "haproxy") == digest(site, "haproxy-2"), "the digests agree")
        leaver = site.containers("web")[0]
        with requests(site.port(), 50.0) as one, requests(site.port("haproxy-2"), 50.0) as other:
            time.sleep(1)
            leaver.stop()
            time.sleep(2)
        assert (one.failed, other.failed) == (0, 0), (one.failures, other.failures)
        wait_until(lambda: digest(site, "haproxy") == digest(site, "haproxy-2"), "the digests agree")


@pytest.mark.parametrize("example", ["python", "nginx"])
def test_example_of_an_image_of_ones_own_serves_and_leaves(
    new_site: Callable[..., Site], images: Images, agent_image: str, example: str
) -> None:
    docker("tag", agent_image, "gossip-agent")  # the name that the examples copy from
    image = images.build(
        "", tag=f"{images.prefix}-{example}", file=f"docs/howto/containers/{example}.Dockerfile"
    )
    with new_site() as site:
        site.up(web=0)
        balancer = site.container("haproxy")
        (network,) = balancer.inspect()["NetworkSettings"]["Networks"]
        key = ("-v", f"{images.key}:/key:ro", "-e", "GOSSIP_ENCRYPT_FILE=/key")
        options = ("--network", network, "--network-alias", "gossip", *key)
        with Standalone(site.name, image).start(options=options) as container:
            wait_until(lambda: balancer.members().get(container.id) == "alive", "it is a member")

            def greeting() -> str:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{site.port()}/", timeout=5) as answer:
                        return answer.read().decode()
                except OSError:
                    return ""

            wait_until(lambda: greeting() == f"hello from {example}\n", "it serves", 30)
            assert container.stop() < 10
            assert container.exit_code == 0
            assert balancer.members()[container.id] == "left"
