"""The history of one simulated HAProxy file: its swaps, and those that turned out to be for nothing.

A *swap* is a step that changes the servers in the file; a step that only drains is not one. (The real
balancer may combine several steps into one reload, if they come within `min_reload_interval`.)

A swap is *undone* if it removed the line of a member that really was a server, or gave one to a member that
was not, and a later swap restores the earlier line, while the member's process has not changed between the
two: the same life, with the same status of its own and the same claim. So a server was removed and put back
although its process never stopped, or the file was restored although nothing had changed. Whether messages
were lost meanwhile does not matter: a member that was cut off and came back was removed for nothing.

A backend is *emptied by failures alone* if a swap removes its last servers, all of them failed or absent.
"""

from collections.abc import Callable, Iterator
from itertools import groupby

from msgspec import Struct

from gossip.serf.members import MemberStatus
from lb.policy.decision import Change, Reason
from lb.policy.plan import Claim, Plan, Server
from lb.policy.reconciler import Step

Line = tuple[str, str, int, int]
"""Backend, host, port and weight of one server."""


class Process(Struct, frozen=True):
    """The true state of a member's process at one time, independent of what others believe."""

    life: int  # how many times it was started
    status: MemberStatus  # its own status; NONE if it is not running
    claim: Claim | None  # what it asks for; None if it is not a server


class Swap(Struct, frozen=True):
    """One change of the file."""

    at: float  # the world's time, seconds
    size: int  # servers in the file afterwards
    changes: tuple[Change, ...]


class _Edit(Struct, frozen=True):
    """The effect of one swap on one member's line; None means no line."""

    swap: int
    before: Line | None
    process: Process

    def is_undone_by(self, later: "_Edit", after: Line | None) -> bool:
        """Tell whether `later`, which leaves the line `after`, shows that this edit was for nothing."""
        was_wrong = (self.before is not None) is (self.process.claim is not None)
        return was_wrong and self.before == after and self.process == later.process


class History:
    """All swaps of one file, through all lives of its balancer."""

    def __init__(self) -> None:
        self.swaps: list[Swap] = []
        self.undone: set[int] = set()  # indexes of `swaps`
        self.emptied = 0  # backends emptied by failures alone
        self._edits: dict[str, list[_Edit]] = {}

    def record(self, step: Step, process_of: Callable[[str], Process], at: float) -> None:
        """Record a step; `process_of` returns the true state of a member now."""
        if step.before.digest == step.after.digest:
            return
        self.emptied += sum(1 for _ in _emptied_by_failures(step))
        before, after = _lines(step.before), _lines(step.after)
        for member in sorted(before.keys() | after.keys()):
            if before.get(member) != after.get(member):
                edit = _Edit(len(self.swaps), before.get(member), process_of(member))
                edits = self._edits.setdefault(member, [])
                self.undone.update(e.swap for e in edits if e.is_undone_by(edit, after.get(member)))
                edits.append(edit)
        self.swaps.append(Swap(at, len(after), step.decision.changes))


def _lines(plan: Plan) -> dict[str, Line]:
    return {s.member: (s.backend, s.host, s.port, s.weight) for s in plan.servers}


def _emptied_by_failures(step: Step) -> Iterator[str]:
    reasons = {change.member: change.reason for change in step.decision.changes}
    filled = {backend.name for backend in step.after.backends if backend.servers}
    for name, servers in groupby(step.before.servers, lambda server: server.backend):
        if name not in filled and all(_has_failed(server, reasons) for server in servers):
            yield name


def _has_failed(server: Server, reasons: dict[str, Reason]) -> bool:
    return reasons.get(server.member) in (Reason.FAILED, Reason.ABSENT)
