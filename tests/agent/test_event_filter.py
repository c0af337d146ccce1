import pytest

from gossip.agent.event_filter import EventFilter


def test_nothing_and_a_star_admit_everything():
    for text in ("", "*"):
        wanted = EventFilter.parse(text)
        assert wanted.admits("member-join")
        assert wanted.admits("user", "deploy")


def test_a_list_admits_what_it_lists():
    wanted = EventFilter.parse("member-join,user:deploy,query")
    assert wanted.admits("member-join")
    assert not wanted.admits("member-leave")
    assert wanted.admits("user", "deploy")
    assert not wanted.admits("user", "other")
    assert wanted.admits("query", "anything")


@pytest.mark.parametrize("text", ["nope", "member-join:", "member-join:x", "user:", ",", " user", "*:x"])
def test_what_is_no_kind_of_event_is_refused(text):
    with pytest.raises(ValueError, match="is not a kind of event"):
        EventFilter.parse(text)
