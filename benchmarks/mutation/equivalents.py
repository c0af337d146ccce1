"""Survivors that no test can kill, because they behave as the original does; each with the reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Equivalent:
    """A change of one line, in any module, that changes nothing."""

    before: str
    after: str
    why: str


EQUIVALENTS = (
    Equivalent(
        "class QueryFinished(Struct, frozen=True, gc=False):",
        "class QueryFinished(Struct, frozen=True, gc=True):",
        "the collector looks at it; only costs more",
    ),
    Equivalent(
        "class QueryAcked(Struct, frozen=True, gc=False):",
        "class QueryAcked(Struct, frozen=True, gc=True):",
        "the collector looks at it; only costs more",
    ),
    Equivalent(
        "class PathsChecked(Struct, frozen=True, gc=False):",
        "class PathsChecked(Struct, frozen=True, gc=True):",
        "the collector looks at it; only costs more",
    ),
    Equivalent(
        "class QueryEnds(Timer, frozen=True, gc=False):",
        "class QueryEnds(Timer, frozen=True, gc=True):",
        "the collector looks at it; only costs more",
    ),
    Equivalent(
        "class MemberLeaving(Struct, frozen=True, gc=False):",
        "class MemberLeaving(Struct, frozen=True, gc=True):",
        "the collector looks at it; only costs more",
    ),
    Equivalent(
        "class PruneDue(Timer, frozen=True, gc=False):",
        "class PruneDue(Timer, frozen=True, gc=True):",
        "the collector looks at it; only costs more",
    ),
    Equivalent(
        "options.never_capture = True",
        "options.never_capture = False",
        "groups that nobody reads are captured; only costs more",
    ),
    Equivalent(
        "if row.state is MemberState.ALIVE",
        "if row.state == MemberState.ALIVE",
        "there is one object per state",
    ),
    Equivalent(
        "elif row.state is MemberState.LEFT:",
        "elif row.state == MemberState.LEFT:",
        "there is one object per state",
    ),
    Equivalent(
        "if self.stage is not LeaveStage.IN:",
        "if self.stage != LeaveStage.IN:",
        "there is one object per stage",
    ),
    Equivalent(
        "def force_leave(self, name: str, *, prune: bool, now: float) -> int:",
        "def force_leave(self, name: str, /, prune: bool, now: float) -> int:",
        "every caller passes the name by position and the rest by name",
    ),
    Equivalent(
        "handle = _HANDLERS.get(payload[0] if payload else -1, UserMessages._ignore)",
        "handle = _HANDLERS.get(payload[0] if payload else +1, UserMessages._ignore)",
        "an empty message is refused by every handler, with the same error",
    ),
    Equivalent(
        "for _ in range(TRIES_PER_CHOICE * k):",
        "for _ in []:",
        "the search of the whole ring, which follows, is as random; it only costs more",
    ),
    Equivalent(
        "for _ in range(TRIES_PER_CHOICE * k):",
        "for _ in range(TRIES_PER_CHOICE << k):",
        "more or fewer tries before the search of the whole ring, which is as random",
    ),
    Equivalent(
        "NO_BYTE = -1",
        "NO_BYTE = +1",
        "any number serves that is neither of the two with which it is compared",
    ),
    Equivalent(
        "self.limit = 0  # transmissions per broadcast; the owner follows the size of the cluster",
        "self.limit = -1  # transmissions per broadcast; the owner follows the size of the cluster",
        "its owner sets it before anything is sent",
    ),
    Equivalent(
        "return any(m is not self.me and not m.is_gone for m in self._ring)",
        "return any(m != self.me and not m.is_gone for m in self._ring)",
        "members are compared by identity either way",
    ),
    Equivalent(
        "self._serial = 0",
        "self._serial = -1",
        "serial numbers are only compared with each other",
    ),
    Equivalent(
        "self._size = 0  # of the cluster, when the retransmit limit was last computed",
        "self._size = -1  # of the cluster, when the retransmit limit was last computed",
        "no cluster has either size: a node counts itself",
    ),
    Equivalent(
        "if n != self._size:",
        "if n is not self._size:",
        "the same limit may be computed once more",
    ),
    Equivalent(
        "dropped = [m for m in self._ring if m.is_gone and m.since < forget_before and m is not self.me]",
        "dropped = [m for m in self._ring if m.is_gone and m.since < forget_before and m != self.me]",
        "members are compared by identity either way",
    ),
    Equivalent(
        "elif row.state is MemberState.LEFT:",
        "elif row.state >= MemberState.LEFT:",
        "no state is greater",
    ),
    Equivalent(
        "MAX_QUEUED_MESSAGES = 65_536",
        "MAX_QUEUED_MESSAGES = 65535",
        "one message per name can wait, and the names are limited to 16,384 before",
    ),
    Equivalent(
        "for _ in range(TRIES_PER_CHOICE * k):",
        "for _ in range(TRIES_PER_CHOICE // k):",
        "more or fewer tries before the search of the whole ring, which is as random",
    ),
    Equivalent(
        "TRIES_PER_CHOICE = 4",
        "TRIES_PER_CHOICE = 3",
        "more or fewer tries before the search of the whole ring, which is as random",
    ),
    Equivalent(
        "if member not in chosen and eligible(member):",
        "if not member not in chosen and eligible(member):",
        "the tries find nobody; the search of the whole ring, which follows, is as random",
    ),
    Equivalent(
        "return row.incarnation > known.incarnation or row.addr != alive.addr or row.port != alive.port",
        "return row.incarnation >= known.incarnation or row.addr != alive.addr or row.port != alive.port",
        "what says nothing more is passed on to the rule that finds so, too; it only costs more",
    ),
    Equivalent(
        "return row.incarnation > known.incarnation or row.addr != alive.addr or row.port != alive.port",
        "return row.incarnation > known.incarnation or row.addr != alive.addr or row.port is not alive.port",
        "what says nothing more is passed on to the rule that finds so, too; it only costs more",
    ),
    Equivalent(
        "self.limit = 0  # transmissions per broadcast; the owner follows the size of the cluster",
        "self.limit = 1  # transmissions per broadcast; the owner follows the size of the cluster",
        "its owner sets it before anything is sent",
    ),
    Equivalent(
        "if member.state is MemberState.ALIVE:",
        "if member.state == MemberState.ALIVE:",
        "there is one object per state",
    ),
    Equivalent(
        "if kind == ALIVE_BYTE:",
        "if kind is ALIVE_BYTE:",
        "there is one object per small number",
    ),
    Equivalent(
        "if len(parts) < room:",
        "if len(parts) <= room:",
        "whoever is asked for no broadcasts gives none",
    ),
    Equivalent(
        "NO_BYTE = -1",
        "NO_BYTE = - 2",
        "any number serves that is neither of the two with which it is compared",
    ),
    Equivalent(
        "TRIES_PER_CHOICE = 4",
        "TRIES_PER_CHOICE = 5",
        "more or fewer tries before the search of the whole ring, which is as random",
    ),
    Equivalent(
        "for _ in range(TRIES_PER_CHOICE * k):",
        "for _ in range(TRIES_PER_CHOICE >> k):",
        "more or fewer tries before the search of the whole ring, which is as random",
    ),
    Equivalent(
        "self._serial += 1",
        "self._serial += 2",
        "serial numbers are only compared with each other",
    ),
    Equivalent(
        "LEFTOVERS_TOLERATED = 64",
        "LEFTOVERS_TOLERATED = 63",
        "the heap is rebuilt a little earlier or later, to the same effect",
    ),
    Equivalent(
        "LEFTOVERS_TOLERATED = 64",
        "LEFTOVERS_TOLERATED = 65",
        "the heap is rebuilt a little earlier or later, to the same effect",
    ),
    # --- lb/policy
    Equivalent(
        'return (Reason.LEFT if candidate.status is MemberStatus.LEFT else Reason.WITHDRAWN), ""',
        'return (Reason.LEFT if candidate.status >= MemberStatus.LEFT else Reason.WITHDRAWN), ""',
        "a member that is gone is LEFT or ALIVE, never FAILED",
    ),
    Equivalent(
        "return MemberStatus.FAILED if status is MemberStatus.LEFT else status",
        "return MemberStatus.FAILED if status == MemberStatus.LEFT else status",
        "there is one object per status",
    ),
    Equivalent(
        "return self.status is MemberStatus.LEAVING",
        "return self.status == MemberStatus.LEAVING",
        "there is one object per status",
    ),
    Equivalent(
        "failed = self.status is MemberStatus.ALIVE and status is MemberStatus.FAILED",
        "failed = self.status is MemberStatus.ALIVE and status >= MemberStatus.FAILED",
        "no status is greater",
    ),
    Equivalent(
        "if failures != self.pending:",
        "if failures < self.pending:",
        "a failure that was not pending before has set the time already",
    ),
    Equivalent(
        "self._at = 0.0",
        "self._at = 1.0",
        "a penalty without a value is zero at any time",
    ),
    Equivalent(
        "self._was_isolated = False",
        "self._was_isolated = True",
        "at the first look every pending failure began at that very moment",
    ),
    Equivalent(
        "if status is MemberStatus.LEAVING:",
        "if status == MemberStatus.LEAVING:",
        "there is one object per status",
    ),
    Equivalent(
        "def parse_host(text: str, networks: tuple[Network, ...], *, allow_loopback: bool)"
        " -> tuple[str, str]:",
        "def parse_host(text: str, networks: tuple[Network, ...], /, allow_loopback: bool)"
        " -> tuple[str, str]:",
        "every caller gives the first two by place and the third by name",
    ),
    Equivalent(
        "able = [c for c in gone if health_of(c.member, view.healths) is not Health.DOWN]",
        "able = [c for c in gone if health_of(c.member, view.healths) != Health.DOWN]",
        "there is one object per word of HAProxy's",
    ),
    Equivalent(
        "self._at = 0.0",
        "self._at = -1.0",
        "a penalty without a value is zero at any time",
    ),
    Equivalent(
        "self.is_turned_away = False",
        "self.is_turned_away = True",
        "gossip's first word about a member sets it anew, before anybody asks for it",
    ),
    Equivalent(
        "is_absent=candidate.status is MemberStatus.NONE,",
        "is_absent=candidate.status <= MemberStatus.NONE,",
        "no status is less",
    ),
    Equivalent(
        "wanted = None if candidate.is_blocked and claim != listed else claim",
        "wanted = None if candidate.is_blocked and claim is not listed else claim",
        "who wants nothing else than the equal claim that it has keeps it either way",
    ),
    Equivalent(
        "self._changed_at = -math.inf",
        "self._changed_at = not math.inf",
        "it is read only while a failure is pending, and the first failure has set it by then",
    ),
    Equivalent(
        "self.recent.minimum = self.clock.time if last else 0",
        "self.recent.minimum = self.clock.time if last else -1",
        "no time is below zero",
    ),
    Equivalent(
        "if member.status is MemberStatus.FAILED and now - member.changed_at < self._config.flap_timeout:",
        "if member.status >= MemberStatus.FAILED and now - member.changed_at < self._config.flap_timeout:",
        "no status is greater",
    ),
    Equivalent(
        "max_attempts: int = 0,",
        "max_attempts: int = -1,",
        "any number below one means no limit",
    ),
    Equivalent(
        "if sum(known[0] == request[0] for known in self._asked) >= MAX_REQUESTS:",
        "if sum(known[0] == request[0] for known in self._asked) == MAX_REQUESTS:",
        "the number grows by one at a time and is checked each time",
    ),
    Equivalent(
        "self._gossip_place = 0",
        "self._gossip_place = 1",
        "at the start: members stand in random order, so the first round may begin anywhere",
    ),
    Equivalent(
        "if status is not self.status:",
        "if status != self.status:",
        "there is one object per status",
    ),
)


def why_equivalent(before: str, after: str) -> str | None:
    """Return why the change makes no difference, None if it is not known to make none."""
    return next((e.why for e in EQUIVALENTS if (e.before, e.after) == (before, after)), None)
