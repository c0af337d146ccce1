"""Members and their tags become backends and servers: equal inputs give equal plans, in any order.

First `read_claim` judges one member on its own; then `make_plan` gives every claim a server name and an id
that are unique in the file. Refusals and renames are returned as data: the caller logs each once.
"""

from collections.abc import Iterable, Mapping, Set
from hashlib import sha256
from itertools import groupby

from msgspec import Struct

from gossip.errors import ConfigError, LocalProtocolError
from gossip.host_port import host_port
from gossip.serf.members import MemberStatus
from lb.policy.allowlist import (
    HASH_DIGITS,
    MAX_SERVER_ID,
    MAX_WEIGHT,
    PRIVATE_NETWORKS,
    Network,
    is_clean,
    is_own,
    parse_host,
    parse_port,
    parse_weight,
    replaced_name,
    server_id,
)

MAX_BACKENDS = 64


class PlanConfig(Struct, frozen=True, kw_only=True):
    """Which members are servers, and what they may ask for.

    Raises:
        ConfigError: a backend name is unusable or given twice, or a number is out of range.
    """

    role_tag: str = "role"
    role: str = "backend"
    port_tag: str = "port"
    weight_tag: str | None = None
    backend_tag: str | None = None  # if the tag is absent or this is None: the first of `backends`
    backends: tuple[str, ...] = ("web",)
    allowed_networks: tuple[Network, ...] = PRIVATE_NETWORKS
    allow_loopback: bool = False
    max_servers_per_backend: int = 1000
    reserved_names: frozenset[str] = frozenset()  # server names used by the template itself
    own_listeners: frozenset[tuple[str, int]] = frozenset()  # HAProxy's and the agent's: never servers
    own_hosts: frozenset[str] = frozenset()  # addresses of this machine, besides loopback
    default_weight: int = 100  # of 256: leaves room for percentages in both directions

    def __post_init__(self) -> None:
        """Check the values, which a person wrote."""
        if not 1 <= len(self.backends) <= MAX_BACKENDS:
            raise ConfigError(f"{len(self.backends)} backends: give 1 to {MAX_BACKENDS}")
        for name in self.backends:
            if not is_clean(name):
                raise ConfigError(f"backend {name!r}: use 1-63 letters, digits, '_', '.' or '-'")
        if len(set(self.backends)) < len(self.backends):
            raise ConfigError(f"backends {', '.join(self.backends)}: a name is given twice")
        if self.max_servers_per_backend < 1:
            raise ConfigError(f"max_servers_per_backend {self.max_servers_per_backend}: at least 1 is needed")
        if not 0 <= self.default_weight <= MAX_WEIGHT:
            raise ConfigError(f"default_weight {self.default_weight}: must be in 0..{MAX_WEIGHT}")


class MemberFact(Struct, frozen=True):
    """Gossip's facts about one member; every word comes from the member itself."""

    name: str
    status: MemberStatus
    host: str  # an IP address as text
    tags: Mapping[str, str]


class Claim(Struct, frozen=True, order=True):
    """A place in a backend that a member asks for, checked on its own."""

    backend: str
    member: str
    host: str  # canonical
    port: int
    weight: int

    @property
    def place(self) -> tuple[str, str, int]:
        """The part that only one member can have: backend, host and port."""
        return self.backend, self.host, self.port


class Rejection(Struct, frozen=True, order=True):
    """A member that asked to be a server and was refused."""

    member: str
    reason: str  # only our own words: safe to print


class MappedName(Struct, frozen=True, order=True):
    """A member whose name may not be in the file, and the server name that it got instead."""

    member: str
    server: str


class Server(Struct, frozen=True):
    """One server line."""

    name: str
    member: str  # as gossiped: must never be rendered
    backend: str
    host: str
    port: int
    weight: int
    id: int

    @property
    def address(self) -> str:
        """``host:port`` in HAProxy's form, an IPv6 host in brackets."""
        return host_port(self.host, self.port)


class Backend(Struct, frozen=True):
    """A backend and its servers, sorted bytewise by name."""

    name: str
    servers: tuple[Server, ...]


class Plan(Struct, frozen=True):
    """Everything in the file that depends on members: all configured backends, sorted bytewise by name."""

    backends: tuple[Backend, ...]

    @property
    def servers(self) -> tuple[Server, ...]:
        """All servers, by backend and name."""
        return tuple(server for backend in self.backends for server in backend.servers)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of backends and servers: two load balancers must agree on it."""
        lines = [f"backend {backend.name}" for backend in self.backends]
        lines += [f"{s.backend} {s.name} {s.address} {s.id} {s.weight}" for s in self.servers]
        return sha256("\n".join(lines).encode()).hexdigest()

    def emptied(self) -> "Plan":
        """Return the same backends without servers."""
        return Plan(tuple(Backend(backend.name, ()) for backend in self.backends))


class Planned(Struct, frozen=True):
    """A plan, and the refusals and renames for a person."""

    plan: Plan
    rejections: tuple[Rejection, ...]
    mapped: tuple[MappedName, ...]


def read_claim(fact: MemberFact, config: PlanConfig) -> Claim | Rejection | None:
    """Return the member's claim, why it is refused, or None if it does not want to be a server."""
    if fact.tags.get(config.role_tag) != config.role:
        return None
    tags = fact.tags
    place = _read_place(fact, config)
    if isinstance(place, str):
        return Rejection(fact.name, place)
    backend = _tag(tags, config.backend_tag, config.backends[0])
    if backend not in config.backends:
        return Rejection(fact.name, "backend is not configured")
    weight = parse_weight(_tag(tags, config.weight_tag, str(config.default_weight)))
    if weight is None:
        return Rejection(fact.name, f"weight tag is not in 0..{MAX_WEIGHT}")
    return Claim(backend, fact.name, *place, weight)


