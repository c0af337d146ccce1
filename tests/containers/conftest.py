"""Images once per session; sites of containers per test or module."""

import hashlib
import itertools
import os
from collections.abc import Callable, Iterator

import pytest

from tests.containers.engine import ROOT, Images, Site, Standalone, wait_until
from tests.containers.site import is_served_by, names

_PREFIX = "gossip-test-" + hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]
_counter = itertools.count()


@pytest.fixture(scope="session")
def images() -> Images:
    """The images of this checkout; checkouts do not share names."""
    built = Images(_PREFIX)
    built.bootstrap()
    built.build("web")
    built.build("haproxy")
    return built


@pytest.fixture(scope="session")
def new_site(images: Images) -> Callable[..., Site]:
    """Return a site with a name of its own."""

    def make(*files: str) -> Site:
        name = f"{_PREFIX}-{os.getpid()}-{next(_counter)}"
        return Site(name, images, files or ("compose.yaml",))

    return make


@pytest.fixture(scope="session")
def shared_site(new_site: Callable[..., Site]) -> Iterator[Site]:
    """One HAProxy and two web containers for the whole session."""
    with new_site() as made:
        made.up(web=2)
        yield made


@pytest.fixture
def site(shared_site: Site) -> Site:
    """The shared site, with everything running that an earlier test stopped."""
    shared_site.start_stopped()
    wait_until(lambda: is_served_by(shared_site, names(shared_site)), "both web containers serve", 60)
    return shared_site


@pytest.fixture
def standalone(images: Images, new_site: Callable[..., Site]) -> Standalone:
    """A starter of single web containers."""
    return Standalone(new_site().name, f"{images.prefix}-web")
