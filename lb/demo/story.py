"""The script: the sequence of acts, and their expected results.

Each act does something to the cluster, waits until the load balancer has followed, and records how long it
took. An expectation that is not met ends the story: later results would mean nothing.
"""

from collections.abc import Callable

import trio
from msgspec import Struct

from lb.demo.cast import Cast, has_serf
from lb.demo.load import Load
from lb.demo.premises import HTTP_PORT, RPC_PORT, STATS_PORT
from lb.demo.timeline import Timeline
from lb.demo.witness import Witness
from lb.haproxy.config_text import configured_servers

ACT_TIMEOUT = 20.0
"""The longest act needs about 6 s on an idle machine."""
BREATH = 1.0
"""Seconds of load between two acts."""
KILLED, LEAVES = 3, 2
POLL = 0.02


class ExpectationError(Exception):
    """The story did not go as expected; the text has the expectation."""


class Measured(Struct, frozen=True):
    """One line of the summary."""

    what: str
    result: str


class Story:
    """Plays all acts with `cast` under the load `load`."""

    def __init__(self, cast: Cast, load: Load, witness: Witness, timeline: Timeline) -> None:
        self.act = ""
        self.results: list[Measured] = []
        self.servers: tuple[str, ...] = ()  # servers that the file must have now
        self._cast = cast
        self._load = load
        self._witness = witness
        self._timeline = timeline

    async def play(self, nursery: trio.Nursery, start_load: Callable[[], None]) -> None:
        """Play from beginning to end.

        Raises:
            ExpectationError: an expected result did not come in time.
        """
        await self._open(nursery)
        await self._scale("two servers", 1, 2)
        start_load()
        await self._breathe()
        await self._scale("scale to five", 3, 4, 5)
        await self._breathe()
        await self._kill(f"web-{KILLED}")
        await self._breathe()
        await self._leave(f"web-{LEAVES}")
        await self._breathe()
        await self._invite_serf(6)
        await self._breathe()

    def judge(self) -> list[str]:
        """Return the expectations that were not met although every act was played."""
        tally = self._load.tally
        problems = [f"a configuration was refused: {reason}" for reason in self._witness.refusals]
        if tally.failed:
            reasons = ", ".join(f"{count} x {reason}" for reason, count in tally.failures.most_common(5))
            problems.append(f"{tally.failed} of {tally.sent} requests failed: {reasons}")
        if tally.sent != tally.answered + tally.failed:
            problems.append(f"{tally.sent - tally.answered - tally.failed} requests have no outcome")
        return problems

    async def _open(self, nursery: trio.Nursery) -> None:
        self._begin("the load balancer starts with a starter configuration")
        await self._cast.start_lb(nursery)
        await self._expect(lambda: self._witness.is_running, "the load balancer runs")

    async def _scale(self, title: str, *numbers: int) -> None:
        self._begin(title)
        start = self._timeline.now
        async with trio.open_nursery() as nursery:
            for number in numbers:
                nursery.start_soon(self._cast.start_web, number)
        self.servers += tuple(f"web-{number}" for number in numbers)
        await self._expect_servers()
        if self._load.tally.sent:
            await self._expect_served(self.servers)
        took = self._timeline.now - start
        self.results.append(Measured(title, f"all in the file {took:.1f} s after their start"))

    async def _kill(self, name: str) -> None:
        self._begin(f"SIGKILL {name}: server and agent")
        self._cast.kill(name)
        killed, swaps = self._timeline.now, len(self._witness.swaps)
        self._without(name)
        await self._expect_servers()
        witness = self._witness
        await self._expect(lambda: len(witness.swaps) > swaps, "the swap is logged")
        down = f"HAProxy marks it down after {1000 * (witness.down_at[name] - killed):.0f} ms"
        failed = f"gossip says failed after {witness.failed_at[name] - killed:.1f} s"
        swapped = f"from kill to swap {witness.swaps[swaps].at - killed:.1f} s"
        self.results.append(Measured(f"{name} killed", f"{down}, {failed}, {swapped}"))

    async def _leave(self, name: str) -> None:
        self._begin(f"{name} leaves gracefully: its agent gets SIGTERM")
        self._cast.ask_to_leave(name)
        asked = self._timeline.now
        await self._expect(lambda: self._cast.has_left(name), f"the agent of {name} ends")
        await self._expect(lambda: name in self._witness.drained_at, f"{name} is drained")
        if not await self._cast.stop_server(name):
            raise ExpectationError(f"the web server {name} stops when it is told to")
        self._timeline.say("demo", f"{name} is drained: its web server stopped")
        self._without(name)
        await self._expect_servers()
        drained = self._witness.drained_at[name] - asked
        result = f"drained after {drained:.2f} s, out of the file after {self._timeline.now - asked:.1f} s"
        self.results.append(Measured(f"{name} left", result))

    async def _invite_serf(self, number: int) -> None:
        if not has_serf():
            self._timeline.say("demo", "serf is not installed: the act with a real Serf agent is left out")
            self.results.append(Measured("real Serf agent", "left out: serf is not installed"))
            return
        name = f"serf-{number}"
        self._begin("a real Serf agent joins as a server")
        start = self._timeline.now
        await self._cast.start_serf(number)
        self.servers += (name,)
        await self._expect_servers()
        await self._expect_served((name,))
        self.results.append(Measured("real Serf agent", f"serves after {self._timeline.now - start:.1f} s"))

    def _begin(self, act: str) -> None:
        self.act = act
        self._timeline.say("demo", act)

    def _without(self, name: str) -> None:
        self.servers = tuple(server for server in self.servers if server != name)

    async def _breathe(self) -> None:
        """Let the load run for a moment."""
        await trio.sleep(BREATH)

    async def _expect_servers(self) -> None:
        wanted = sorted(self.servers)
        await self._expect(
            lambda: sorted(self._listed()) == wanted and self._is_taken_over(),
            f"haproxy.cfg has the servers {', '.join(wanted)} and HAProxy runs it",
        )

    def _listed(self) -> list[str]:
        try:
            content = self._cast.premises.config.read_bytes()
        except OSError:
            return []
        return [place.name.server for place in configured_servers(content)]

    def _is_taken_over(self) -> bool:
        """Whether the last swap is about the current file: its server count equals the logged one."""
        return self._witness.listed == len(self.servers)

    async def _expect_served(self, names: tuple[str, ...]) -> None:
        before = self._load.tally.by_server.copy()
        await self._expect(
            lambda: all(self._load.tally.by_server[name] > before[name] for name in names),
            f"requests are answered by {', '.join(names)}",
        )

    async def _expect(self, condition: Callable[[], bool], what: str) -> None:
        with trio.move_on_after(ACT_TIMEOUT):
            while not condition():
                if self._witness.has_ended:
                    raise ExpectationError(f"the load balancer ended early: {self._witness.last_words}")
                await trio.sleep(POLL)
            return
        raise ExpectationError(f"not within {ACT_TIMEOUT:.0f} s: {what}")


def ways_to_look(cast: Cast) -> list[str]:
    """Return commands with which a person can inspect the processes that are still running."""
    where = cast.premises
    return [
        f"gossip members --rpc-addr {where.lb_host}:{RPC_PORT}",
        f"curl http://{where.lb_host}:{HTTP_PORT}/",
        f"http://{where.lb_host}:{STATS_PORT}/ (HAProxy's status page)",
        f"cat {where.config}",
        f"tail -f {where.log('lb')}",
    ]
