"""For the whole suite: Hypothesis profiles, the real peers, and fixtures that several directories use."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.agents import Agents
    from tests.netns import Namespaces

settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile(
    "ci",
    max_examples=100,  # each time the same ones; `make soak` draws new ones
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("soak", max_examples=20_000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip, loudly, what needs a program that is not here; leave `soak` to those who ask for it."""
    from tests.containers.engine import missing

    wants_soak = "soak" in (config.getoption("-m") or "")
    lacks_engine = any(item.get_closest_marker("docker") for item in items) and missing()
    for item in items:
        for program in ("serf", "haproxy"):
            if item.get_closest_marker(program) and not shutil.which(program):
                item.add_marker(
                    pytest.mark.skip(reason=f"{program} IS NOT INSTALLED: apt-get install {program}")
                )
        if lacks_engine and item.get_closest_marker("docker"):
            item.add_marker(pytest.mark.skip(reason=lacks_engine))
        if item.get_closest_marker("soak") and not wants_soak:
            item.add_marker(pytest.mark.skip(reason="long: run by `make soak`"))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Agents]:
    """Hand out agents, ours and Serf's."""
    from tests.agents import agents

    with agents(tmp_path) as started:
        yield started


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Namespaces]:
    """Hand out agents in network namespaces of their own."""
    from tests.netns import namespaces

    with namespaces(tmp_path) as made:
        yield made


@pytest.fixture
def scenario(tmp_path: Path) -> Callable[[str], str]:
    """Write a scenario for the simulator to a file, and return its path."""

    def write(text: str) -> str:
        path = tmp_path / "scenario.toml"
        path.write_text(text)
        return str(path)

    return write
