"""The recorded traffic in `tests/vectors`, and what its authors wrote down about it, as our messages."""

import json
from pathlib import Path

from gossip.wire.keyring import Keyring
from gossip.wire.messages import (
    Ack,
    Alive,
    Dead,
    ErrorMessage,
    IndirectPing,
    MemberState,
    Nack,
    NodeState,
    Ping,
    PushPull,
    Suspect,
    UserMessage,
)
from gossip.wire.serf_messages import (
    JoinIntent,
    LeaveIntent,
    OtherSerfMessage,
    PastEvent,
    PastEvents,
    Query,
    QueryResponse,
    SerfMessageType,
    SerfPushPull,
    UserEvent,
)

VECTORS = Path(__file__).parents[1] / "vectors"


def load(name):
    """Return the entries of one vector file."""
    return json.loads((VECTORS / f"{name}.json").read_text())


def parametrized(entries):
    """Return keyword arguments for `parametrize`, with the entries' names as ids."""
    return {"argvalues": entries, "ids": [entry["name"] for entry in entries]}


def keyring_of(entry):
    """Return the keys that the traffic of `entry` was encrypted with; None if it was not."""
    keys = entry.get("keys_hex") or ([entry["key_hex"]] if "key_hex" in entry else [])
    return Keyring([bytes.fromhex(key) for key in keys]) if keys else None


def streams():
    """Return all recorded directions of streams: (name, bytes, keys, what was written down or None)."""
    for entry in load("tcp_streams") + load("tcp_probe_replies"):
        for way in ("request", "reply"):
            data = bytes.fromhex(entry.get(f"{way}_hex", entry.get("hex", "")))
            written = entry["decoded"][way]
            keys = keyring_of(entry)
            if keys is None and isinstance(written, dict) and "key_hex" in written:
                keys = keyring_of(written)
            yield f"{entry['name']} {way}", data, keys, written


def raw(value):
    """Return the bytes that a decoded value stands for, or None."""
    return None if value is None else bytes.fromhex(value["hex"])


def leaves(message):
    """Yield the leaf messages in the tree that was written down for a packet, in order."""
    if "parts" in message:
        for part in message["parts"]:
            yield from leaves(part)
    elif "inner" in message:
        yield from leaves(message["inner"])
    else:
        yield message


def expected_message(leaf):
    """Return the memberlist message that was written down; a user message with its Serf message."""
    if leaf["name"] == "user":
        return expected_serf(leaf["serf"])
    if leaf["name"] == "pushPull":
        return expected_push_pull(leaf["pushpull"])
    body = leaf["body"]
    source = {
        "source_addr": raw(body.get("SourceAddr")) or b"",
        "source_port": body.get("SourcePort", 0),
        "source_node": body.get("SourceNode", ""),
    }
    match leaf["name"]:
        case "ping":
            return Ping(body["SeqNo"], body["Node"], **source)
        case "indirectPing":
            target = raw(body["Target"])
            return IndirectPing(body["SeqNo"], target, body["Port"], body["Node"], body["Nack"], **source)
        case "ack":
            return Ack(body["SeqNo"], raw(body["Payload"]))
        case "nack":
            return Nack(body["SeqNo"])
        case "suspect" | "dead" as kind:
            message = Suspect if kind == "suspect" else Dead
            return message(body["Incarnation"], body["Node"], body["From"])
        case "err":
            return ErrorMessage(body["Error"])
        case "alive":
            return Alive(
                incarnation=body["Incarnation"],
                node=body["Node"],
                addr=raw(body["Addr"]),
                port=body["Port"],
                meta=raw(body["Meta"]),
                versions=bytes(leaf["vsn"]) if "vsn" in leaf else raw(body["Vsn"]),
            )


def expected_serf(serf):
    """Return the Serf message that was written down; for one that we only hand on, its type alone."""
    if serf["serf_type"] >= SerfMessageType.CONFLICT_RESPONSE:
        return SerfMessageType(serf["serf_type"])
    body = serf["body"]
    payload = raw(body.get("Payload"))
    match serf["serf_name"]:
        case "leave":
            return LeaveIntent(body["LTime"], body["Node"], body["Prune"])
        case "join":
            return JoinIntent(body["LTime"], body["Node"])
        case "userEvent":
            return UserEvent(body["LTime"], body["Name"], payload or b"", body["CC"])
        case "queryResponse":
            return QueryResponse(body["LTime"], body["ID"], body["From"], body["Flags"], payload)
        case "query":
            return Query(
                ltime=body["LTime"],
                id=body["ID"],
                addr=raw(body["Addr"]),
                port=body["Port"],
                source_node=body["SourceNode"],
                filters=tuple(raw(each) for each in body["Filters"] or ()),
                flags=body["Flags"],
                relay_factor=body["RelayFactor"],
                timeout_ns=body["Timeout"],
                name=body["Name"],
                payload=payload or b"",
            )


def expected_push_pull(written):
    """Return the push/pull that was written down, its user state as a Serf message (None if empty)."""
    state = written.get("user_state")
    user_state = expected_serf_state(state) if state and written["user_state_len"] else None
    rows = tuple(
        NodeState(
            name=node["Name"],
            addr=raw(node["Addr"]),
            port=node["Port"],
            meta=raw(node["Meta"]),
            incarnation=node["Incarnation"],
            state=MemberState(node["State"]),
            versions=bytes(node["vsn_list"]),
        )
        for node in written["nodes"]
    )
    return PushPull(written["header"]["Join"], rows, user_state)


def expected_serf_state(state):
    """Return Serf's part of a push/pull as it was written down."""
    events = tuple(
        PastEvents(
            slot["LTime"],
            tuple(PastEvent(each["Name"], raw(each["Payload"]) or b"") for each in slot["Events"]),
        )
        for slot in state["Events_non_nil"]
    )
    return SerfPushPull(
        ltime=state["LTime"],
        status_ltimes=state["StatusLTimes"],
        left_members=tuple(state["LeftMembers"]),
        event_ltime=state["EventLTime"],
        events=events,
        query_ltime=state["QueryLTime"],
    )


def in_words(message, decode_serf):
    """Return `message` in the form that `expected_message` has: Serf's messages decoded."""
    if isinstance(message, UserMessage):
        serf = decode_serf(message.payload)
        return serf.kind if isinstance(serf, OtherSerfMessage) else serf
    if isinstance(message, PushPull):
        state = decode_serf(message.user_state) if message.user_state else None
        return PushPull(message.join, message.nodes, state)
    return message
