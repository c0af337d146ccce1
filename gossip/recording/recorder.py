"""The flight recorder: a node's state at some point and every input since, in bounded memory.

`RecordedNode` wraps a `SerfNode` for its driver. It encodes every call that changes the node to bytes
before carrying it out, so that recorded inputs are small, immutable, and invisible to the garbage
collector. Inputs are collected in windows; each window starts with the node's state. When a window is
full, a new one starts and the window before the previous one is discarded, so that after the first full
window there is always at least one. `gossip.recording.replay` reads the result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from zlib import crc32

from msgspec import Struct
from msgspec.structs import astuple

from gossip.recording.graph import dump_state, dump_value
from gossip.recording.redaction import (
    USER,
    redacted,
    redacted_incoming,
    redacted_payload,
    redacted_request,
)
from gossip.recording.rows import pack_row
from gossip.serf.effects import PushPullReceived, QueryAnswered, QueryReceived
from gossip.serf.members import SerfMember
from gossip.swim.effects import MessageRejected, SendPacket

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gossip.serf.effects import Effect
    from gossip.serf.node import SerfNode
    from gossip.serf.queries import IncomingQuery, QueryRequest
    from gossip.wire.address import Address

VERBS = (
    "receive_packet",
    "handle_timeout",
    "effects",
    "next_deadline",
    "receive_user_message",
    "merge_remote_state",
    "stream_ping_answered",
    "announce_join",
    "begin_leave",
    "finish_leave",
    "force_leave",
    "set_tags",
    "user_event",
    "push_pull_now",
    "query",
    "respond",
    "stream_ping_failed",
    "check_paths",
    "join",
    "keep_joining",
    "remember_seeds",
    "seeds_resolved",
    "contact_ended",
    "move",
)
"""The calls that change a node; a recording stores their indexes. Append only, never reorder."""

RECEIVE_PACKET, HANDLE_TIMEOUT, EFFECTS, NEXT_DEADLINE = range(4)
COMMANDS = VERBS[NEXT_DEADLINE + 1 :]
_NEXT_DEADLINE_ROW = pack_row((NEXT_DEADLINE,))

MAX_INPUTS = 20_000
"""Calls in one window: several minutes for a member of a quiet cluster of a thousand."""
MAX_INPUT_BYTES = 2 * 1024 * 1024
"""Bytes of the calls in one window; the call that exceeds it, at most a push/pull, is the last."""


class Window(Struct, frozen=True):
    """A node's state and all inputs after it."""

    state: bytes
    inputs: bytes


class Snapshot(Struct, frozen=True):
    """A complete recording in immutable pieces; the oldest window comes first."""

    node: str
    state: bytes  # at the start of the first window
    inputs: tuple[bytes, ...]
    later_states: tuple[bytes, ...]  # at the start of the other windows, and at the end


class Recorder:
    """The windows of one node."""

    def __init__(
        self, node: SerfNode, *, max_inputs: int = MAX_INPUTS, max_bytes: int = MAX_INPUT_BYTES
    ) -> None:
        self.renewals = 0
        self._node = node
        self._max_inputs = max_inputs
        self._max_bytes = max_bytes
        self._past: tuple[Window, ...] = ()
        self._state = dump_state(node)
        self._inputs = bytearray()
        self._count = 0

    @property
    def node(self) -> str:
        """The name of the node."""
        return self._node.name

    def write(self, row: bytes) -> None:
        """Record a call that is about to be made; start a new window if this one is full."""
        if self._count >= self._max_inputs or len(self._inputs) >= self._max_bytes:
            self._renew()
        self._count += 1
        self._inputs += row

    def write_outcome(self, row: bytes) -> None:
        """Record the outcome of the calls so far, in the same window."""
        self._count += 1
        self._inputs += row

    def snapshot(self) -> Snapshot:
        """Return the recording and the current state; the node is not changed."""
        windows = (*self._past, Window(self._state, bytes(self._inputs)))
        return Snapshot(
            node=self._node.name,
            state=windows[0].state,
            inputs=tuple(window.inputs for window in windows),
            later_states=(*(window.state for window in windows[1:]), dump_state(self._node)),
        )

    def _renew(self) -> None:
        state = dump_state(self._node)
        # Discard the oldest window only after the new state has been taken.
        self._past = (Window(self._state, bytes(self._inputs)),)
        self._state, self._inputs, self._count = state, bytearray(), 0
        self.renewals += 1


