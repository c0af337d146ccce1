"""Serf's flags and keys that are deliberately unsupported, with alternatives (serf-wire 8.1, 8.2)."""

_SYSLOG = "the log goes to standard error; pipe it into logger(1), or run the agent under systemd"
_STATS = "no metrics are sent; read the counters with 'gossip info --format json'"
_MDNS = "mDNS uses the interface of --iface, and the address family of --bind"

_KEYS = {
    "enable_syslog": _SYSLOG,
    "syslog_facility": _SYSLOG,
    "statsd_addr": _STATS,
    "statsite_addr": _STATS,
    "mdns": _MDNS,
    "validate_node_names": "a name may hold any printable characters, as in Serf without this key",
}
_FLAGS = {
    "--syslog": _SYSLOG,
    "--mdns-iface": _MDNS,
    "--mdns-disable-ipv4": _MDNS,
    "--mdns-disable-ipv6": _MDNS,
}


def absent_key(key: str) -> str:
    """Return the alternative to an unsupported key of Serf's files; empty for any other key."""
    return _KEYS.get(key, "")


def absent_flag(flag: str) -> str:
    """Return the alternative to an unsupported flag of ``serf agent``; empty for any other flag."""
    return _FLAGS.get(flag, "")


def everything() -> list[tuple[str, str]]:
    """Return all unsupported keys, then flags (with one dash, as in Serf), each with its alternative."""
    flags = [(flag.removeprefix("-"), advice) for flag, advice in _FLAGS.items()]
    return [*_KEYS.items(), *flags]
