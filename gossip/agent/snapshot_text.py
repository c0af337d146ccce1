"""The snapshot of a member's life in Serf's file format (Serf `snapshot.go`; serf-wire 5.13).

Text with one record per line, of which the last one about a subject counts: ``alive: NAME IP:PORT``,
``not-alive: NAME``, ``clock: N``, ``event-clock: N``, ``query-clock: N``, ``leave``. ``coordinate: …`` and
``# …`` are ignored.

Serf forgets a member that failed. Here it is kept as ``# failed: NAME IP:PORT``, which Serf takes for a
comment: after a long partition, these are the members to ask. Only the text is handled here;
`gossip.agent.snapshot` handles the file.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from msgspec import Struct

from gossip.errors import GossipError
from gossip.host_port import parse_port
from gossip.serf.members import MemberStatus
from gossip.serf.saved_state import KnownPeer, SavedState
from gossip.wire.address import Address
from gossip.wire.messages import MAX_NAME_BYTES
from gossip.wire.serf_messages import MAX_U64

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gossip.serf.members import SerfMember

ALIVE, NOT_ALIVE, FAILED = b"alive: ", b"not-alive: ", b"# failed: "
CLOCK, EVENT_CLOCK, QUERY_CLOCK = b"clock: ", b"event-clock: ", b"query-clock: "
LEAVE = b"leave"
_CLOCKS = (CLOCK, EVENT_CLOCK, QUERY_CLOCK)
_KINDS = (ALIVE, NOT_ALIVE, *_CLOCKS, LEAVE, b"coordinate: ")

Clocks = tuple[int, int, int]
"""The last Lamport times of members' intents, of events and of queries."""


class NotASnapshotError(GossipError):
    """The text is something else; the message shows what is there instead of a record."""


class Snapshot(Struct, frozen=True, kw_only=True):
    """The content of a snapshot."""

    clocks: Clocks = (0, 0, 0)
    alive: tuple[KnownPeer, ...] = ()
    failed: tuple[KnownPeer, ...] = ()
    has_left: bool = False  # the last life ended with a leave, which is respected
    length: int = 0  # bytes up to the end of the last complete line
    skipped: int = 0  # complete lines that are not records

    @property
    def saved(self) -> SavedState:
        """The state from which the member's next life starts."""
        member_time, event_time, query_time = self.clocks
        return SavedState(
            member_time=member_time,
            event_time=event_time,
            query_time=query_time,
            peers=self.alive,
            failed=self.failed,
        )


def read_snapshot(text: bytes, *, rejoin: bool) -> Snapshot:
    """Read a snapshot; an incomplete last line, interrupted by the member's death, is left out.

    With `rejoin`, a leave is ignored: the records before it are not forgotten.

    Raises:
        NotASnapshotError: the first line is not a record.
    """
    reader = _Reader(rejoin=rejoin)
    *lines, rest = text.split(b"\n")
    for line in lines:
        reader.take(line)
    if not reader.records and not _may_begin_a_record(rest):
        reader.refuse(rest)
    if not reader.records and reader.comments:
        raise NotASnapshotError("it holds nothing but comments")
    return Snapshot(
        clocks=(reader.clocks[CLOCK], reader.clocks[EVENT_CLOCK], reader.clocks[QUERY_CLOCK]),
        alive=tuple(KnownPeer(name, where) for name, where in reader.alive.items()),
        failed=tuple(KnownPeer(name, where) for name, where in reader.failed.items()),
        has_left=reader.has_left,
        length=len(text) - len(rest),
        skipped=reader.skipped,
    )


def member_record(member: SerfMember) -> bytes:
    """Return the record of `member` in its current status; nothing if a line cannot hold its name."""
    name = _encoded(member.name)
    if not name:
        return b""
    if member.status is MemberStatus.LEFT:
        return gone_record(member.name)
    if member.status is MemberStatus.FAILED:
        return gone_record(member.name) + FAILED + name + _where(member.address)
    return ALIVE + name + _where(member.address)


def gone_record(name: str) -> bytes:
    """Return the record of a member that must not be asked any more."""
    encoded = _encoded(name)
    return NOT_ALIVE + encoded + b"\n" if encoded else b""


