"""Panels: background tasks that upper layers run beside the agent, such as a balancer.

A panel that fails is restarted, after increasing pauses; it never ends the agent. The exceptions are
`ConfigError` and `StartError`, which a person must fix: they propagate.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from gossip.agent.bugs import Bugs, sole
from gossip.agent.transport import StartError
from gossip.errors import ConfigError

FIRST_BACKOFF = 1.0
"""Seconds until a failed panel is restarted; doubled with each failure in a row."""
MAX_BACKOFF = 60.0
"""Longest pause in seconds."""
STEADY_AFTER = 60.0
"""Seconds after which a panel counts as running: its next failure starts a new row."""

Host = TypeVar("Host")
log = logging.getLogger("gossip.agent")


async def run_panel(panel: Callable[[Host], Awaitable[None]], host: Host, bugs: Bugs) -> None:
    """Run `panel` until it returns; restart it after an unexpected exception.

    Raises:
        ConfigError, StartError: the panel cannot run until a person changes something.
    """
    name = getattr(panel, "__qualname__", type(panel).__name__)
    backoff = FIRST_BACKOFF
    while True:
        started = trio.current_time()
        try:
            await panel(host)
        except Exception as error:
            cause = sole(error)
            if isinstance(cause, ConfigError | StartError):
                raise cause from None
            if trio.current_time() - started >= STEADY_AFTER:
                backoff = FIRST_BACKOFF
            bugs.report(f"panel {name}", error, f"it is restarted after {backoff:g} s")
        else:
            return
        await trio.sleep(backoff)
        backoff = min(2 * backoff, MAX_BACKOFF)
