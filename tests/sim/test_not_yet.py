"""The list of what is not cured yet tells the truth: each scenario fails today, and only for its fault."""

import pytest
from msgspec.structs import replace

from gossip.cli.simulator.narration import report
from gossip.sim.not_yet import NOT_YET
from gossip.sim.scenario import read_scenario
from gossip.sim.trial import Trial


@pytest.mark.parametrize("entry", NOT_YET, ids=lambda entry: entry.fault)
def test_what_is_not_cured_yet_still_breaks(entry):
    outcome = Trial(entry.scenario).run()
    assert outcome.failure is not None, f"cured: move {entry.fault!r} from the list into the swarm"


@pytest.mark.parametrize("entry", NOT_YET, ids=lambda entry: entry.fault)
def test_without_its_fault_the_same_cluster_is_well(entry):
    calm = replace(entry.scenario, acts=(), settle=600.0)
    outcome = Trial(calm).run()
    assert outcome.failure is None, report(outcome)


@pytest.mark.parametrize("entry", NOT_YET, ids=lambda entry: entry.fault)
def test_every_entry_can_be_written_to_a_file(entry):
    assert read_scenario(entry.scenario.text()) == entry.scenario
