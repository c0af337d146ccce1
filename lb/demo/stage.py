"""Runs the demonstration: premises, players, load and screen, and the clean-up at the end."""

import shutil
import signal
import tempfile
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from random import Random

import click
import trio

from lb.demo.cast import Cast
from lb.demo.load import Load, Target
from lb.demo.premises import HTTP_PORT, NoPremisesError, Premises, choose_block
from lb.demo.screen import Screen, summary
from lb.demo.story import ExpectationError, Story, ways_to_look
from lb.demo.timeline import Line, Timeline
from lb.demo.witness import Witness

STORY_TIMEOUT = 75.0
"""The demo always ends within 90 s, including the clean-up."""
FRESH_SHARE = 0.3
"""Share of the requests that open a new connection."""
LAST_ANSWERS_TIMEOUT = 12.0
MAX_FOLDER = 50
FAILED, INTERRUPTED = 1, 130


def perform(*, keep: bool, rate: float, is_live: bool) -> int:
    """Run the demonstration; return 0 if everything went as expected, 1 if not, 130 after Ctrl-C."""
    if shutil.which("haproxy") is None:
        click.echo("gossip-lb demo: haproxy is not installed (apt-get install haproxy)", err=True)
        return FAILED
    try:
        block = choose_block(Random())
    except NoPremisesError as error:
        click.echo(f"gossip-lb demo: {error}", err=True)
        return FAILED
    with _make_folder() as folder:
        stage = Stage(Premises(block, Path(folder)), is_live=is_live and find_spec("rich") is not None)
        return trio.run(partial(stage.run, keep=keep, rate=rate))


def _make_folder() -> "tempfile.TemporaryDirectory[str]":
    """Return a directory whose name leaves room for those of sockets, whose length is limited."""
    is_short = len(tempfile.gettempdir()) <= MAX_FOLDER
    return tempfile.TemporaryDirectory(prefix="gossip-demo-", dir=None if is_short else "/tmp")  # noqa: S108


class Stage:
    """One performance."""

    def __init__(self, premises: Premises, *, is_live: bool) -> None:
        self._is_live = is_live
        self._interrupted = False
        self._is_over = False
        self._problems: list[str] = []
        self.timeline = Timeline(self._show)
        self.witness = Witness(self.timeline)
        self.cast = Cast(premises, self.witness)
        self.load = Load(Target(premises.lb_host, HTTP_PORT))
        self.story = Story(self.cast, self.load, self.witness, self.timeline)

    async def run(self, *, keep: bool, rate: float) -> int:
        """Play, summarize, clean up; return the exit code."""
        scope = trio.CancelScope()
        async with trio.open_nursery() as watching:
            # Until everything is cleaned up: a second Ctrl-C must not leave half of it behind.
            await watching.start(self._obey_signals, scope)
            try:
                with scope:
                    await self._perform(keep=keep, rate=rate)
            finally:
                with trio.CancelScope(shield=True):
                    await self.cast.clear_the_stage()
                watching.cancel_scope.cancel()
        if self._interrupted and not self._is_over:
            return INTERRUPTED
        return FAILED if self._problems else 0

    async def _perform(self, *, keep: bool, rate: float) -> None:
        async with trio.open_nursery() as nursery:
            await self._play(nursery, rate)
            self._is_over = True
            self._sum_up()
            if keep:
                await self._linger()
            nursery.cancel_scope.cancel()

    async def _play(self, nursery: trio.Nursery, rate: float) -> None:
        loading = trio.Event()

        async def generate_load() -> None:
            try:
                await self.load.run_open_loop(rate, FRESH_SHARE, Random())
            finally:
                loading.set()

        async with trio.open_nursery() as showing:
            if self._is_live:
                screen = Screen(self.story, self.witness, self.load.tally, self.timeline)
                showing.start_soon(screen.run)
            try:
                with trio.fail_after(STORY_TIMEOUT):
                    await self.story.play(nursery, lambda: nursery.start_soon(generate_load))
            except ExpectationError as error:
                self._problems.append(str(error))
            except trio.TooSlowError:
                self._problems.append(f"the story ends within {STORY_TIMEOUT:.0f} s")
            self.load.stop()
            with trio.move_on_after(LAST_ANSWERS_TIMEOUT):
                if self.load.tally.sent:
                    await loading.wait()
            showing.cancel_scope.cancel()
        self._problems += self.story.judge()

    def _sum_up(self) -> None:
        click.echo("")
        lines = summary(self.story.results, self.load.tally, len(self.witness.swaps), self._problems)
        for line in lines:
            click.echo(line)
        if self._problems and self.witness.last_words:
            click.echo(f"last words of the load balancer: {self.witness.last_words}")

    async def _linger(self) -> None:
        click.echo("\nEverything is still running. Try:")
        for way in ways_to_look(self.cast):
            click.echo(f"  {way}")
        click.echo("Press Ctrl-C to stop.")
        await trio.sleep_forever()

    async def _obey_signals(
        self, scope: trio.CancelScope, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for _ in signals:
                self._interrupted = True
                scope.cancel()

    def _show(self, line: Line) -> None:
        if not self._is_live and not self._is_over:
            click.echo(str(line))
