"""Reports unexpected exceptions: log them with a traceback, at a bounded rate (ADR 18).

A bug triggered by one client, stream, panel or observer must end only that part, not the agent. Every
place that serves one of them catches `Exception`, ends what it was doing, and calls `Bugs.report`.
"""

import logging

import trio

from gossip.agent.log import Complaints

log = logging.getLogger("gossip.agent")


class Bugs:
    """Logs and counts unexpected exceptions; each kind at most once a minute."""

    __slots__ = ("_complaints", "count")

    def __init__(self) -> None:
        self.count = 0
        self._complaints = Complaints()

    def report(self, place: str, error: BaseException, consequence: str) -> None:
        """Log `error`, caught in `place`; `consequence` says which part ended because of it."""
        self.count += 1
        bug = sole(error)
        held = self._complaints.admit(f"{place} {type(bug).__name__}", trio.current_time())
        if held is not None:
            log.error(
                "this is a bug: please report it",
                exc_info=bug,
                extra={"place": place, "consequence": consequence, "withheld": held},
            )


def sole(error: BaseException) -> BaseException:
    """Unwrap exception groups with a single member, at any depth; return other groups unchanged."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
