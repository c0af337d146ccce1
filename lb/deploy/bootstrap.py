"""The inheritance of an earlier life: the file on disk shows which servers there were.

A file of ours (with the digest that it states) is trusted. One that was edited or truncated is replaced by
the last known good one. A file that was never ours is refused, unless a take-over was requested: then it
stays until there is a replacement.
"""

from collections.abc import Collection
from enum import Enum

from msgspec import Struct

from lb.deploy.config_file import ConfigFile
from lb.haproxy.config_text import configured_servers, embedded_digest, is_ours, weights
from lb.policy.allowlist import is_clean
from lb.policy.plan import Claim


class Origin(Enum):
    """The origin of the current file."""

    NOWHERE = "there is none"
    OURS = "this program wrote it"
    REPAIRED = "it was damaged; the last known good one was restored"
    EDITED = "this program wrote it, and somebody changed it"
    FOREIGN = "somebody else wrote it"


class Inheritance(Struct, frozen=True):
    """The servers of the old file, and its origin."""

    origin: Origin
    claims: tuple[Claim, ...] = ()


def inherit(file: ConfigFile, backends: Collection[str], reserved: Collection[str] = ()) -> Inheritance:
    """Read the existing file; servers of backends that are no longer in `backends` are left out.

    So are servers with `reserved` names: they belong to the template, not to members.

    Raises:
        SwapError: a file cannot be read.
    """
    content, good = file.read(), file.read_good()
    origin = origin_of(content, good)
    source = {Origin.OURS: content, Origin.REPAIRED: good, Origin.EDITED: content}.get(origin)
    return Inheritance(origin, () if source is None else listed_claims(source, backends, reserved))


def origin_of(content: bytes | None, good: bytes | None) -> Origin:
    """Return the origin of a file; `good` is the last known good file beside it.

    A file with a digest line is ours, edited or complete; so is the rest of a truncated one.
    """
    if content is not None and is_ours(content):
        return Origin.OURS
    has_good = good is not None and is_ours(good)
    if content is None or (has_good and good is not None and good.startswith(content)):
        return Origin.REPAIRED if has_good else Origin.NOWHERE
    if embedded_digest(content) is not None:
        return Origin.REPAIRED if has_good else Origin.EDITED
    return Origin.FOREIGN


def listed_claims(
    content: bytes, backends: Collection[str], reserved: Collection[str] = ()
) -> tuple[Claim, ...]:
    """Return the servers of a file as claims; each member has the name of its server."""
    weight_of = weights(content)
    claims: dict[str, Claim] = {}
    for place in configured_servers(content):
        name = place.name
        is_eligible = name.backend in backends and name.server not in reserved
        if is_eligible and is_clean(name.server) and place.host is not None and place.port:
            claims[name.server] = Claim(name.backend, name.server, place.host, place.port, weight_of[name])
    return tuple(claims.values())
