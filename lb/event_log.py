"""The balancer's log of its decisions: one line for each server, and one for each wait.

A line about a server has its name, the reason, the reporters, how long it took, and HAProxy's verdict. A line
about a wait says what it waits for, which servers are kept meanwhile, and the remedy. Faults of a member are
logged once.
"""

import logging
from collections.abc import Hashable, Mapping, Sequence

from gossip.settings.duration import Seconds
from lb.policy.decision import Account, Reason, State, Word
from lb.policy.plan import MappedName, Rejection, Server
from lb.policy.reconciler import Step
from lb.policy.witness import Health

log = logging.getLogger("lb")

MAX_REMEMBERED_COMPLAINTS = 4096
"""Complaints that are not logged again; beyond that, the oldest is forgotten, and may be logged once more."""
MAX_NAMES = 10
"""Servers named in one line."""

_WAITS = {
    "isolated": (
        "to hear from a member of the cluster",
        "check the network between this agent and its peers",
    ),
    "health": ("this agent to keep up, 30s at most", "check this machine for overload or packet loss"),
    "suspect": ("suspicions in a backend to be resolved, 30s at most", ""),
    "quiet": ("the set of failures to stay the same while broadcasts propagate", ""),
    "haproxy": ("haproxy's checks to agree", ""),
    "join": ("members to confirm the servers of the old file", ""),
    "moving": (
        "haproxy to report the servers DOWN, or their new addresses to answer",
        "start the servers at the announced addresses, or correct the members' tags",
    ),
    "min_backends": ("another server to be UP", "start a server: the last servers of a backend are kept"),
    "disputed": (
        "haproxy to report the servers DOWN, or their members to return or leave",
        "restart the agents of these servers, or stop the servers",
    ),
    "unconfirmed": (
        "haproxy's view of the servers",
        "check the admin socket, and that the template's server lines have a check",
    ),
}
"""For each detail of a state, what it waits for, and the remedy."""


class EventLog:
    """Writes the log lines."""

    __slots__ = ("_full", "_known")

    def __init__(self) -> None:
        self._known: dict[Hashable, None] = {}
        self._full: frozenset[str] = frozenset()

    def complain(self, about: Rejection | MappedName) -> None:
        """Log that a member cannot have what it asks for, or that its name may not be in a file."""
        if about in self._known:
            return
        if len(self._known) >= MAX_REMEMBERED_COMPLAINTS:
            del self._known[next(iter(self._known))]
        self._known[about] = None
        if isinstance(about, Rejection):
            log.warning("member ignored", extra={"member": about.member, "reason": about.reason})
        else:
            log.warning("member renamed", extra={"member": about.member, "server": about.server})

    def tell_changes(self, step: Step) -> None:
        """Log each server that enters, changes or leaves the plan."""
        before = {server.member: server for server in step.before.servers}
        after = {server.member: server for server in step.after.servers}
        for account in step.decision.accounts:
            member = account.change.member
            server = after.get(member) or before.get(member)
            if server is not None:
                _tell(account, server, is_in=member in after, was_in=member in before)

    def tell_state(self, state: State, previous: str, lasted: float, kept: Sequence[str]) -> None:
        """Log that the state has changed after `lasted` seconds, and which servers the new one keeps."""
        fields: dict[str, object] = {"event": "lb.state", "state": str(state), "previous": previous}
        fields["for"] = Seconds(lasted)
        waits = [_WAITS[word] for word in state.detail.split(",") if word in _WAITS]
        if waits:
            fields["waits_for"] = "; ".join(wait for wait, _ in waits)
        if waits and kept:
            more = f" and {len(kept) - MAX_NAMES} more" if len(kept) > MAX_NAMES else ""
            fields["kept"] = ",".join(kept[:MAX_NAMES]) + more
        if advice := "; ".join(advice for _, advice in waits if advice):
            fields["do"] = advice
        is_grave = state.word in (Word.HELD, Word.DEGRADED)
        log.log(logging.WARNING if is_grave else logging.INFO, "state changed", extra=fields)

    def tell_room(self, full: Mapping[str, int], turned_away: int) -> None:
        """Log when a backend becomes full, and when it has room again."""
        for backend in sorted(full.keys() - self._full):
            fields = {
                "event": "lb.full",
                "backend": backend,
                "waiting": full[backend],
                "turned_away": turned_away,
            }
            do = "look for members that nobody started; without encryption anybody can announce them"
            log.error("backend is full: new servers wait", extra={**fields, "do": do})
        for backend in sorted(self._full - full.keys()):
            log.info("backend has room again", extra={"event": "lb.full", "backend": backend})
        self._full = frozenset(full)


def _tell(account: Account, server: Server, *, is_in: bool, was_in: bool) -> None:
    change = account.change
    text = "server removed" if not is_in else "server changed" if was_in else "server added"
    fields: dict[str, object] = {"event": "lb.change", "server": f"{server.backend}/{server.name}"}
    if server.name != server.member:
        fields["member"] = server.member
    fields |= {"addr": server.address, "reason": str(change.reason)}
    if change.successor:
        fields["successor"] = change.successor
    fields["said_by"] = ",".join(account.said_by) or "nobody"
    fields["after"] = Seconds(account.seconds)
    if account.health is not Health.UNKNOWN:
        fields["haproxy"] = str(account.health)
    is_loss = change.reason in (Reason.FAILED, Reason.ABSENT)
    log.log(logging.WARNING if is_loss else logging.INFO, text, extra=fields)
