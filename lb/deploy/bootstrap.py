"""What a former life left: the file on disk tells which servers there were.

A file of ours (it has the digest that it says it has) is believed. One that was edited or cut gives way to
the last known good one. A file that was never ours is refused, unless a take-over was asked for: then it
stays until there is something to put in its place.
"""

from collections.abc import Collection
from enum import Enum

from msgspec import Struct

from lb.deploy.config_file import ConfigFile
from lb.haproxy.config_text import configured_servers, embedded_digest, is_ours, weights
from lb.policy.allowlist import is_clean
from lb.policy.plan import Claim


class Origin(Enum):
    """Where the present file comes from."""

    NOWHERE = "there is none"
    OURS = "this program wrote it"
    REPAIRED = "it was damaged; the last known good one was restored"
    EDITED = "this program wrote it, and somebody changed it"
    FOREIGN = "somebody else wrote it"


class Inheritance(Struct, frozen=True):
    """The servers of the old file, and where they are known from."""

    origin: Origin
    claims: tuple[Claim, ...] = ()


def inherit(file: ConfigFile, backends: Collection[str], reserved: Collection[str] = ()) -> Inheritance:
    """Look at what is there; servers of backends that are not in `backends` any more are left out.

    So are servers whose names are `reserved`: they are the template's, and no member's.

    Raises:
        SwapError: a file cannot be read.
    """
    content, good = file.read(), file.read_good()
    origin = origin_of(content, good)
    source = {Origin.OURS: content, Origin.REPAIRED: good, Origin.EDITED: content}.get(origin)
    return Inheritance(origin, () if source is None else listed_claims(source, backends, reserved))


def origin_of(content: bytes | None, good: bytes | None) -> Origin:
    """Return where a file comes from, `good` being the last known good one beside it.

    A file with a digest line is ours, edited or whole; so is what is left of one that was cut.
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
    """Return the servers of a file as claims; each member goes by the name of its server."""
    weight_of = weights(content)
    claims: dict[str, Claim] = {}
    for place in configured_servers(content):
        name = place.name
        is_eligible = name.backend in backends and name.server not in reserved
        if is_eligible and is_clean(name.server) and place.host is not None and place.port:
            claims[name.server] = Claim(name.backend, name.server, place.host, place.port, weight_of[name])
    return tuple(claims.values())
