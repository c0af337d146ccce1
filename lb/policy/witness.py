"""The second witness: HAProxy's verdict on a server, besides gossip's on its member.

Gossip hears the agent, HAProxy checks the server itself. A server is removed because its agent is silent only
if both agree; see `lb.policy.guard`.
"""

from collections.abc import Mapping
from enum import StrEnum


class Health(StrEnum):
    """HAProxy's verdict on one server at its address in the file."""

    UP = "UP"
    DOWN = "DOWN"
    UNCHECKED = "no check"  # the template has no check for it, so HAProxy cannot know
    UNKNOWN = "unknown"  # no answer, not checked yet, or the address differs


Healths = Mapping[str, Health]
"""HAProxy's verdict by member; a member that is missing is `Health.UNKNOWN`."""


def health_of(member: str, healths: Healths | None) -> Health:
    """Return HAProxy's verdict on the server of `member`; `healths` is None if HAProxy was not asked."""
    return Health.UNKNOWN if healths is None else healths.get(member, Health.UNKNOWN)
