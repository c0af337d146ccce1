"""Signals: SIGTERM and SIGINT leave, SIGHUP reloads the configuration, SIGUSR1 dumps the recording.

Serf leaves on SIGINT only. Here SIGTERM leaves as well, because supervisors and container engines send it
for a planned stop; `leave_on_terminate` and `skip_leave_on_interrupt` change this for either signal.
"""

import logging
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from gossip.agent.bugs import Bugs
from gossip.agent.config import AgentConfig
from gossip.agent.panel import run_panel
from gossip.agent.reload import Reloader

if TYPE_CHECKING:
    from gossip.agent.service import Agent

SIGNAL_REPEAT = 1.0
"""Seconds within which another SIGTERM or SIGINT is the same request: supervisors repeat themselves."""

log = logging.getLogger("gossip.agent")


async def obey_signals(
    agent: "Agent",
    reload: Callable[[], AgentConfig] | None,
    nursery: trio.Nursery,
    bugs: Bugs,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Handle SIGTERM and SIGINT (leave or stop; a later repeat stops), SIGHUP (reload), SIGUSR1 (dump).

    `reload` returns a fresh configuration, or None if there is nothing to reload from.
    """
    obeyed = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
    reloader = Reloader(agent, reload)
    with trio.open_signal_receiver(*obeyed) as signals:
        nursery.start_soon(run_panel, Reloader.run, reloader, bugs)
        task_status.started()
        interrupted_at: float | None = None
        async for number in signals:
            if number == signal.SIGHUP:
                reloader.request()
            elif number == signal.SIGUSR1:
                _dump(agent)
            elif not _leaves_on(number, agent.config):
                log.warning("stopping without leaving", extra={"signal": signal.Signals(number).name})
                agent.abort()
            elif interrupted_at is None:
                interrupted_at = trio.current_time()
                agent.request_leave()
            elif trio.current_time() - interrupted_at >= SIGNAL_REPEAT:
                log.error("second signal: exiting without leaving")
                agent.abort()


def _leaves_on(number: int, config: AgentConfig) -> bool:
    if number == signal.SIGTERM:
        return config.leave_on_terminate
    return not config.skip_leave_on_interrupt


def _dump(agent: "Agent") -> None:
    """Request a flight recording, or warn if the agent does not record."""
    if agent.flight_recorder is not None:
        agent.flight_recorder.request_dump()
    else:
        log.warning("cannot dump a recording: the agent does not record (see --record)")
