"""The cluster as this load balancer last saw it: seeds for its next life.

A balancer restarted without seeds would know no members, while its file is full of servers whose agents could
be asked. So the addresses of members are kept in a small file beside HAProxy's state file, and the hosts of
the servers in the configuration are asked, too.
"""

import logging
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

import msgspec
import trio

from gossip.host_port import parse_port
from gossip.serf.members import MemberStatus, SerfMember
from gossip.serf.node import SerfNode
from gossip.whole_file import replace_file
from lb.policy.plan import Claim

log = logging.getLogger(__name__)

VIEW_NAME = ".lb.members"
VIEW_INTERVAL = 5.0
"""Seconds between two checks whether the view has changed."""
MAX_REMEMBERED = 32
"""Members whose addresses are kept, longest alive first."""
MAX_SEEDS = 64
"""Addresses that are asked at the start."""
MAX_VIEW_BYTES = 64 * 1024


def read_view(path: Path) -> tuple[str, ...]:
    """Return the addresses (``host:port``) kept by an earlier life; () if none can be read."""
    try:
        with path.open("rb") as file:
            addresses = msgspec.json.decode(file.read(MAX_VIEW_BYTES), type=list[str])
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.DecodeError) as error:
        log.warning("cannot read the members of the last run", extra={"file": path, "reason": str(error)})
        return ()
    return tuple(address for address in addresses[:MAX_REMEMBERED] if _is_address(address))


def write_view(path: Path, addresses: Iterable[str]) -> None:
    """Replace the kept addresses, completely or not at all; blocks.

    Raises:
        OSError: the directory cannot be written.
    """
    replace_file(path, msgspec.json.encode(list(addresses)), prefix=f"{VIEW_NAME}.")


def addresses_of(members: Iterable[SerfMember], me: str) -> tuple[str, ...]:
    """Return the addresses of the other members that are alive, longest alive first."""
    others = [m for m in members if m.status is MemberStatus.ALIVE and m.name != me]
    others.sort(key=lambda m: (m.changed_at, m.name))
    return tuple(str(m.address) for m in others[:MAX_REMEMBERED])


def seeds(view: Iterable[str], claims: Iterable[Claim]) -> tuple[str, ...]:
    """Return the addresses to ask at the start: the members of the last view, then the file's servers."""
    hosts = [f"[{claim.host}]" if ":" in claim.host else claim.host for claim in claims]
    return tuple(dict.fromkeys((*view, *hosts)))[:MAX_SEEDS]


async def keep_view(node: SerfNode, path: Path) -> None:
    """Keep the addresses of `node`'s members until cancelled; a node that is alone changes nothing."""
    kept: frozenset[str] = frozenset()
    while True:
        await trio.sleep(VIEW_INTERVAL)
        addresses = addresses_of(node.members(), node.name)
        if not addresses or kept == frozenset(addresses):
            continue
        try:
            await trio.to_thread.run_sync(write_view, path, addresses)
        except OSError as error:
            log.warning("cannot save the members for the next start", extra={"reason": str(error)})
        kept = frozenset(addresses)


def _is_address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    try:
        ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return bool(parse_port(port))
