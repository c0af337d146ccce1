"""Settings for the whole test suite: Hypothesis profiles and the real peers."""

import os
import shutil

import pytest
from hypothesis import HealthCheck, settings

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
