"""Joining at the start: `--join` once, `--retry-join` until it works (serf-wire 8.3; Serf `command.go`).

The core decides whether and when to try again; this module informs the user, and stops an agent that may not
run without a cluster. It does the same for members of the last run, which the core contacts on its own.
"""

import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import trio

from gossip.agent.memory import return_freed_pages
from gossip.agent.readiness import announce_ready
from gossip.serf.effects import Effect, JoinEnded
from gossip.settings.duration import Seconds

if TYPE_CHECKING:
    from gossip.agent.service import Agent

REJOIN_PATIENCE = 30.0
"""Seconds until an agent reports that no member of its last run has answered."""

log = logging.getLogger("gossip.agent")


async def join_at_start(agent: "Agent") -> None:
    """Join the configured seeds, then report that the agent is ready; stop it if it cannot join."""
    config = agent.config
    if config.start_join:
        result = await agent.driver.join(config.start_join, replay=config.replay_on_join)
        for error in result.errors:
            log.warning("join failed", extra={"reason": error})
        if not result.contacted:
            log.error(
                "cannot join the cluster: no seed answered", extra={"seeds": ",".join(config.start_join)}
            )
            agent.abort()
            return
        log.info("joined", extra={"contacted": result.contacted})
    announce_ready(config.ready_fd, os.environ)
    agent.ready.set()
    return_freed_pages()
    if config.retry_join and not agent.is_leaving:
        agent.driver.observers.append(RetryJoin(agent).observe)
        agent.driver.apply(
            lambda node, now: node.keep_joining(
                config.retry_join,
                replay=config.replay_on_join,
                interval=config.retry_interval,
                max_attempts=config.retry_max_attempts,
                now=now,
            )
        )


async def report_rejoin(agent: "Agent") -> None:
    """Log that members of the last run are contacted, and later whether the agent is still alone."""
    node = agent.driver.node
    past = len(node.saved_state().failed)
    if not past:
        return
    log.info("rejoining the cluster of the last run", extra={"members": past})
    await trio.sleep(REJOIN_PATIENCE)
    if node.count_alive() == 1 and not agent.is_leaving:
        log.warning(
            "cannot rejoin the cluster: still asking",
            extra={"members": past, "after": Seconds(REJOIN_PATIENCE)},
        )


class RetryJoin:
    """Follows the attempts of the retry-join."""

    def __init__(self, agent: "Agent") -> None:
        self._agent = agent
        self._attempts = 0

    def observe(self, effects: Sequence[Effect], _now: float) -> None:
        """Process a batch of the node's effects."""
        for effect in effects:
            if isinstance(effect, JoinEnded) and effect.is_retry:
                self._report(effect)

    def _report(self, ended: JoinEnded) -> None:
        if ended.others:
            log.info("joined", extra={"contacted": ended.contacted})
            return
        self._attempts += 1
        reason = "; ".join(ended.errors) or "only this agent itself answered"
        if ended.gave_up:
            log.error(
                "cannot join the cluster: giving up", extra={"attempts": self._attempts, "reason": reason}
            )
            self._agent.abort()
            return
        log.warning("join failed: retrying", extra={"after": Seconds(ended.retry_in), "reason": reason})
