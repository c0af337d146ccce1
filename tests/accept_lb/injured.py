"""gossip-lb with bugs on demand: a task raises when a file with its name appears in the directory.

``python -m tests.accept_lb.injured DIRECTORY run …`` is ``gossip-lb run …`` with the tasks below wrapped.
"""

import functools
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from gossip.agent.driver import Driver
from gossip.agent.ipc_server import IpcServer
from gossip.agent.reload import Reloader
from lb.cli import run as gossip_lb
from lb.controller import Balancer
from lb.deploy.deployer import Deployment
from lb.haproxy.outage import OutageWatch
from lb.haproxy.supervisor import Supervisor
from lb.run import LoadBalancer

TASKS = {
    "supervisor": (Supervisor, "run"),
    "log_relay": (Supervisor, "_relay_log"),
    "deployment": (Deployment, "run"),
    "drains": (Deployment, "_keep_drained"),
    "balancer": (Balancer, "run"),
    "outages": (OutageWatch, "run"),
    "signals": (LoadBalancer, "obey"),
    "remembered_view": (LoadBalancer, "remember"),
    "reloader": (Reloader, "run"),
}
"""Those of the balancer, and the reload of the configuration: none of them may end the process."""
CORE = {"driver": (Driver, "run"), "ipc": (IpcServer, "run")}
"""Those of the agent itself: the process may end by them, HAProxy must not."""
POLL = 0.05


class InjectedError(Exception):
    """The bug."""


def breakable(
    name: str, directory: Path, task: Callable[..., Awaitable[None]]
) -> Callable[..., Awaitable[None]]:
    """Return `task`, which raises as soon as there is a file `name`; the file is gone then."""

    async def raise_when_asked() -> None:
        while not (directory / name).exists():  # noqa: ASYNC110 - another process makes it
            await trio.sleep(POLL)
        (directory / name).unlink()
        raise InjectedError(name)

    @functools.wraps(task)
    async def run(*arguments: object, **keywords: object) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(raise_when_asked)
            await task(*arguments, **keywords)
            nursery.cancel_scope.cancel()

    return run


if __name__ == "__main__":
    where = Path(sys.argv[1])
    for key, (owner, method) in (TASKS | CORE).items():
        setattr(owner, method, breakable(key, where, getattr(owner, method)))
    sys.exit(gossip_lb(sys.argv[2:]))
