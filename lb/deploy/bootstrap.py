"""What a former life left: the file on disk tells which servers there were.

A file of ours (it has the digest that it says it has) is believed. One that was edited or cut is replaced by
the last known good one. A file that somebody else wrote stays until there is something to put in its place.
"""

from collections.abc import Collection
from enum import Enum

from msgspec import Struct

from lb.deploy.config_file import ConfigFile
from lb.haproxy.config_text import configured_servers, is_ours, weights
from lb.policy.allowlist import is_clean
from lb.policy.plan import Claim


class Origin(Enum):
    """Where the present file comes from."""

    NOWHERE = "there is none"
    OURS = "this program wrote it"
    REPAIRED = "it was damaged, and the last known good one takes its place"
    FOREIGN = "somebody else wrote it"


class Inheritance(Struct, frozen=True):
    """The servers of the old file, and where they are known from."""

    origin: Origin
    claims: tuple[Claim, ...] = ()


def inherit(file: ConfigFile, backends: Collection[str]) -> Inheritance:
    """Look at what is there; servers of backends that are not in `backends` any more are left out.

    Raises:
        SwapError: a file cannot be read.
    """
    content = file.read()
    if content is not None and is_ours(content):
        return Inheritance(Origin.OURS, listed_claims(content, backends))
    good = file.read_good()
    if good is not None and is_ours(good):
        return Inheritance(Origin.REPAIRED, listed_claims(good, backends))
    return Inheritance(Origin.NOWHERE if content is None else Origin.FOREIGN)


def listed_claims(content: bytes, backends: Collection[str]) -> tuple[Claim, ...]:
    """Return the servers of a file as claims; each member goes by the name of its server."""
    weight_of = weights(content)
    claims: dict[str, Claim] = {}
    for place in configured_servers(content):
        name = place.name
        if name.backend in backends and is_clean(name.server) and place.host is not None and place.port:
            claims[name.server] = Claim(name.backend, name.server, place.host, place.port, weight_of[name])
    return tuple(claims.values())
