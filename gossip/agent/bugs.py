"""Unexpected exceptions: what raised one ends alone, and the log says where, at a bounded rate.

A bug behind one client, one stream, one panel or one observer must not take the membership of this machine
with it. Each place that serves somebody else catches `Exception` and hands it to `Bugs.report`.
"""

import logging

import trio

from gossip.agent.log import Complaints

log = logging.getLogger("gossip.agent")


class Bugs:
    """Logs unexpected exceptions, each kind once per `gossip.agent.log.COMPLAINT_PERIOD`."""

    __slots__ = ("_complaints", "count")

    def __init__(self) -> None:
        self.count = 0
        self._complaints = Complaints()

    def report(self, place: str, error: BaseException, consequence: str) -> None:
        """Log `error` with its traceback: `place` is where it was caught, `consequence` what ended by it."""
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
    """Return the exception inside of a group of one, however deep; other groups as they are."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
