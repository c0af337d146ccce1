"""What Serf has and this project leaves out on purpose, and what to use instead (serf-wire 8.1, 8.2)."""

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
    """Return what to use instead of a key of Serf's files that is left out; empty if it is none."""
    return _KEYS.get(key, "")


def absent_flag(flag: str) -> str:
    """Return what to use instead of a flag of ``serf agent`` that is left out; empty if it is none."""
    return _FLAGS.get(flag, "")


def everything() -> list[tuple[str, str]]:
    """Return all keys, then all flags with Serf's one dash, each with what to use instead."""
    flags = [(flag.removeprefix("-"), advice) for flag, advice in _FLAGS.items()]
    return [*_KEYS.items(), *flags]
