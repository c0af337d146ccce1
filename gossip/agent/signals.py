"""Signals: SIGTERM and SIGINT leave, SIGHUP reloads the configuration, SIGUSR1 dumps the recording."""

import logging
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
import trio

from gossip.agent.config import AgentConfig
from gossip.errors import ConfigError, LocalProtocolError

if TYPE_CHECKING:
    from gossip.agent.service import Agent

SIGNAL_REPEAT = 1.0
"""Seconds within which further SIGTERM and SIGINT are the same request: supervisors repeat themselves."""

log = logging.getLogger("gossip.agent")


async def obey_signals(
    agent: "Agent",
    reload: Callable[[], AgentConfig] | None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """SIGTERM and SIGINT leave, another one later exits at once; SIGHUP reloads; SIGUSR1 dumps."""
    obeyed = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
    with trio.open_signal_receiver(*obeyed) as signals:
        task_status.started()
        interrupted_at: float | None = None
        async for number in signals:
            if number == signal.SIGHUP:
                _reload(agent, reload)
            elif number == signal.SIGUSR1:
                _dump(agent)
            elif interrupted_at is None:
                interrupted_at = trio.current_time()
                agent.request_leave()
            elif trio.current_time() - interrupted_at >= SIGNAL_REPEAT:
                log.error("second signal: exiting without leaving")
                agent.abort()


def _dump(agent: "Agent") -> None:
    """Write a flight recording; nothing happens to an agent that does not record."""
    if agent.flight_recorder is not None:
        agent.flight_recorder.request_dump()
    else:
        log.warning("cannot dump a recording: the agent does not record (see --record)")


def _reload(agent: "Agent", reload: Callable[[], AgentConfig] | None) -> None:
    """Apply what may change while running: tags (those set over the RPC are lost), handlers, log level."""
    if reload is None:
        return
    try:
        fresh = reload()
        agent.event_scripts.replace(fresh.event_handlers)
        if fresh.tags != dict(agent.driver.node.tags):
            agent.driver.apply(lambda node, now: node.set_tags(fresh.tags, now))
    except (ConfigError, LocalProtocolError) as error:
        log.error("cannot reload the configuration", extra={"reason": error})  # noqa: TRY400 - a person's mistake
        return
    agent.ring.set_level(fresh.log_level)
    agent.config = msgspec.structs.replace(agent.config, tags=fresh.tags, log_level=fresh.log_level)
    log.info("configuration reloaded", extra={"log_level": fresh.log_level})