def clock_records(before: Clocks, after: Clocks) -> bytes:
    """Return the records of the clocks that differ."""
    changed = zip(_CLOCKS, before, after, strict=True)
    return b"".join(kind + str(new).encode() + b"\n" for kind, old, new in changed if new != old)


def whole_snapshot(members: Iterable[SerfMember], unheard: Iterable[KnownPeer], clocks: Clocks) -> bytes:
    """Return a new snapshot: of `members`, and of members of the last life that were not heard since."""
    known = [member_record(each) for each in members if each.status is not MemberStatus.LEFT]
    past = [ALIVE + name + _where(peer.address) for peer in unheard if (name := _encoded(peer.name))]
    return b"".join((*known, *past, clock_records((0, 0, 0), clocks)))


class _Reader:
    """The result of the lines so far."""

    def __init__(self, *, rejoin: bool) -> None:
        self._rejoin = rejoin
        self.alive: dict[str, Address] = {}
        self.failed: dict[str, Address] = {}
        self.clocks = dict.fromkeys(_CLOCKS, 0)
        self.has_left = False
        self.records = self.comments = self.skipped = 0

    def take(self, line: bytes) -> None:
        if line.startswith(b"#"):
            self.comments += 1
            if line.startswith(FAILED):
                self._take_member(self.failed, line.removeprefix(FAILED))
            return
        if not line.startswith(_KINDS) or (line.startswith(LEAVE) and line != LEAVE):
            if not self.records:
                self.refuse(line)
            self.skipped += 1
            return
        self.records += 1
        if line == LEAVE:
            self._leave()
        elif line.startswith(ALIVE):
            self._take_member(self.alive, line.removeprefix(ALIVE))
        elif line.startswith(NOT_ALIVE):
            name = line.removeprefix(NOT_ALIVE).decode("utf-8", "surrogateescape")
            self.alive.pop(name, None)
            self.failed.pop(name, None)
        else:
            self._take_clock(line)

    def refuse(self, line: bytes) -> None:
        """Raise, because the text does not begin like a snapshot."""
        raise NotASnapshotError(f"it begins with {line[:40].decode('utf-8', 'backslashreplace')!r}")

    def _leave(self) -> None:
        if self._rejoin:
            return
        self.has_left = True
        self.alive.clear()
        self.failed.clear()
        self.clocks = dict.fromkeys(_CLOCKS, 0)

    def _take_member(self, where: dict[str, Address], rest: bytes) -> None:
        name, space, address = rest.rpartition(b" ")
        parsed = _parsed(address)
        if not space or not 0 < len(name) <= MAX_NAME_BYTES or parsed is None:
            self.skipped += 1
            return
        text = name.decode("utf-8", "surrogateescape")
        for known in (self.alive, self.failed):
            known.pop(text, None)
        where[text] = parsed

    def _take_clock(self, line: bytes) -> None:
        kind = next((kind for kind in _CLOCKS if line.startswith(kind)), None)
        if kind is None:
            return  # a coordinate, which Serf no longer reads either
        digits = line.removeprefix(kind)
        # int() would accept signs, blanks and underscores, and any number of digits.
        if digits.isdigit() and len(digits) <= len(str(MAX_U64)) and int(digits) <= MAX_U64:
            self.clocks[kind] = int(digits)
        else:
            self.skipped += 1


def _may_begin_a_record(rest: bytes) -> bool:
    """Tell whether the last line can be the start of a record, or its remains after a crash: zeros."""
    rest = rest.rstrip(b"\0")
    return any(kind.startswith(rest) or rest.startswith(kind) for kind in (*_KINDS, b"#"))


def _parsed(address: bytes) -> Address | None:
    try:
        host, _, digits = address.decode("ascii").rpartition(":")
        port = parse_port(digits)
        return Address(str(ip_address(host.removeprefix("[").removesuffix("]"))), port) if port else None
    except ValueError:
        return None


def _encoded(name: str) -> bytes:
    """Return a name in its written form, empty if a line cannot hold it: it comes from the network."""
    encoded = name.encode("utf-8", "surrogateescape")
    return b"" if b"\n" in encoded else encoded


def _where(address: Address) -> bytes:
    return f" {address}\n".encode()
