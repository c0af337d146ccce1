import pytest

from gossip.errors import LocalProtocolError, RemoteProtocolError
from gossip.serf.config import SerfConfig
from gossip.serf.events import EVENT_OVERHEAD, MAX_HISTORY_BYTES, UserEvents
from gossip.wire.serf_codec import decode_serf, encode_serf
from gossip.wire.serf_messages import MAX_U64, UserEvent
from tests.serf.rig import past


def events(**limits: int) -> UserEvents:
    return UserEvents(SerfConfig(**limits), [].append)


def test_an_event_is_delivered_once():
    known = events()
    event = UserEvent(3, "deploy", b"v1")
    assert known.receive(event)
    assert not known.receive(event)


def test_whether_it_coalesces_does_not_tell_two_events_apart():
    known = events()
    assert known.receive(UserEvent(3, "deploy", b"v1", coalesce=True))
    assert not known.receive(UserEvent(3, "deploy", b"v1"))


@pytest.mark.parametrize(
    "other", [UserEvent(4, "deploy", b"v1"), UserEvent(3, "deploy", b"v2"), UserEvent(3, "stop", b"v1")]
)
def test_another_time_name_or_payload_makes_another_event(other):
    known = events()
    known.receive(UserEvent(3, "deploy", b"v1"))
    assert known.receive(other)


def test_a_time_is_witnessed_even_if_the_event_is_stale():
    known = events()
    known.recent.minimum = 100
    assert not known.receive(UserEvent(50, "deploy"))
    assert known.clock.time == 51


def test_an_event_out_of_time_is_refused_without_a_trace():
    known = events()
    with pytest.raises(RemoteProtocolError):
        known.receive(UserEvent(MAX_U64, "deploy"))
    assert known.history() == ()
    assert known.clock.time == 1


def test_an_own_event_is_stamped_with_the_present_and_the_clock_steps_past_it():
    known = events()
    event, encoded = known.create("deploy", b"v1", coalesce=True)
    assert event == UserEvent(1, "deploy", b"v1", coalesce=True)
    assert decode_serf(encoded) == event
    assert known.clock.time == 2


def test_an_own_event_is_news_to_ourselves():
    known = events()
    event, _ = known.create("deploy", b"", coalesce=False)
    assert known.receive(event)


ENCODING_BYTES = len(encode_serf(UserEvent(1, "", bytes(300)))) - 300


def test_an_encoded_event_may_be_as_long_as_the_limit():
    _, encoded = events().create("", bytes(512 - ENCODING_BYTES), coalesce=False)
    assert len(encoded) == 512


def test_an_encoded_event_one_byte_above_the_limit_is_refused():
    known = events()
    with pytest.raises(
        LocalProtocolError, match=r"^encoded user event exceeds configured limit of 512 bytes after encoding$"
    ):
        known.create("", bytes(513 - ENCODING_BYTES), coalesce=False)
    assert known.clock.time == 1


def test_name_and_payload_as_long_as_the_limit_are_only_too_long_when_encoded():
    with pytest.raises(LocalProtocolError, match="after encoding"):
        events().create("x" * 12, bytes(500), coalesce=False)


@pytest.mark.parametrize(("name", "payload"), [("x" * 513, 0), ("x" * 13, 500), ("ä" * 250, 13)])
def test_name_and_payload_one_byte_above_the_limit_are_refused_before_encoding(name, payload):
    with pytest.raises(
        LocalProtocolError, match=r"^user event exceeds configured limit of 512 bytes before encoding$"
    ):
        events().create(name, bytes(payload), coalesce=False)


def test_the_limit_is_configurable():
    with pytest.raises(LocalProtocolError, match="limit of 10 bytes"):
        events(user_event_size_limit=10).create("deploy", b"12345", coalesce=False)


def test_the_history_has_all_events_of_a_time_together():
    known = events()
    for event in (UserEvent(3, "a", b"a"), UserEvent(4, "b", b"b"), UserEvent(3, "c", b"c")):
        known.receive(event)
    assert known.history() == (past(3, "a", "c"), past(4, "b"))


def test_as_many_events_of_one_time_are_kept_as_there_is_room_for():
    events = UserEvents(SerfConfig(buffered_messages=200), [].append)
    assert all(events.receive(UserEvent(3, f"e{number}")) for number in range(200))
    with pytest.raises(RemoteProtocolError, match=" dropped: "):
        events.receive(UserEvent(3, "e200"))
    assert len(events.history()[0].events) == 200


def full_of(size: int, count: int, *, per_time: int = 1) -> UserEvents:
    known = events()
    for number in range(count):
        event = UserEvent(1 + number // per_time, "e", number.to_bytes(4, "big") + bytes(size - 4))
        assert known.receive(event)
    return known


LONG = 2**15 - EVENT_OVERHEAD - 1  # with its name of one byte, 32 of them are the limit
FITTING = MAX_HISTORY_BYTES // 2**15


def test_a_history_at_the_limit_is_sent_as_a_whole():
    history = full_of(LONG, FITTING).history()
    assert [past.ltime for past in history] == list(range(1, FITTING + 1))


def test_of_a_longer_history_the_newest_events_are_sent():
    history = full_of(LONG, FITTING + 1).history()
    assert sorted(past.ltime for past in history) == list(range(2, FITTING + 2))


def test_of_a_time_that_does_not_fit_the_first_events_are_sent():
    history = full_of(LONG, FITTING + 3, per_time=5).history()
    assert sum(len(past.events) for past in history) == FITTING
    assert min(past.ltime for past in history) == 1
    assert [event.payload[3] for event in history[-1].events] == [0, 1]


def test_events_are_kept_up_to_the_limit_in_bytes_and_the_newest_stay():
    known = full_of(LONG, SerfConfig().buffered_bytes // 2**15 + 1)
    assert known.recent.size_bytes == SerfConfig().buffered_bytes
    assert known.recent.minimum == 2
