"""Images once per session; sites of containers per test or module."""

import hashlib
import itertools
import os
from collections.abc import Callable, Iterator

import pytest

from tests.containers.engine import ROOT, Images, Site

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


@pytest.fixture(scope="module")
def site(new_site: Callable[..., Site]) -> Iterator[Site]:
    """One HAProxy and two web containers, for all tests of a module."""
    with new_site() as made:
        made.up(web=2)
        yield made
