"""The text of a snapshot: Serf's is read, ours can be read by Serf, and half a line does no harm."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.agent.snapshot_text import (
    LEAVE,
    NotASnapshotError,
    Snapshot,
    clock_records,
    gone_record,
    member_record,
    read_snapshot,
    whole_snapshot,
)
from gossip.serf.members import MemberStatus, SerfMember
from gossip.serf.saved_state import KnownPeer, SavedState
from gossip.wire.address import Address, pack_address
from gossip.wire.messages import MAX_NAME_BYTES, PROTOCOL_VERSIONS, Alive
from gossip.wire.serf_messages import MAX_U64

SERFS = b"""alive: s1 127.0.0.1:7946
event-clock: 1
alive: s 2 127.0.0.2:7946
query-clock: 4
clock: 9
not-alive: s1
coordinate: {"Vec":[0]}
# a comment
alive: six [fd00::6]:7000
"""

names = st.text(st.characters(exclude_characters="\n"), min_size=1, max_size=20).filter(
    lambda name: (
        len(name.encode("utf-8", "surrogateescape")) <= MAX_NAME_BYTES
        if not any(0xD800 <= ord(c) < 0xDC80 or 0xDCFF < ord(c) <= 0xDFFF for c in name)
        else False
    )
)
addresses = st.builds(
    Address,
    st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6).filter(lambda ip: ip.ipv4_mapped is None)).map(str),
    st.integers(1, 65535),
)
statuses = st.sampled_from([MemberStatus.ALIVE, MemberStatus.LEAVING, MemberStatus.LEFT, MemberStatus.FAILED])
clocks = st.tuples(*[st.integers(0, MAX_U64)] * 3)


def member(name: str, where: Address, status: MemberStatus = MemberStatus.ALIVE) -> SerfMember:
    alive = Alive(1, name, pack_address(where.host), where.port, b"", PROTOCOL_VERSIONS)
    return SerfMember(alive, status, 0, 0.0)


rows = st.dictionaries(names, st.tuples(addresses, statuses), max_size=6).map(
    lambda told: [member(name, where, status) for name, (where, status) in told.items()]
)


def read(text: bytes, *, rejoin: bool = False) -> Snapshot:
    return read_snapshot(text, rejoin=rejoin)


def test_serfs_lines_are_read():
    snapshot = read(SERFS)
    assert snapshot.alive == (
        KnownPeer("s 2", Address("127.0.0.2", 7946)),
        KnownPeer("six", Address("fd00::6", 7000)),
    )
    assert snapshot.clocks == (9, 1, 4)
    assert (snapshot.failed, snapshot.has_left, snapshot.skipped) == ((), False, 0)
    assert snapshot.length == len(SERFS)
    assert snapshot.saved == SavedState(
        member_time=9, event_time=1, query_time=4, peers=snapshot.alive, failed=snapshot.failed
    )


def test_an_empty_file_is_a_first_start():
    assert read(b"") == Snapshot()


def test_a_leave_forgets_what_was_before_it():
    snapshot = read(SERFS + b"leave\nclock: 11\n")
    assert snapshot == Snapshot(clocks=(11, 0, 0), has_left=True, length=len(SERFS) + 16)


def test_a_leave_does_not_count_for_who_will_rejoin():
    snapshot = read(SERFS + b"leave\nclock: 11\n", rejoin=True)
    assert snapshot.clocks == (11, 1, 4)
    assert len(snapshot.alive) == 2
    assert not snapshot.has_left


@pytest.mark.parametrize(
    "line",
    [
        b"alive: x",
        b"alive: x 10.0.0.1",
        b"alive: x host:7946",
        b"alive: x 10.0.0.1:0",
        b"alive: x 10.0.0.1:65536",
        b"alive: x 10.0.0.1:999999999999",
        b"alive:  10.0.0.1:7946",
        b"alive: " + b"x" * (MAX_NAME_BYTES + 1) + b" 10.0.0.1:7946",
        b"alive: \xff 10.0.0.\xff:7946",
        b"clock: -1",
        b"clock: +1",
        b"clock: 1_0",
        b"clock: \xd9\xa1",
        b"clock: 18446744073709551616",
        b"clock: " + b"9" * 5000,
        b"event-clock:",
        b"leaves",
        b"# failed: nowhere",
        b"something else",
        b"",
    ],
)
def test_a_line_that_makes_no_sense_is_skipped_and_counted(line):
    whole = SERFS + line + b"\nclock: 12\n"
    snapshot = read(whole)
    assert snapshot.skipped == 1
    assert snapshot.clocks == (12, 1, 4)
    assert snapshot.alive == read(SERFS).alive


@pytest.mark.parametrize(
    "text",
    [
        b"root:x:0:0:root:/root:/bin/bash\n",
        b"\x7fELF\x02\x01",
        b"[agent]\nname = 1\n",
        b"# only\n# comments\n",
        b"\nalive: x 10.0.0.1:7946\n",
        b"leaves\n",
        b"{",
        b"al\0ive",
    ],
)
def test_what_is_no_snapshot_is_refused(text):
    with pytest.raises(NotASnapshotError):
        read(text)


def test_names_that_no_line_can_hold_are_not_written():
    forged = member("x\nleave\nalive: y", Address("10.0.0.1", 1))
    assert member_record(forged) == b""
    assert gone_record(forged.name) == b""
    assert whole_snapshot([forged], [KnownPeer(forged.name, forged.address)], (0, 0, 0)) == b""


def test_only_the_clocks_that_moved_are_written():
    assert clock_records((1, 2, 3), (1, 5, 3)) == b"event-clock: 5\n"
    assert clock_records((1, 2, 3), (1, 2, 3)) == b""
    assert clock_records((0, 0, 0), (7, 8, 9)) == b"clock: 7\nevent-clock: 8\nquery-clock: 9\n"


def test_serf_takes_a_failed_member_for_one_that_is_not_alive():
    record = member_record(member("x", Address("10.0.0.1", 7946), MemberStatus.FAILED))
    assert record == b"not-alive: x\n# failed: x 10.0.0.1:7946\n"


@given(rows, clocks)
def test_what_is_written_whole_is_read_again(members, times):
    snapshot = read(whole_snapshot(members, [], times))
    alive = {m.name: m.address for m in members if m.status in (MemberStatus.ALIVE, MemberStatus.LEAVING)}
    failed = {m.name: m.address for m in members if m.status is MemberStatus.FAILED}
    if not alive and not any(times):
        return  # a member is always among its own; comments alone are refused
    assert {peer.name: peer.address for peer in snapshot.alive} == alive
    assert {peer.name: peer.address for peer in snapshot.failed} == failed
    assert snapshot.clocks == times
    assert snapshot.skipped == 0


@given(st.lists(st.tuples(names, addresses, statuses), min_size=1, max_size=8), clocks)
def test_of_appended_records_the_last_one_of_a_member_counts(told, times):
    text = b"".join(member_record(member(*each)) for each in told) + clock_records((0, 0, 0), times)
    if text.startswith(b"#") or not text:
        return
    snapshot = read(text)
    last = {name: (where, status) for name, where, status in told}
    known = {p.name: (p.address, MemberStatus.ALIVE) for p in snapshot.alive}
    known |= {p.name: (p.address, MemberStatus.FAILED) for p in snapshot.failed}
    calm = {MemberStatus.LEAVING: MemberStatus.ALIVE}
    assert known == {
        name: (where, calm.get(status, status))
        for name, (where, status) in last.items()
        if status is not MemberStatus.LEFT
    }


@given(rows, clocks, st.booleans(), st.data())
def test_killed_at_any_byte_a_member_keeps_all_whole_records(members, times, leaves, data):
    me = member("me", Address("10.9.9.9", 7946))
    text = whole_snapshot([me, *members], [], times) + (LEAVE + b"\n" if leaves else b"")
    cut = data.draw(st.integers(0, len(text)))
    torn = read(text[:cut])
    whole = text[:cut].rpartition(b"\n")
    assert torn == read(whole[0] + whole[1])
    assert torn.length == len(whole[0] + whole[1])


@given(st.binary(max_size=300), st.booleans())
def test_no_bytes_raise_anything_but_a_refusal(text, rejoin):
    for whole in (text, SERFS + text, b"alive: " + text):
        try:
            snapshot = read(whole, rejoin=rejoin)
        except NotASnapshotError:
            continue
        assert snapshot.length <= len(whole)
        assert all(0 <= time <= MAX_U64 for time in snapshot.clocks)


def test_zeros_that_a_crash_left_at_the_end_are_no_record():
    snapshot = read(SERFS + b"clo" + bytes(100))
    assert snapshot.length == len(SERFS)
    assert read(bytes(4096)) == Snapshot()
