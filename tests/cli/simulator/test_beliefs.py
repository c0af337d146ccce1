"""Beliefs and moods over time, and how they are drawn."""

from xml.etree import ElementTree

import pytest

from gossip.cli.simulator.beliefs import Belief, Beliefs, Mood
from gossip.cli.simulator.picture import picture
from gossip.cli.simulator.timeline import MOOD_KEYS, rows_of, timeline
from gossip.sim.scenario import read_scenario
from gossip.sim.trial import Trial

CRASH = """
nodes = 4
profile = "local"
start = "agreed"
duration = 40

[[acts]]
do = "crash"
node = "n1"
at = 5
"""
PARTITION = CRASH.replace('"crash"\nnode = "n1"', '"partition"\none = ["n1"]\nfor = 30')


def watched(text, about=""):
    beliefs = Beliefs(about)
    trial = Trial(read_scenario(text))
    trial.watch(lambda _: beliefs)
    outcome = trial.run()
    assert outcome.failure is None
    return beliefs, outcome.ended


def values(changes):
    return [value for _, value in changes]


def test_a_node_is_behind_until_it_notices_a_crash():
    beliefs, _ = watched(CRASH)
    assert values(beliefs.moods["n0"])[-2:] == [Mood.BEHIND, Mood.RIGHT]
    assert beliefs.moods["n0"][-2][0] == 5.0
    assert values(beliefs.moods["n1"])[-1] == Mood.DOWN


def test_what_is_believed_of_one_member_is_followed():
    beliefs, _ = watched(CRASH, about="n1")
    assert values(beliefs.about["n0"]) == [Belief.UNKNOWN, Belief.ALIVE, Belief.SUSPECT, Belief.FAILED]
    assert values(beliefs.about["n1"]) == [Belief.UNKNOWN, Belief.ALIVE, -1]


def test_a_partition_makes_both_sides_wrong_until_it_ends():
    beliefs, _ = watched(PARTITION)
    for name in ("n0", "n1"):
        assert Mood.WRONG in values(beliefs.moods[name])
        assert values(beliefs.moods[name])[-1] == Mood.RIGHT


def test_notes_tell_what_was_done():
    beliefs, _ = watched(CRASH)
    assert (5.0, "n1 crashes") in beliefs.notes


def test_a_cell_shows_the_worst_of_its_slice():
    changes = {"n0": [(0.0, 1), (2.0, 4), (2.1, 1), (9.0, 0)]}
    cells = timeline(changes, MOOD_KEYS, 10.0, 5)["n0"]
    assert "".join(cell.letter for cell in cells) == "·X·· "


def test_before_its_first_change_a_node_is_not_there():
    cells = timeline({"n0": [(5.0, 1)]}, MOOD_KEYS, 10.0, 4)["n0"]
    assert "".join(cell.letter for cell in cells) == "  ··"


def test_rows_stand_in_the_order_of_the_names():
    beliefs = Beliefs()
    beliefs.moods = {"n10": [], "n2": [], "n1": []}
    assert list(rows_of(beliefs, "")[0]) == ["n1", "n2", "n10"]


@pytest.mark.parametrize("about", ["", "n1"])
def test_the_picture_is_well_formed_and_has_a_row_per_node(about):
    beliefs, ended = watched(CRASH, about)
    changes, keys = rows_of(beliefs, about)
    svg = ElementTree.fromstring(picture("a <title> & more", changes, keys, beliefs.notes, ended))
    texts = [element.text for element in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert {"n0", "n1", "n2", "n3", "a <title> & more"} <= set(texts)
    widths = [float(e.get("width")) for e in svg.iter("{http://www.w3.org/2000/svg}rect")]
    assert min(widths) >= 0
