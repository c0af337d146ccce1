"""``gossip sim``: run, search and replay simulated clusters; no agent is needed, and none is touched."""

from __future__ import annotations

import os
import re
import shutil
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gossip.cli.connection import CommandFailedError
from gossip.cli.dialect import SerfCommand
from gossip.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from gossip.sim.beliefs import Beliefs
    from gossip.sim.scenario import Scenario
    from gossip.sim.trial import Outcome

LABEL_WIDTH = 8
LEAST_WIDTH = 20
_SEEDS = re.compile(r"(\d+)(?:\.\.(\d+))?")


class SimGroup(SerfCommand, click.Group):
    """The sub-commands of the simulator, with flags in both spellings."""


def run_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the flags that say how to run and what to show."""
    options = [
        click.option("--wire", is_flag=True, help="Take every message through the full byte path."),
        click.option("--trace", is_flag=True, help="Print everything that happened."),
        click.option("--timeline", is_flag=True, help="Show what each node believes over time."),
        click.option("--about", metavar="NODE", default="", help="Show only what each believes of NODE."),
        click.option(
            "--svg",
            type=click.Path(dir_okay=False, path_type=Path),
            help="Write the timeline as a picture to this file.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.group(cls=SimGroup, no_args_is_help=False)
def sim() -> None:
    """Simulate clusters: virtual time, the agent's own core, every fault, all from a seed."""