def make_plan(claims: Iterable[Claim], config: PlanConfig) -> Planned:
    """Return the plan in which each claim, if there is room, has its own name, id and place.

    Within a backend, the bytewise first member wins, so that two load balancers decide alike.

    Raises:
        LocalProtocolError: a member has two claims.
    """
    # str order is the bytewise order of the encoded names: both follow code points
    ordered = sorted(claims)
    names = [claim.member for claim in ordered]
    if len(set(names)) < len(names):
        raise LocalProtocolError("a member was planned twice: pass one claim for each")
    rejections: list[Rejection] = []
    servers: dict[str, tuple[Server, ...]] = {}
    for backend, group in groupby(ordered, lambda claim: claim.backend):
        servers[backend], refused = _fill(list(group), config)
        rejections += refused
    backends = tuple(Backend(name, servers.pop(name, ())) for name in sorted(config.backends))
    assert not servers, "a claim came from read_claim with another configuration"
    plan = Plan(backends)
    mapped = [MappedName(s.member, s.name) for s in plan.servers if s.name != s.member]
    return Planned(plan, tuple(sorted(rejections)), tuple(sorted(mapped)))


def plan_members(facts: Iterable[MemberFact], config: PlanConfig) -> Planned:
    """Return the plan for members as they are now: alive and leaving ones are in, none is held."""
    claims: list[Claim] = []
    rejections: list[Rejection] = []
    for fact in facts:
        if fact.status in (MemberStatus.ALIVE, MemberStatus.LEAVING):
            match read_claim(fact, config):
                case Claim() as claim:
                    claims.append(claim)
                case Rejection() as rejection:
                    rejections.append(rejection)
    planned = make_plan(claims, config)
    return Planned(planned.plan, tuple(sorted((*planned.rejections, *rejections))), planned.mapped)


def _read_place(fact: MemberFact, config: PlanConfig) -> tuple[str, int] | str:
    """Return the member's host and port, or why a server may not be there."""
    host, refusal = parse_host(fact.host, config.allowed_networks, allow_loopback=config.allow_loopback)
    if refusal:
        return refusal
    port = parse_port(fact.tags.get(config.port_tag, ""))
    if port is None:
        return "port tag is not a port" if config.port_tag in fact.tags else "no port tag"
    if is_own(host, port, config.own_listeners, config.own_hosts):
        return "address is a listener of this load balancer"
    return host, port


def _tag(tags: Mapping[str, str], key: str | None, default: str) -> str:
    return default if key is None else tags.get(key, default)


def _fill(claims: list[Claim], config: PlanConfig) -> tuple[tuple[Server, ...], list[Rejection]]:
    """Make the servers of one backend; `claims` are sorted by the members' names."""
    servers: list[Server] = []
    refused: list[Rejection] = []
    keepers = {claim.member for claim in claims if is_clean(claim.member)} - config.reserved_names
    names = keepers | config.reserved_names
    places: set[tuple[str, str, int]] = set()
    ids: set[int] = set()
    for claim in claims:
        name = claim.member if claim.member in keepers else _free_name(claim.member, names)
        if name is None:
            refused.append(Rejection(claim.member, "name cannot be told apart from others"))
        elif claim.place in places:
            refused.append(Rejection(claim.member, "address belongs to another member"))
        elif len(servers) == config.max_servers_per_backend:
            refused.append(Rejection(claim.member, f"backend is full ({len(servers)} servers)"))
        else:
            number = _free_id(server_id(claim.member), ids)
            names.add(name)
            places.add(claim.place)
            ids.add(number)
            place = (claim.backend, claim.host, claim.port, claim.weight)
            servers.append(Server(name, claim.member, *place, number))
    return tuple(sorted(servers, key=lambda server: server.name)), refused


def _free_name(member: str, taken: Set[str]) -> str | None:
    # a clean name is always kept: a similar one only makes the hash of the replaced name longer, and
    # gossiping all of the longer ones as well costs the victim its place, never its identity
    names = (replaced_name(member, digits) for digits in HASH_DIGITS)
    return next((name for name in names if name not in taken), None)


def _free_id(number: int, taken: Set[int]) -> int:
    while number in taken:
        number = number % MAX_SERVER_ID + 1
    return number
