"""The settings of an agent: each with its type, default, flag, limits and meaning.

Keys and flags carry Serf's names where Serf has them (serf-wire 8.1, 8.2). `gossip.agent.config_sources`
reads them, `gossip.agent.config_check` checks them as a whole.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from msgspec import Struct

from gossip.agent.endpoint import (
    GOSSIP_PORT,
    Endpoint,
    Seed,
    parse_endpoint,
    parse_rpc_address,
    parse_seed,
)
from gossip.settings.duration import Seconds
from gossip.settings.setting import Serf, Setting, Words
from gossip.wire.keyring import decode_key
from gossip.wire.label import MAX_LABEL_BYTES

PROFILES = ("lan", "wan", "local")
PROTOCOL, OLDEST_PROTOCOL = 5, 3
"""Serf's protocol versions that can be announced; version 2 has no tags."""
MAX_USER_EVENT_BYTES = 9 * 1024
"""Serf's highest limit."""
MAX_DATAGRAM_BYTES = 60_000
"""A query or an answer travels in one datagram."""
LOG_FORMATS = ("logfmt", "json")
LOG_LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERR")
_CLUSTER = re.compile(r"[A-Za-z0-9_-]{1,50}")
"""Fits, with a prefix, into one label of a DNS name."""
_LEVEL_ALIASES = {"WARNING": "WARN", "ERROR": "ERR"}


def normal_level(level: str) -> str:
    """Return Serf's spelling of a log level; unknown levels are returned in capitals."""
    upper = level.upper()
    return _LEVEL_ALIASES.get(upper, upper)


def _key_text(text: str) -> str:
    if text:
        decode_key(text)
    return text


def _label_text(text: str) -> str:
    size = len(text.encode("utf-8", "surrogateescape"))
    if size > MAX_LABEL_BYTES:
        raise ValueError(f"the label is {size} bytes long: at most {MAX_LABEL_BYTES} are allowed")
    if not text.isprintable():
        raise ValueError(f"the label {text!r} contains control or undecodable characters")
    return text


def _bind_text(text: str) -> str:
    parse_endpoint(text, GOSSIP_PORT)
    return text


def _advertise_text(text: str) -> str:
    return _bind_text(text) if text else text


def _rpc_text(text: str) -> str:
    parse_rpc_address(text)
    return text


def _cluster_text(text: str) -> str:
    if text and not _CLUSTER.fullmatch(text):
        raise ValueError(f"{text!r} is not a name of at most 50 letters, digits, hyphens and underscores")
    return text


def _seed_text(text: str) -> str:
    parse_seed(text, GOSSIP_PORT)
    return text


class AgentConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An agent's settings. Times are in seconds."""

    node_name: Annotated[
        str, Setting("Name in the cluster, unique.", "--node", "NAME", Serf.FLAG, default="the hostname")
    ] = ""
    bind: Annotated[
        str,
        Setting("Address to listen on for gossip.", "--bind", "HOST[:PORT]", Serf.FLAG, refine=_bind_text),
    ] = f"0.0.0.0:{GOSSIP_PORT}"
    advertise: Annotated[
        str,
        Setting(
            "Address that peers are told to use.",
            "--advertise",
            "HOST[:PORT]",
            Serf.FLAG,
            default="--bind",
            refine=_advertise_text,
        ),
    ] = ""
    interface: Annotated[
        str, Setting("Network interface whose address to listen on.", "--iface", "NAME", Serf.FLAG)
    ] = ""
    tags: Annotated[
        dict[str, str],
        Setting("Tag of this agent.", "--tag", "KEY=VALUE", Serf.FLAG, adds=True, is_live=True),
    ] = {}
    tags_file: Annotated[
        str,
        Setting(
            "File that keeps the tags as they are changed; excludes --tag.", "--tags-file", "FILE", Serf.FLAG
        ),
    ] = ""
    role: Annotated[str, Setting("Deprecated: use --tag role=ROLE.", "--role", "ROLE", Serf.FLAG)] = ""
    encrypt_key: Annotated[
        str,
        Setting(
            "Key that encrypts gossip: base64 of 16, 24 or 32 bytes.",
            "--encrypt",
            "KEY",
            Serf.FLAG,
            is_secret=True,
            refine=_key_text,
        ),
    ] = ""
    encrypt_file: Annotated[str, Setting("File with that key.", flag="--encrypt-file", metavar="FILE")] = ""
    keyring_file: Annotated[
        str,
        Setting(
            "File of keys in Serf's format; key changes are written to it.",
            "--keyring-file",
            "FILE",
            Serf.FLAG,
        ),
    ] = ""
    label: Annotated[
        str,
        Setting(
            "Label of the cluster: packets of another label, or of none, are dropped.",
            "--label",
            "LABEL",
            default="none",
            refine=_label_text,
        ),
    ] = ""
    skip_inbound_label_check: Annotated[
        bool,
        Setting(
            "Take only packets without a label: a proxy in front has checked and removed it.",
            "--skip-inbound-label-check",
            off_flag="--check-inbound-label",
        ),
    ] = False
    profile: Annotated[
        str,
        Setting("Timing profile: lan, wan or local.", "--profile", "PROFILE", Serf.FLAG, choices=PROFILES),
    ] = "lan"
    disable_compression: Annotated[
        bool,
        Setting(
            "Send gossip uncompressed.",
            "--disable-compression",
            serf=Serf.FLAG,
            off_flag="--enable-compression",
            serf_opposite="enable_compression",
        ),
    ] = False
    disable_coordinates: Annotated[
        bool,
        Setting("Neither measure nor tell network coordinates.", flag="--disable-coordinates", serf=Serf.KEY),
    ] = False
    protocol: Annotated[
        int,
        Setting(
            "Serf protocol version to announce: 3, 4 or 5.",
            "--protocol",
            "N",
            Serf.FLAG,
            at_least=OLDEST_PROTOCOL,
            at_most=PROTOCOL,
        ),
    ] = PROTOCOL
    user_event_size_limit: Annotated[
        int,
        Setting(
            "Largest user event, in bytes.",
            "--user-event-size-limit",
            "BYTES",
            Serf.KEY,
            at_least=1,
            at_most=MAX_USER_EVENT_BYTES,
        ),
    ] = 512
    query_size_limit: Annotated[
        int,
        Setting(
            "Largest query, in bytes.",
            "--query-size-limit",
            "BYTES",
            Serf.KEY,
            at_least=1,
            at_most=MAX_DATAGRAM_BYTES,
        ),
    ] = 1024
    query_response_size_limit: Annotated[
        int,
        Setting(
            "Largest answer to a query, in bytes.",
            "--query-response-size-limit",
            "BYTES",
            Serf.KEY,
            at_least=1,
            at_most=MAX_DATAGRAM_BYTES,
        ),
    ] = 1024
    disable_name_resolution: Annotated[
        bool,
        Setting(
            "When another agent has this agent's name, do not let the members vote.",
            "--disable-name-resolution",
            off_flag="--enable-name-resolution",
            serf=Serf.KEY,
        ),
    ] = False
    start_join: Annotated[
        tuple[str, ...],
        Setting(
            "Member to join at the start, or fail.", "--join", "SEED", Serf.FLAG, adds=True, refine=_seed_text
        ),
    ] = ()
    replay_on_join: Annotated[
        bool, Setting("Replay user events from before the join.", "--replay", serf=Serf.FLAG)
    ] = False
    discover: Annotated[
        str,
        Setting(
            "Cluster whose members to find by multicast DNS, and to be found in.",
            "--discover",
            "CLUSTER",
            Serf.FLAG,
            refine=_cluster_text,
        ),
    ] = ""
    retry_join: Annotated[
        tuple[str, ...],
        Setting(
            "Member to join, retried until it answers.",
            "--retry-join",
            "SEED",
            Serf.FLAG,
            adds=True,
            refine=_seed_text,
        ),
    ] = ()
    retry_interval: Annotated[
        Seconds, Setting("Time between retries.", "--retry-interval", "DURATION", Serf.FLAG, at_least=1)
    ] = Seconds(30)
    retry_max_attempts: Annotated[
        int, Setting("Retries before giving up; 0: no limit.", "--retry-max", "N", Serf.FLAG, at_least=0)
    ] = 0
    broadcast_timeout: Annotated[
        Seconds,
        Setting(
            "How long to wait for a broadcast to propagate.",
            "--broadcast-timeout",
            "DURATION",
            Serf.FLAG,
            at_least=1,
        ),
    ] = Seconds(5)
    snapshot_path: Annotated[
        str,
        Setting(
            "File that keeps the members and clocks for the next start.", "--snapshot", "FILE", Serf.FLAG
        ),
    ] = ""
    rejoin_after_leave: Annotated[
        bool, Setting("Rejoin from the snapshot even after a leave.", "--rejoin", serf=Serf.FLAG)
    ] = False
    leave_on_terminate: Annotated[
        bool, Setting("Leave gracefully on SIGTERM.", "--leave-on-terminate", serf=Serf.KEY)
    ] = True
    skip_leave_on_interrupt: Annotated[
        bool, Setting("Stop on SIGINT without leaving.", "--skip-leave-on-interrupt", serf=Serf.KEY)
    ] = False
    reconnect_interval: Annotated[
        Seconds,
        Setting(
            "Time between attempts to reach a failed member.",
            "--reconnect-interval",
            "DURATION",
            Serf.KEY,
            at_least=1,
        ),
    ] = Seconds(30)
    reconnect_timeout: Annotated[
        Seconds,
        Setting(
            "How long a failed member stays listed.",
            "--reconnect-timeout",
            "DURATION",
            Serf.KEY,
            default="24h",
        ),
    ] = Seconds(86400)
    tombstone_timeout: Annotated[
        Seconds,
        Setting(
            "How long a member that left stays listed.",
            "--tombstone-timeout",
            "DURATION",
            Serf.KEY,
            default="24h",
        ),
    ] = Seconds(86400)
    rpc_addr: Annotated[
        str,
        Setting(
            "Address for commands: HOST:PORT or unix:PATH; empty: none.",
            "--rpc-addr",
            "ADDRESS",
            Serf.FLAG,
            serf_variable="SERF_RPC_ADDR",
            refine=_rpc_text,
        ),
    ] = "127.0.0.1:7373"
    rpc_auth: Annotated[
        str,
        Setting(
            "Token that commands must present.",
            "--rpc-auth",
            "TOKEN",
            Serf.KEY,
            serf_variable="SERF_RPC_AUTH",
            is_secret=True,
        ),
    ] = ""
    event_handlers: Annotated[
        tuple[str, ...],
        Setting(
            "Script to run for events, as under Serf.",
            "--event-handler",
            "[FILTER=]SCRIPT",
            Serf.FLAG,
            words=Words.LINES,
            adds=True,
            is_live=True,
        ),
    ] = ()
    event_handler_timeout: Annotated[
        Seconds,
        Setting(
            "How long an event handler may run before it is stopped.",
            "--event-handler-timeout",
            "DURATION",
            at_least=1,
        ),
    ] = Seconds(60)
    log_level: Annotated[
        str,
        Setting(
            "Level of the log: trace, debug, info, warn or err.",
            "--log-level",
            "LEVEL",
            Serf.FLAG,
            is_live=True,
            choices=LOG_LEVELS,
            refine=normal_level,
        ),
    ] = "INFO"
    log_format: Annotated[
        str,
        Setting(
            "Format of the log: logfmt or json.", flag="--log-format", metavar="FORMAT", choices=LOG_FORMATS
        ),
    ] = "logfmt"
    ready_fd: Annotated[
        int | None,
        Setting(
            "File descriptor that gets a newline when the agent is ready, as s6 wants it.",
            "--ready-fd",
            "FD",
            at_least=1,
        ),
    ] = None
    record: Annotated[
        bool, Setting("Remember what happens, so that it can be dumped and replayed.", flag="--record")
    ] = False
    record_dir: Annotated[
        str, Setting("Directory for dumps made on SIGUSR1.", flag="--record-dir", metavar="DIR")
    ] = "."
    control: Annotated[str, Setting("Unix socket for 'gossip record'.", flag="--control", metavar="PATH")] = (
        ""
    )

    @property
    def bind_endpoint(self) -> Endpoint:
        """The address that gossip listens on."""
        return parse_endpoint(self.bind, GOSSIP_PORT)

    @property
    def advertise_endpoint(self) -> Endpoint | None:
        """The address that peers are told, if it differs from `bind`; the default port is that of `bind`."""
        return parse_endpoint(self.advertise, self.bind_endpoint.port) if self.advertise else None

    @property
    def rpc_endpoint(self) -> Endpoint | Path | None:
        """The address that the RPC listens on; None if it is switched off."""
        return parse_rpc_address(self.rpc_addr)

    @property
    def secret_key(self) -> bytes | None:
        """The gossip encryption key, 16, 24 or 32 bytes; None without encryption."""
        return decode_key(self.encrypt_key) if self.encrypt_key else None

    @property
    def label_bytes(self) -> bytes:
        """The cluster label in the form of packets and streams; empty without one."""
        return self.label.encode("utf-8", "surrogateescape")

    def seeds(self, texts: Iterable[str]) -> list[Seed]:
        """Parse join addresses; our own gossip port is the default for seeds."""
        return [parse_seed(text, self.bind_endpoint.port) for text in texts]
