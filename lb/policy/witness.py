"""The second witness: what HAProxy says of a server, beside what gossip says of its member.

Gossip hears the agent, HAProxy checks the server itself. A server is taken out for its agent's silence only
when both agree; see `lb.policy.guard`.
"""

from collections.abc import Mapping
from enum import StrEnum


class Health(StrEnum):
    """HAProxy's word on one server at the address that the file gives it."""

    UP = "UP"
    DOWN = "DOWN"
    UNCHECKED = "no check"  # the template has no check for it: HAProxy cannot know
    UNKNOWN = "unknown"  # HAProxy does not answer, has not checked it yet, or has it elsewhere


Healths = Mapping[str, Health]
"""HAProxy's word by member; a member that is missing is `Health.UNKNOWN`."""


def health_of(member: str, healths: Healths | None) -> Health:
    """Return HAProxy's word on the server of `member`; `healths` is None if HAProxy was not asked."""
    return Health.UNKNOWN if healths is None else healths.get(member, Health.UNKNOWN)
