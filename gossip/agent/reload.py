"""Reloads the configuration of a running agent: tags, handlers and log level change; other changes are named.

Files are read in a thread: a disk that hangs must neither stop gossip nor delay SIGTERM.
"""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
import trio

from gossip.agent.config import AgentConfig
from gossip.errors import ConfigError, LocalProtocolError
from gossip.settings.setting import live_settings

if TYPE_CHECKING:
    from gossip.agent.service import Agent

RELOADED = live_settings(AgentConfig)
"""The settings that a reload applies; a change of any other needs a restart."""

log = logging.getLogger("gossip.agent")


class Reloader:
    """Reloads one agent's configuration on request, with `load`; without it, nothing can be reloaded."""

    def __init__(self, agent: "Agent", load: Callable[[], AgentConfig] | None) -> None:
        self._agent = agent
        self._load = load
        self._wanted = trio.Event()
        self._thread = trio.CapacityLimiter(1)

    def request(self) -> None:
        """Reload soon; returns at once. Further requests before that count as the same one."""
        self._wanted.set()

    async def run(self) -> None:
        """Reload on request, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted = trio.Event()
            if self._load is not None:
                await self._reload(self._load)

    async def _reload(self, load: Callable[[], AgentConfig]) -> None:
        agent = self._agent
        try:
            fresh = await trio.to_thread.run_sync(load, abandon_on_cancel=True, limiter=self._thread)
            changed = changed_keys(agent.config, fresh)
            agent.use_handlers(fresh.event_handlers)
            if fresh.tags != dict(agent.driver.node.tags):  # they may also have been set over the RPC
                agent.driver.apply(lambda node, now: node.set_tags(fresh.tags, now))
        except (ConfigError, LocalProtocolError) as error:
            log.error("cannot reload the configuration", extra={"reason": error})  # noqa: TRY400 - a person's mistake
            return
        agent.ring.set_level(fresh.log_level)
        agent.config = msgspec.structs.replace(agent.config, **{key: getattr(fresh, key) for key in RELOADED})
        applied = [key for key in changed if key in RELOADED]
        log.info("configuration reloaded", extra={"changed": ",".join(applied), "log_level": fresh.log_level})
        if needs_restart := [key for key in changed if key not in RELOADED]:
            log.warning("configuration changed: restart to apply", extra={"keys": ",".join(needs_restart)})


def changed_keys(before: AgentConfig, after: AgentConfig) -> list[str]:
    """Return the keys whose values differ."""
    return [key for key in AgentConfig.__struct_fields__ if getattr(before, key) != getattr(after, key)]
