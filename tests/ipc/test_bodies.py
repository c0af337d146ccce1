import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import RemoteProtocolError
from gossip.ipc.bodies import (
    Auth,
    ForceLeave,
    Handshake,
    Join,
    JoinCount,
    LogLine,
    Member,
    MemberFilter,
    MemberList,
    MonitorLevel,
    Stats,
    Stop,
    StreamEvent,
    StreamFilter,
    TagChange,
)
from gossip.ipc.coordinate_bodies import FoundCoordinate, GetCoordinate

TEXT = st.text(max_size=20)
TAGS = st.dictionaries(TEXT, TEXT, max_size=3)
VERSION = st.integers(0, 255)
REAL = st.floats(allow_nan=False)
MEMBER = st.builds(
    Member,
    name=TEXT,
    addr=st.binary(max_size=17),
    port=st.integers(0, 65535),
    tags=TAGS,
    status=TEXT,
    protocol_min=VERSION,
    protocol_max=VERSION,
    protocol_cur=VERSION,
    delegate_min=VERSION,
    delegate_max=VERSION,
    delegate_cur=VERSION,
)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
BODIES = st.one_of(
    st.builds(Handshake, st.integers(-(2**31), 2**31 - 1)),
    st.builds(Auth, TEXT),
    st.builds(Join, TEXTS, st.booleans()),
    st.builds(ForceLeave, TEXT, st.booleans()),
    st.builds(MemberFilter, TEXT, TEXT, TAGS),
    st.builds(TagChange, TAGS, TEXTS),
    st.builds(StreamFilter, TEXT),
    st.builds(MonitorLevel, TEXT),
    st.builds(Stop, st.integers(0, 2**64 - 1)),
    MEMBER,
    st.builds(MemberList, st.lists(MEMBER, max_size=3).map(tuple)),
    st.builds(JoinCount, st.integers(0, 2**31 - 1)),
    st.builds(Stats, st.dictionaries(TEXT, TAGS, max_size=3)),
    st.builds(LogLine, TEXT),
    st.builds(GetCoordinate, TEXT),
    st.builds(FoundCoordinate, st.booleans(), st.lists(REAL, max_size=9).map(tuple), REAL, REAL, REAL),
    st.builds(StreamEvent.about_members, st.just("member-join"), st.lists(MEMBER, max_size=2)),
)


@given(BODIES)
def test_every_body_survives_the_way_through_its_map_form(body):
    assert type(body).from_fields(body.to_fields()) == body


@pytest.mark.parametrize(
    "body",
    [
        Handshake(0),
        Auth(""),
        Join(()),
        ForceLeave(""),
        MemberFilter(),
        TagChange({}),
        StreamFilter(""),
        Stop(0),
    ],
)
def test_a_body_without_keys_holds_zero_values(body):
    assert type(body).from_fields({}) == body


@pytest.mark.parametrize("vec", [8, ["x"], [True], [[1.0]]])
def test_a_coordinate_that_is_not_made_of_numbers_is_refused(vec):
    with pytest.raises(RemoteProtocolError, match="Vec holds"):
        FoundCoordinate.from_fields({"Coord": {"Vec": vec}, "Ok": True})


def test_a_member_list_of_nil_is_empty():
    assert MemberList.from_fields({"Members": None}) == MemberList(())


def test_a_port_beyond_65535_is_no_port():
    fields = {"Name": "n", "Port": 65536}
    with pytest.raises(RemoteProtocolError, match=r"Port is 65536: expected 0\.\.65535"):
        Member.from_fields(fields)
    assert Member.from_fields({**fields, "Port": 65535}).port == 65535


def test_a_stream_record_that_names_no_event_is_refused():
    with pytest.raises(RemoteProtocolError, match="names no event"):
        StreamEvent.from_fields({"Members": []})


def test_events_of_unknown_kinds_keep_all_their_fields():
    fields = {"Event": "query", "ID": 1, "LTime": 3, "Name": "q", "Payload": b"x"}
    assert StreamEvent.from_fields(fields).to_fields() == fields
