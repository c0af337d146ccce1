"""Servers as the running HAProxy sees them: the table ``show servers state``. Pure.

The table is also the format of the state file through which a new worker takes over its predecessor's
knowledge (down, drained, weights). A full table silently restores the *old port* of a server that moved, so
only lines that agree with the new configuration may pass (HAProxy issues 1412, 2103, 2506).
"""

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct

from lb.haproxy.cli_socket import HAProxyError
from lb.haproxy.config_text import ServerName, ServerPlace, canonical_host
from lb.policy.witness import Health

STATE_VERSION = "1"
EMPTY_STATE = f"{STATE_VERSION}\n".encode()
_STOPPED = 0  # SRV_ST_STOPPED
_CHECK_CONFIGURED = 0x02  # CHK_ST_CONFIGURED
_DRAINED_BY_COMMAND = 0x08  # SRV_ADMF_FDRAIN
_MAINTENANCE = 0x01 | 0x02 | 0x04 | 0x20 | 0x40  # forced, inherited, by configuration, resolution, host name


class AdminState(StrEnum):
    """The states that ``set server … state`` accepts."""

    READY = "ready"
    DRAIN = "drain"
    MAINT = "maint"


class ServerRow(Struct, frozen=True):
    """One line of ``show servers state``."""

    place: ServerPlace
    operation: int  # srv_op_state: 0 stopped, 1 starting, 2 running, 3 stopping softly
    admin_bits: int
    line: str
    check_result: int = 0  # 0: not checked yet
    check_bits: int = 0

    @property
    def health(self) -> Health:
        """The verdict of HAProxy's checks; a server that was not checked yet begins as running."""
        if self.operation == _STOPPED:
            return Health.DOWN
        if not self.check_bits & _CHECK_CONFIGURED:
            return Health.UNCHECKED
        return Health.UP if self.check_result else Health.UNKNOWN

    @property
    def is_drained(self) -> bool:
        """Whether a command drained this server."""
        return bool(self.admin_bits & _DRAINED_BY_COMMAND)

    @property
    def is_in_maintenance(self) -> bool:
        """Whether the server takes no traffic at all, for any reason except its checks."""
        return bool(self.admin_bits & _MAINTENANCE)


def parse_servers(table: str) -> tuple[ServerRow, ...]:
    """Read the answer to ``show servers state``.

    Raises:
        HAProxyError: it is not version 1 of that table.
    """
    lines = table.strip().splitlines()
    if len(lines) < 2 or lines[0] != STATE_VERSION or not lines[1].startswith("# "):
        raise HAProxyError(f"haproxy's answer to 'show servers state' is not a table: {table[:80]!r}")
    columns = lines[1][2:].split(" ")
    return tuple(_parse_row(columns, line) for line in lines[2:] if line.strip())


def filter_state(table: str, servers: Iterable[ServerPlace]) -> bytes:
    """Return the state file for a worker that will have `servers`: only the lines that apply to them.

    Raises:
        HAProxyError: `table` is not an answer to ``show servers state``.
    """
    wanted = set(servers)
    kept = [row.line for row in parse_servers(table) if row.place in wanted]
    header = table.strip().splitlines()[:2]
    return ("\n".join((*header, *kept)) + "\n").encode()


def difference(expected: Iterable[ServerPlace], rows: Iterable[ServerRow]) -> str:
    """Return the difference between running and expected servers in words, "" if there is none."""
    running = {row.place.name: row.place for row in rows}
    configured = {place.name: place for place in expected}
    missing = [str(name) for name in configured if name not in running]
    surplus = [str(name) for name in running if name not in configured]
    moved = [
        str(name)
        for name, place in configured.items()
        if name in running and place.host is not None and running[name] != place
    ]
    parts = (("missing", missing), ("not in the file", surplus), ("elsewhere", moved))
    return "; ".join(f"{words}: {', '.join(sorted(names)[:5])}" for words, names in parts if names)


def _parse_row(columns: list[str], line: str) -> ServerRow:
    row = dict(zip(columns, line.split(" "), strict=False))
    try:
        name = ServerName(row["be_name"], row["srv_name"])
        place = ServerPlace(name, canonical_host(row["srv_addr"]), int(row["srv_port"]))
        bits = (int(row["srv_op_state"]), int(row["srv_admin_state"]))
        check = (int(row["srv_check_result"]), int(row["srv_check_state"]))
        return ServerRow(place, *bits, line, *check)
    except (KeyError, ValueError) as error:
        raise HAProxyError(f"haproxy's table of servers has an invalid line: {line!r}") from error
