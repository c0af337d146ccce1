"""Every bug that the simulator found leaves its scenario here, with the seed that showed it."""

from pathlib import Path

import pytest

from gossip.cli.simulator.narration import report
from gossip.sim.scenario import read_scenario
from gossip.sim.trial import Trial

SCENARIOS = sorted((Path(__file__).parent / "scenarios").glob("*.toml"))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_what_once_failed_still_holds(path):
    outcome = Trial(read_scenario(path.read_text(), path.name)).run()
    assert outcome.failure is None, report(outcome)


def test_there_are_scenarios():
    assert SCENARIOS
