"""The resources of the demonstration: one block of loopback addresses, one temporary directory."""

import socket
from contextlib import ExitStack
from pathlib import Path
from random import Random

GOSSIP_PORT, RPC_PORT, HTTP_PORT, STATS_PORT = 7946, 7373, 8080, 8404
LB_NUMBER = 1
FIRST_MEMBER = 10
"""``web-1`` has the address that ends in 11."""
MEMBERS = 6
MAX_TRIES = 50


class NoPremisesError(Exception):
    """No free block of addresses was found."""


class Premises:
    """Addresses ``127.0.<block>.*`` and a directory for files, sockets and logs."""

    def __init__(self, block: int, directory: Path) -> None:
        self.block = block
        self.directory = directory
        self.lb_host = f"127.0.{block}.{LB_NUMBER}"
        self.config = directory / "haproxy.cfg"
        self.master_socket = directory / "master.sock"
        self.admin_socket = directory / "admin.sock"

    def host(self, number: int) -> str:
        """Return the address of member `number`, which is 1 or more."""
        return f"127.0.{self.block}.{FIRST_MEMBER + number}"

    def log(self, name: str) -> Path:
        """Return the path of the log of the process `name`."""
        return self.directory / f"{name}.log"


def choose_block(rng: Random) -> int:
    """Return the third number of a block of addresses in which all required ports are free.

    Raises:
        NoPremisesError: none of `MAX_TRIES` blocks is free, or this machine has no such addresses.
    """
    reason = ""
    for _ in range(MAX_TRIES):
        block = rng.randrange(1, 255)
        try:
            _probe(Premises(block, Path()))
        except OSError as error:
            reason = f"{error.strerror} (127.0.{block}.x)"
        else:
            return block
    raise NoPremisesError(f"no block of loopback addresses is free: {reason}")


def _probe(premises: Premises) -> None:
    """Bind every address once.

    Raises:
        OSError: an address is in use.
    """
    wanted = [(premises.lb_host, port) for port in (GOSSIP_PORT, RPC_PORT, HTTP_PORT, STATS_PORT)]
    for number in range(1, MEMBERS + 1):
        wanted += [(premises.host(number), port) for port in (GOSSIP_PORT, RPC_PORT, HTTP_PORT)]
    with ExitStack() as stack:
        for host, port in wanted:
            tcp = stack.enter_context(socket.socket())
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tcp.bind((host, port))
            if port == GOSSIP_PORT:
                udp = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
                udp.bind((host, port))
