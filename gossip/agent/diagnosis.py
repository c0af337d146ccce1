"""Faults around this agent, inferred from its observations: one finding for each, with a remedy.

Pure: `gossip.agent.doctor` collects the observations. A finding names the peer, the direction in which
packets are lost, the figures observed, and the remedy for a person.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from msgspec import Struct

from gossip.agent.symptoms import WINDOW, Complaint, Conflict, Delay
from gossip.ipc.doctor_bodies import Finding
from gossip.wire.address import Address

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ERROR, WARNING = "error", "warning"
ENCRYPTION_WORDS = ("crypt", "no installed key")
"""Words in complaints which show that the peer has another key, or that one side has none."""
MISSED_PUSH_PULLS = 10
"""Expected anti-entropy streams from one peer that must be missing before TCP counts as blocked.

Each peer picks its partner at random: 1 in 22,000 healthy peers skips ten expected ones.
"""


SHORTEST_QUIET_TIME = 5.0
"""Seconds of silence that prove nothing, however small the cluster is."""


class PeerReport(Struct, frozen=True):
    """The results of the checks of one peer. Counts are answers out of `tries`."""

    name: str
    address: Address
    tries: int
    small: int
    full: int
    stream: int
    query_acked: bool
    """It acknowledged a query over UDP, by whatever route the query reached it."""
    heard: float | None
    """Seconds since a datagram last came from its address; None for never."""
    elsewhere: Address | None = None
    """The source of its pings, if that is not its address."""
    refusal: str = ""
    """Why packets to its address are not sent."""


class Observations(Struct, frozen=True):
    """The input of a diagnosis; times are seconds."""

    name: str
    address: Address
    now: float
    running: float
    """How long the agent has been observing."""
    peers: Sequence[PeerReport]
    alive_peers: int
    streams_from: dict[str, float]
    """When each host last opened a stream to this agent."""
    push_pull_interval: float
    probe_interval: float
    probe_timeout: float
    packet_bytes: int
    """Length of the full datagrams."""
    complaints: dict[str, Complaint]
    conflicts: dict[str, Conflict]
    delays: Sequence[Delay]
    is_encrypted: bool


def diagnose(seen: Observations) -> list[Finding]:
    """Return all findings, errors first."""
    findings = [
        *_own_address(seen),
        *(finding for peer in seen.peers for finding in _paths(seen, peer)),
        *_inbound_streams(seen),
        *_keys(seen),
        *_names(seen),
        *_delays(seen),
    ]
    return sorted(findings, key=lambda finding: finding.severity != ERROR)


# --- paths ------------------------------------------------------------------------------------------------


def _paths(seen: Observations, peer: PeerReport) -> Iterator[Finding]:
    if peer.refusal:
        yield _address_of_peer(peer, f"it advertises {peer.address}: {peer.refusal}")
        return
    if peer.small:
        if not peer.full:
            yield _mtu(seen, peer)
        if not peer.stream:
            yield _tcp_out(seen, peer)
        return
    if peer.elsewhere is not None:
        yield _address_of_peer(
            peer,
            f"it advertises {peer.address}, which answers no ping, but its own pings come from "
            f"{peer.elsewhere.host}",
        )
    elif peer.stream:
        yield _udp(seen, peer)
    else:
        yield Finding(
            ERROR,
            "unreachable",
            peer.name,
            f"{seen.name} <-> {peer.name}",
            f"{peer.address} answers neither UDP (0 of {peer.tries} pings) nor TCP (0 of {peer.tries}), "
            f"but it is in the member list; {_last_heard(peer)}",
            f"if it is gone, its failure is about to be noticed (gossip explain {peer.name}); else check "
            f"routes, firewalls and --advertise of {peer.name}",
        )


def _udp(seen: Observations, peer: PeerReport) -> Finding:
    """Find the direction in which UDP fails while TCP works."""
    facts = f"UDP: 0 of {peer.tries} pings answered; TCP: {peer.stream} of {peer.tries}; {_last_heard(peer)}"
    if peer.query_acked:
        facts += "; it acknowledged a query over UDP"
    is_heard = peer.query_acked or (peer.heard is not None and peer.heard <= _quiet_time(seen))
    sender, receiver = (seen.name, peer.name) if is_heard else (peer.name, seen.name)
    port = peer.address.port if is_heard else seen.address.port
    remedy = f"open UDP port {port} on {receiver} for {sender}: firewall, security group, port mapping"
    if not is_heard:
        remedy += "; 'gossip doctor' there tells whether the other direction is open"
    return Finding(ERROR, "udp", peer.name, f"{sender} -> {receiver}", facts, remedy)


def _quiet_time(seen: Observations) -> float:
    """Return how long a peer whose datagrams arrive may be silent: it probes all members in turn."""
    return max(SHORTEST_QUIET_TIME, 2 * seen.alive_peers * seen.probe_interval)


def _tcp_out(seen: Observations, peer: PeerReport) -> Finding:
    return Finding(
        ERROR,
        "tcp",
        peer.name,
        f"{seen.name} -> {peer.name}",
        f"TCP: 0 of {peer.tries} pings answered at {peer.address}; UDP: {peer.small} of {peer.tries}",
        f"open TCP port {peer.address.port} on {peer.name} for {seen.name}",
    )


def _mtu(seen: Observations, peer: PeerReport) -> Finding:
    return Finding(
        ERROR,
        "mtu",
        peer.name,
        f"{seen.name} -> {peer.name}",
        f"UDP: {peer.small} of {peer.tries} small pings answered, "
        f"but 0 of {peer.tries} of {seen.packet_bytes} bytes",
        f"let datagrams of {seen.packet_bytes + 28} bytes with IP header pass: raise the MTU of the network "
        "(VPN, overlay), or let fragments and ICMP 'fragmentation needed' through",
    )


def _address_of_peer(peer: PeerReport, facts: str) -> Finding:
    return Finding(
        ERROR,
        "address",
        peer.name,
        "",
        facts,
        f"start {peer.name} with --advertise and an address that its peers can reach",
    )


def _own_address(seen: Observations) -> Iterator[Finding]:
    """Find out whether peers can reach the address that this agent advertises."""
    if ip_address(seen.address.host).is_loopback:
        elsewhere = [peer for peer in seen.peers if not ip_address(peer.address.host).is_loopback]
        if elsewhere:
            yield Finding(
                ERROR,
                "address",
                "",
                "",
                f"this agent advertises {seen.address}, which is loopback, to {len(elsewhere)} peers "
                f"elsewhere, such as {elsewhere[0].name} at {elsewhere[0].address}",
                "set --advertise to an address of this machine that peers can reach",
            )
        return
    cut_off = [peer for peer in seen.peers if peer.stream and not peer.small and not peer.query_acked]
    nobody = all(peer.heard is None for peer in seen.peers) and not seen.streams_from
    if cut_off and len(cut_off) == len(seen.peers) and nobody and seen.running > _quiet_time(seen):
        yield Finding(
            ERROR,
            "address",
            "",
            "peers -> " + seen.name,
            f"nothing has ever come in at {seen.address}, which this agent advertises: no datagram and no "
            f"stream in {seen.running:.0f} s, though {len(cut_off)} peers answer over TCP",
            "set --advertise to an address that peers can reach, or open its UDP and TCP port",
        )


def _inbound_streams(seen: Observations) -> Iterator[Finding]:
    """Find peers whose streams do not arrive: every peer opens one to a random member now and then."""
    patience = MISSED_PUSH_PULLS * seen.push_pull_interval * max(1, seen.alive_peers)
    for peer in seen.peers:
        host = peer.address.host
        last = seen.streams_from.get(host)
        silent = seen.running if last is None else seen.now - last
        is_alone_there = sum(other.address.host == host for other in seen.peers) == 1
        if peer.small and is_alone_there and silent > patience:
            yield Finding(
                ERROR,
                "tcp",
                peer.name,
                f"{peer.name} -> {seen.name}",
                f"no stream from {host} in {silent:.0f} s, about {silent / patience * MISSED_PUSH_PULLS:.0f} "
                f"were to be expected; UDP: {peer.small} of {peer.tries} pings answered",
                f"open TCP port {seen.address.port} on {seen.name} for {peer.name}",
            )


# --- everything else --------------------------------------------------------------------------------------


def _keys(seen: Observations) -> Iterator[Finding]:
    names = {peer.address.host: peer.name for peer in seen.peers}
    for host, complaint in seen.complaints.items():
        who = names.get(host, host)
        facts = f"{complaint.count} messages refused, the last {seen.now - complaint.at:.0f} s ago: "
        facts += complaint.reason
        if any(word in complaint.reason.lower() for word in ENCRYPTION_WORDS):
            remedy = (
                f"give {who} and {seen.name} the same key (--encrypt-file or --keyring-file): compare the "
            )
            remedy += "short names that both log at the start as key="
            yield Finding(ERROR, "key", who, f"{who} -> {seen.name}", facts, remedy)
        else:
            hint = "" if seen.is_encrypted else ", and whether it encrypts while this agent does not"
            remedy = f"check what runs at {host}{hint}"
            yield Finding(WARNING, "protocol", who, f"{who} -> {seen.name}", facts, remedy)


def _names(seen: Observations) -> Iterator[Finding]:
    for name, conflict in seen.conflicts.items():
        yield Finding(
            ERROR,
            "name",
            name,
            "",
            f"two agents use the name: {conflict.mine} and {conflict.theirs}; seen {conflict.count} times, "
            f"the last {seen.now - conflict.at:.0f} s ago",
            "give one of them a name of its own (--node)",
        )


def _delays(seen: Observations) -> Iterator[Finding]:
    late = [delay for delay in seen.delays if delay.late >= seen.probe_timeout]
    if not late:
        return
    worst = max(late, key=lambda delay: delay.late)
    yield Finding(
        WARNING,
        "delay",
        "",
        "",
        f"the event loop woke late {len(late)} times in the last {WINDOW / 60:.0f} min; "
        f"worst: {worst.late:.1f} s, {seen.now - worst.at:.0f} s ago; "
        f"peers wait {seen.probe_timeout:g} s for an answer",
        "give the agent's process CPU time (cgroup limit, steal time, SIGSTOP, a suspended machine): "
        "peers will suspect it, and its own suspicions are doubtful",
    )


def _last_heard(peer: PeerReport) -> str:
    if peer.heard is None:
        return "no datagram ever came from its address"
    return f"the last datagram from its address came {peer.heard:.1f} s ago"
