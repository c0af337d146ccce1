"""What is odd about members, said once each: it cannot be a server, or its name may not stand in a file."""

import logging
from collections.abc import Hashable

from lb.policy.plan import MappedName, Rejection

log = logging.getLogger("lb.membership")

MAX_REMEMBERED_COMPLAINTS = 4096
"""Complaints that are not logged again; beyond that the oldest is forgotten, and may be logged once more."""


class Complaints:
    """Logs each complaint once."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[Hashable, None] = {}

    def add(self, about: Rejection | MappedName) -> None:
        """Log that a member cannot have what it asks for, or has a name that may not stand in a file."""
        if about in self._known:
            return
        if len(self._known) >= MAX_REMEMBERED_COMPLAINTS:
            del self._known[next(iter(self._known))]
        self._known[about] = None
        if isinstance(about, Rejection):
            log.warning("member is no server", extra={"member": about.member, "reason": about.reason})
        else:
            log.warning("member gets another name", extra={"member": about.member, "server": about.server})