class RecordedNode:
    """A node whose inputs are recorded; every other attribute is the wrapped node's."""

    def __init__(self, node: SerfNode, recorder: Recorder) -> None:
        self._node = node
        self._write = recorder.write
        self._write_outcome = recorder.write_outcome
        self._deadline_is_known = False
        self._handle_packet = node.receive_packet
        for number, verb in enumerate(COMMANDS, NEXT_DEADLINE + 1):
            setattr(self, verb, self._recorded(number, getattr(node, verb)))

    def __getattr__(self, name: str) -> object:
        """Return an attribute of the node; only used for members that do not change it."""
        return getattr(self._node, name)

    def receive_packet(self, parts: Sequence[bytes], source: Address, now: float) -> None:
        """See `SerfNode`."""
        shown = parts
        for part in parts:
            if part[:1] == USER:
                shown = [*map(redacted, parts)]
                break
        self._deadline_is_known = False
        self._write(pack_row((RECEIVE_PACKET, tuple(shown), source.host, source.port, now)))
        self._handle_packet(parts, source, now)

    def handle_timeout(self, now: float) -> None:
        """See `SerfNode`."""
        self._deadline_is_known = False
        self._write(pack_row((HANDLE_TIMEOUT, now)))
        self._node.handle_timeout(now)

    def next_deadline(self) -> float:
        """See `SerfNode`. The first call after an input is recorded, because it may drop cancelled timers."""
        if not self._deadline_is_known:
            self._deadline_is_known = True
            self._write(_NEXT_DEADLINE_ROW)
        return self._node.next_deadline()

    def effects(self) -> list[Effect]:
        """See `SerfNode`. Records a checksum of the effects, which a replay compares."""
        drained = self._node.effects()
        if drained:
            self._write_outcome(pack_row((EFFECTS, fingerprint(drained))))
        return drained

    def _recorded(self, number: int, call: Callable[..., object]) -> Callable[..., object]:
        def write_and_call(*args: object, **kwargs: object) -> object:
            self._deadline_is_known = False
            shown = _shown(VERBS[number], args)
            named = {name: dump_value(value) for name, value in kwargs.items()}
            self._write(pack_row((number, [*map(dump_value, shown)], named)))
            return call(*args, **kwargs)

        return write_and_call


def record(node: SerfNode, recorder: Recorder) -> SerfNode:
    """Return a wrapper of `node` for the driver, which reports every input to `recorder`."""
    return cast("SerfNode", RecordedNode(node, recorder))


def fingerprint(effects: Sequence[Effect]) -> int:
    """Return a CRC-32 over `effects` in order, without the parts that a recording redacts."""
    total = 0
    for effect in effects:
        if type(effect) is SendPacket:
            for part in effect.parts:
                total = crc32(redacted(part), total)
            total = crc32(effect.to.host.encode(), total) ^ effect.to.port
        else:
            total = crc32(pack_row(_told(effect)), total)
    return total


def _shown(verb: str, args: tuple[object, ...]) -> tuple[object, ...]:
    """Return the arguments of a command, redacted as a recording requires."""
    if verb == "receive_user_message":
        return (redacted_payload(cast(bytes, args[0])), *args[1:])
    if verb == "query":
        return (redacted_request(cast("QueryRequest", args[0])), *args[1:])
    if verb == "respond":
        return (
            redacted_incoming(cast("IncomingQuery", args[0])),
            bytes(len(cast(bytes, args[1]))),
            *args[2:],
        )
    return args


def _told(effect: Effect) -> object:
    if isinstance(effect, PushPullReceived):
        return len(effect.nodes), effect.left, effect.initiated  # the rows are already in the input
    if isinstance(effect, MessageRejected):
        return effect.source  # the reason may quote redacted bytes
    if isinstance(effect, QueryAnswered):
        return effect.token, effect.origin, len(effect.payload)
    if isinstance(effect, QueryReceived):
        effect = QueryReceived(redacted_incoming(effect.query))
    return type(effect).__name__, [dump_value(_row(value)) for value in astuple(effect)]


def _row(value: object) -> object:
    """Return a live row of the member table as a value that no longer changes."""
    if isinstance(value, SerfMember):
        return value.alive, value.status, value.status_ltime, value.changed_at
    return value
