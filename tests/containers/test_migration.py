"""Long: web containers with real Serf are replaced one by one by ours, and back, while requests flow."""

import logging
import time

import pytest

from benchmarks.containers.contender import build
from tests.containers.engine import Images, Site, docker, wait_until
from tests.containers.load import requests
from tests.containers.site import is_served_by, names

pytestmark = [pytest.mark.docker, pytest.mark.soak, pytest.mark.timeout(1800)]

RATE = 100.0
log = logging.getLogger(__name__)


def replace_all(site: Site, image: str) -> None:
    """Replace each web container by one of `image`: first the new one serves, then the old one stops."""
    site.environment["WEB_IMAGE"] = image
    for old in site.containers("web"):
        count = len(names(site)) + 1
        site.compose("up", "-d", "--no-recreate", "--scale", f"web={count}")
        wait_until(
            lambda count=count: len(names(site)) == count and is_served_by(site, names(site)), "all serve", 90
        )
        old.stop()
        docker("rm", old.id)
    wait_until(lambda: is_served_by(site, names(site)), "only new ones serve", 60)


def test_from_serf_to_ours_and_back_fails_no_request(images: Images) -> None:
    ours, serf, _ = build(images)
    with ours.site(f"{images.prefix}-migration", images) as site:
        site.environment["WEB_IMAGE"] = serf.web
        site.up(web=3)
        wait_until(lambda: is_served_by(site, names(site)), "web containers with Serf serve", 90)
        with requests(site.port(), RATE) as tally:
            time.sleep(1)
            replace_all(site, ours.web)
            members = site.container("haproxy").members()
            assert [members[name] for name in names(site)] == ["alive"] * 3
            replace_all(site, serf.web)
            time.sleep(1)
        log.info("migration: sent=%d failed=%d %s", tally.sent, tally.failed, dict(tally.failures))
        assert tally.failed == 0, tally.failures