@sim.command(cls=SerfCommand)
@click.argument("scenario", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--seed", type=click.IntRange(min=0), help="Another seed than the file's.")
@run_options
def run(
    *,
    scenario: Path,
    seed: int | None,
    wire: bool,
    trace: bool,
    timeline: bool,
    about: str,
    svg: Path | None,
) -> None:
    """Run a scenario from a file (TOML)."""
    from gossip.sim.scenario import read_scenario
    from gossip.sim.trial import with_seed

    try:
        text = scenario.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {scenario}: {error}") from None
    chosen = read_scenario(text, str(scenario))
    if seed is not None:
        chosen = with_seed(chosen, seed)
    _show(chosen, wire=wire, trace=trace, timeline=timeline or bool(about), about=about, svg=svg)


@sim.command(cls=SerfCommand)
@click.argument("seed", type=click.IntRange(min=0))
@click.option("--most-nodes", type=click.IntRange(min=3), help="The same limit that the swarm ran with.")
@click.option("--print", "print_only", is_flag=True, help="Only print the scenario, for a file of its own.")
@run_options
def replay(
    *,
    seed: int,
    most_nodes: int | None,
    print_only: bool,
    wire: bool,
    trace: bool,
    timeline: bool,
    about: str,
    svg: Path | None,
) -> None:
    """Run the scenario that the swarm draws from SEED."""
    chosen = _drawn(seed, most_nodes)
    if print_only:
        click.echo(chosen.text(), nl=False)
        return
    _show(chosen, wire=wire, trace=trace, timeline=timeline or bool(about), about=about, svg=svg)


@sim.command(cls=SerfCommand)
@click.option("--seeds", metavar="A..B", default="0..99", show_default=True, help="Seeds to try, both ends.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
@click.option("--most-nodes", type=click.IntRange(min=3), help="Nodes of the largest cluster.  [64]")
@click.option("--wire", is_flag=True, help="Take every message through the full byte path.")
@click.option("--digests", is_flag=True, help="Print the trace hash of each seed.")
def swarm(*, seeds: str, jobs: int, most_nodes: int | None, wire: bool, digests: bool) -> None:
    """Run a scenario drawn from each seed, and tell the first rule that each broke."""
    first, last = _seed_range(seeds)
    failed = []
    with closing(_outcomes(range(first, last + 1), jobs, most_nodes, wire=wire)) as outcomes:
        for outcome in _with_progress(outcomes, last - first + 1):
            if digests:
                click.echo(f"{outcome.scenario.seed} {outcome.digest}")
            if outcome.failure is not None:
                failed.append(outcome.scenario.seed)
                click.echo(outcome.report())
    if failed:
        shown = ", ".join(map(str, failed))
        raise CommandFailedError(f"{len(failed)} of {last - first + 1} seeds broke a rule: {shown}")
    click.echo(f"{last - first + 1} seeds: every rule held, every core agreed")


def _seed_range(text: str) -> tuple[int, int]:
    match = _SEEDS.fullmatch(text)
    if match is None or int(match[2] or match[1]) < int(match[1]):
        raise click.UsageError(f"seeds {text!r} are not A..B with A at most B")
    return int(match[1]), int(match[2] or match[1])


def _drawn(seed: int, most_nodes: int | None) -> Scenario:
    from gossip.sim.swarm import MOST_NODES
    from gossip.sim.swarm import swarm as draw

    return draw(seed, most_nodes=most_nodes or MOST_NODES)


def _outcomes(
    seeds: range, jobs: int, most_nodes: int | None, *, wire: bool
) -> Generator[Outcome, None, None]:
    """Yield what became of each seed, in the order of the seeds."""
    work = [(seed, most_nodes, wire) for seed in seeds]
    if jobs == 1:
        yield from map(_try_one, work)
        return
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(_try_one, work, chunksize=4)


def _try_one(work: tuple[int, int | None, bool]) -> Outcome:
    from gossip.sim.trial import Trial

    seed, most_nodes, wire = work
    return Trial(_drawn(seed, most_nodes), wire=wire).run()


def _with_progress(outcomes: Iterator[Outcome], length: int) -> Iterator[Outcome]:
    if not sys.stderr.isatty():
        yield from outcomes
        return
    with click.progressbar(outcomes, length=length, label="swarm", file=sys.stderr) as bar:
        yield from bar


def _show(
    scenario: Scenario, *, wire: bool, trace: bool, timeline: bool, about: str, svg: Path | None
) -> None:
    """Run `scenario` and print what was asked for; a broken rule is a failure."""
    from gossip.sim.beliefs import Beliefs
    from gossip.sim.trial import Trial

    if about and about not in scenario.names:
        raise click.UsageError(f"there is no node {about!r}: the nodes are n0 to {scenario.names[-1]}")
    trial = Trial(scenario, wire=wire, keep_trace=trace)
    beliefs = Beliefs(about)
    trial.watch(lambda _: beliefs)
    outcome = trial.run()
    if trace:
        click.echo(trial.cluster.trace.text())
    if timeline:
        _show_timeline(beliefs, about, outcome.ended)
    if svg is not None:
        _write_picture(svg, scenario, beliefs, about, outcome.ended)
    click.echo(
        f"seed {scenario.seed}, trace {outcome.digest}, {outcome.packets} packets, {outcome.ended:g} s"
    )
    if outcome.failure is not None:
        click.echo(outcome.report())
        raise CommandFailedError(f"broken rule: {outcome.failure.rule}")
    click.echo(f"agreed {outcome.settled_after:g} s after the last fault")


def _show_timeline(beliefs: Beliefs, about: str, ended: float) -> None:
    from gossip.sim.timeline import rows_of, timeline

    changes, keys = rows_of(beliefs, about)
    width = max(LEAST_WIDTH, shutil.get_terminal_size().columns - LABEL_WIDTH - 1)
    for name, cells in timeline(changes, keys, ended, width).items():
        click.echo(f"{name:>{LABEL_WIDTH}} " + "".join(click.style(c.letter, fg=c.style) for c in cells))
    for key in keys.values():
        click.echo(f"{'':>{LABEL_WIDTH}} {click.style(key.letter, fg=key.style)}  {key.meaning}")


def _write_picture(path: Path, scenario: Scenario, beliefs: Beliefs, about: str, ended: float) -> None:
    from gossip.sim.picture import picture
    from gossip.sim.timeline import rows_of

    changes, keys = rows_of(beliefs, about)
    subject = f"what each believes of {about}" if about else "what is wrong with each view"
    title = f"{scenario.name or 'scenario'}, seed {scenario.seed}: {subject}"
    try:
        path.write_text(picture(title, changes, keys, beliefs.notes, ended), encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or os.strerror(error.errno or 0)).lower()
        raise CommandFailedError(f"cannot write {path}: {reason}") from None
