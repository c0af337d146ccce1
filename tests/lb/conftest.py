"""What the tests of the load balancer share."""

from pathlib import Path

import pytest

from tests.real_haproxy import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Hand out a place for one HAProxy and its files."""
    return Site(tmp_path)
