"""Rules that no swap may break, judged by the servers that really answer at the time of the swap.

Two rules. A server that answers is never removed for a failure or an absence, which only gossip reports. And
a backend with a server that answers still has one after the swap.
"""

from collections.abc import Callable

from gossip.sim.rules import RuleBrokenError
from lb.policy.decision import Reason
from lb.policy.plan import Server
from lb.policy.reconciler import Step

TWO_WITNESSES = "no server that answers is removed on gossip's word alone"
LAST_SERVER = "no swap takes the last server that answers out of a backend"


def check_step(step: Step, answers: Callable[[Server], bool], at: float) -> None:
    """Check a step at the world's time `at`; `answers` tells the truth about a server.

    Raises:
        RuleBrokenError: the step breaks one of the rules.
    """
    after = {server.member for server in step.after.servers}
    reasons = {change.member: change.reason for change in step.decision.changes}
    for server in step.before.servers:
        reason = reasons.get(server.member)
        is_removed = server.member not in after and reason in (Reason.FAILED, Reason.ABSENT)
        if is_removed and answers(server):
            raise RuleBrokenError(TWO_WITNESSES, f"{server.member} {reason}", at)
    for before, now in zip(step.before.backends, step.after.backends, strict=True):
        if before == now or not any(answers(server) for server in before.servers):
            continue
        if not any(answers(server) for server in now.servers):
            raise RuleBrokenError(LAST_SERVER, before.name, at)
