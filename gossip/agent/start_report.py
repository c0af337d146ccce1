"""The agent's report at its start: addresses, configuration, and warnings about either."""

import logging
from typing import TYPE_CHECKING

from gossip.agent.endpoint import Endpoint

if TYPE_CHECKING:
    from gossip.agent.service import Agent

UNSPECIFIED = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to

log = logging.getLogger("gossip.agent")


def report_start(agent: "Agent") -> None:
    """Log where `agent` runs, and warn about anything that makes it unsafe or unreachable."""
    config, driver = agent.config, agent.driver
    me = driver.node.members()[0]
    log.info(
        "agent running",
        extra={
            "member": me.name,
            "bind": driver.transport.address,
            "advertise": me.address,
            "rpc": agent.rpc_address or "off",
            "encrypted": driver.is_encrypted,
            "profile": config.profile,
        }
        | ({"key": driver.key_name} if driver.is_encrypted else {})
        | ({"label": config.label} if config.label else {}),
    )
    if not driver.is_encrypted and not _is_loopback(driver.transport.address.host):
        log.warning(
            "gossip is not encrypted: anyone who can reach this address can join and forge members",
            extra={"bind": driver.transport.address, "remedy": "--encrypt-file"},
        )
    if driver.transport.address.host in UNSPECIFIED and _is_loopback(me.address.host):
        log.warning("no private address found: only this machine can reach the agent (use --advertise)")
    where = config.rpc_endpoint
    if isinstance(where, Endpoint) and not config.rpc_auth and not _is_loopback(where.host):
        log.warning(
            "rpc is open to other machines without a token (--rpc-auth)", extra={"rpc": agent.rpc_address}
        )


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
