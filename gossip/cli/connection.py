"""The common part of all commands that contact an agent: two flags, and one line for each failure."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import click

from gossip.errors import CommandFailedError, ConfigError, GossipError
from gossip.ipc.address import DEFAULT_ADDRESS
from gossip.ipc.client import AgentUnreachableError, Client
from gossip.printable import one_line

P = ParamSpec("P")
R = TypeVar("R")

ADVICE = "start one with 'gossip agent', or name another with --rpc-addr"


def agent_options(command: Callable[P, R]) -> Callable[P, R]:
    """Add ``--rpc-addr`` and ``--rpc-auth``, passed as `rpc_addr` and `rpc_auth`."""
    addr = click.option(
        "--rpc-addr",
        metavar="ADDRESS",
        default=DEFAULT_ADDRESS,
        show_default=True,
        envvar=["GOSSIP_RPC_ADDR", "SERF_RPC_ADDR"],
        show_envvar=True,
        help="The agent to ask: HOST:PORT or unix:PATH.",
    )
    auth = click.option(
        "--rpc-auth",
        metavar="TOKEN",
        default="",
        envvar=["GOSSIP_RPC_AUTH", "SERF_RPC_AUTH"],
        show_envvar=True,
        help="The agent's RPC token, if it requires one.",
    )
    return addr(auth(command))


@contextmanager
def connected(rpc_addr: str, rpc_auth: str, *, doing: str) -> Iterator[Client]:
    """Yield a connection to the agent; a failure ends as ``Error <doing>: <reason>``, Serf's wording.

    Raises:
        ConfigError: `rpc_addr` is malformed.
        CommandFailedError: the agent is not running, refuses, or does not speak Serf's IPC.
    """
    try:
        client = Client(rpc_addr, auth_key=rpc_auth)
    except ConfigError:
        raise
    except AgentUnreachableError as error:
        raise CommandFailedError(
            f"Error connecting to Serf agent: {one_line(str(error))}; {ADVICE}"
        ) from None
    except GossipError as error:
        reason = one_line(str(error))
        raise CommandFailedError(f"Error connecting to Serf agent at {rpc_addr}: {reason}") from None
    with client:
        try:
            yield client
        except CommandFailedError:
            raise
        except GossipError as error:
            raise CommandFailedError(f"Error {doing}: {one_line(str(error))}") from None
