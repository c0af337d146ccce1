"""What became of one simulated HAProxy file: its swaps, and which of them turned out to be for nothing.

A *swap* is a step after which the file has other servers than before; a step that only drains is none. (The
real balancer may put several steps into one reload, when they come within `min_reload_interval`.)

A swap is *undone* if it took the line of a member that was a server in truth, or gave one to a member that
was none, and a later swap gives the member back what it had before, while nothing has happened to its process
between the two: the same life, with the same status of its own and the same claim. So a server was taken out
and is put back although its process never stopped, or the file is restored although everything is as it was.
It does not matter whether messages were lost meanwhile: who was cut off, but came back, was taken out for
nothing.

A backend is *emptied by failures alone* when a swap takes out its last servers, all of them failed or absent.
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
    """The true state of a member's process at a moment, independent of what others believe."""

    life: int  # how often it was started
    status: MemberStatus  # its own; NONE if it does not run
    claim: Claim | None  # what it asks for; None: it is no server


class Swap(Struct, frozen=True):
    """One change of the file."""

    at: float  # the world's time, seconds
    size: int  # servers in the file afterwards
    changes: tuple[Change, ...]


class _Edit(Struct, frozen=True):
    """What one swap did to one member's line; None: it has none."""

    swap: int
    before: Line | None
    process: Process

    def is_undone_by(self, later: "_Edit", after: Line | None) -> bool:
        """Tell whether `later`, which leaves the line `after`, shows that this was for nothing."""
        was_wrong = (self.before is not None) is (self.process.claim is not None)
        return was_wrong and self.before == after and self.process == later.process


class History:
    """All swaps of one file, through all lives of its balancer."""

    def __init__(self) -> None:
        self.swaps: list[Swap] = []
        self.undone: set[int] = set()  # indexes of `swaps`
        self.emptied = 0  # backends, by failures alone
        self._edits: dict[str, list[_Edit]] = {}

    def record(self, step: Step, process_of: Callable[[str], Process], at: float) -> None:
        """Take note of a step; `process_of` tells what is true of a member now."""
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
