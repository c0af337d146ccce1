"""The state that one life of a member passes to the next."""

from random import Random

from gossip.serf.config import SerfConfig
from gossip.serf.lamport import LAST_TIME, LamportClock
from gossip.serf.node import LocalMember, SerfNode
from gossip.serf.queries import QueryRequest
from gossip.serf.saved_state import KnownPeer, SavedState
from gossip.wire.serf_messages import UserEvent
from tests.serf.rig import ME, PORT, Rig, home, host, query


class NextLife(Rig):
    """A rig whose node starts from the saved state of an earlier life."""

    def __init__(self, saved):
        super().__init__()
        me = LocalMember(ME, host(ME), PORT)
        self.node = SerfNode(SerfConfig(), me, rng=Random(2), now=self.now, saved=saved)


def test_a_first_start_has_nothing_to_remember():
    assert Rig().node.saved_state() == SavedState()


def test_members_that_have_left_are_not_saved_and_failed_ones_are():
    rig = Rig(members=["n1", "n2", "n3"])
    rig.fail("n1")
    rig.leave("n2")
    saved = rig.node.saved_state()
    assert saved.peers == (KnownPeer("n3", home("n3")),)
    assert saved.failed == (KnownPeer("n1", home("n1")),)


def test_a_member_that_was_not_heard_in_this_life_is_saved_for_the_next():
    first = SavedState(peers=(KnownPeer("n1", home("n1")),), failed=(KnownPeer("n2", home("n2")),))
    assert NextLife(first).node.saved_state() == SavedState(failed=first.peers + first.failed)


def test_the_clocks_of_the_next_life_go_on_where_the_last_one_ended():
    rig = Rig(members=["n1"])
    rig.say(UserEvent(40, "deploy", b""), query(60))
    rig.leave("n1", ltime=20)
    saved = rig.node.saved_state()
    assert (saved.member_time, saved.event_time, saved.query_time) == (20, 40, 60)
    assert NextLife(saved).node.saved_state() == saved


def test_an_event_of_the_last_life_is_not_delivered_in_the_next():
    saved = SavedState(event_time=40)
    rig = NextLife(saved)
    rig.say(UserEvent(40, "old", b""), UserEvent(41, "new", b""))
    assert rig.events() == ["new"]


def test_a_query_of_the_last_life_is_not_answered_in_the_next():
    rig = NextLife(SavedState(query_time=60))
    rig.say(query(60), query(61, number=2))
    assert [type(e).__name__ for e in rig.effects()].count("QueryReceived") == 1


def test_an_own_query_after_a_restart_is_news_to_this_node():
    rig = NextLife(SavedState(query_time=60))
    rig.node.query(QueryRequest(name="uptime"), rig.now)
    assert [type(e).__name__ for e in rig.effects()].count("QueryReceived") == 1


def test_a_clock_that_was_saved_at_its_end_stays_there():
    assert LamportClock(LAST_TIME + 1).time == LamportClock(LAST_TIME).time == LAST_TIME
