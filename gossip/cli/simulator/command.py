"""The commands that run, search and replay simulated clusters, without any agent.

A program can add observers to each run (`Riders`); their counts are printed for each run and in total.
``gossip sim`` adds none, ``gossip-lb sim`` adds load balancers.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from gossip.cli.output_file import OutputFile
from gossip.errors import CommandFailedError, os_reason
from gossip.sim.observer import Riders

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from gossip.cli.simulator.beliefs import Beliefs
    from gossip.sim.observer import Counting
    from gossip.sim.scenario import Scenario
    from gossip.sim.trial import Outcome, Trial

LABEL_WIDTH = 8
LEAST_WIDTH = 20
MAX_SEEDS = 1_000_000
MAX_JOBS = 256
_SEEDS = re.compile(r"(\d{1,18})(?:\.\.(\d{1,18}))?", re.ASCII)


class Work(NamedTuple):
    """A seed to run."""

    seed: int
    most_nodes: int | None
    wire: bool
    riders: Riders


class Wanted(NamedTuple):
    """How to run a scenario, and what to show of it."""

    wire: bool
    trace: bool
    timeline: bool
    about: str
    svg: Path | None


class Ride(NamedTuple):
    """The outcome of a run, and the counts of its observers."""

    outcome: Outcome
    counts: dict[str, int]


def sim_commands(
    load_riders: Callable[[], Riders] = Riders,
    *,
    group: type[click.Group] = click.Group,
    command: type[click.Command] = click.Command,
) -> click.Group:
    """Return the group ``sim`` of the given classes; `load_riders` is called when a command runs."""

    @click.group(cls=group, no_args_is_help=False)
    def sim() -> None:
        """Simulate clusters: virtual time, the agent's own core, every fault, all from a seed."""

    for function in (run, replay, swarm):
        sim.command(cls=command)(_with_riders(function, load_riders))
    return sim


def _with_riders(function: Callable[..., None], load_riders: Callable[[], Riders]) -> Callable[..., None]:
    @wraps(function)
    def bound(**flags: object) -> None:
        function(load_riders(), **flags)

    return bound


def run_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the flags for how to run and what to show; they are passed as `wanted`."""

    @wraps(command)
    def with_wanted(
        riders: Riders,
        *,
        wire: bool,
        trace: bool,
        timeline: bool,
        about: str,
        svg: Path | None,
        **rest: object,
    ) -> None:
        command(riders, wanted=Wanted(wire, trace, timeline, about, svg), **rest)

    options = [
        click.option("--wire", is_flag=True, help="Encode, seal and parse every message."),
        click.option("--trace", is_flag=True, help="Print everything that happened."),
        click.option("--timeline", is_flag=True, help="Show what each node believes over time."),
        click.option("--about", metavar="NODE", default="", help="Show what each node believes about NODE."),
        click.option(
            "--svg",
            type=OutputFile(),
            help="Write the timeline as a picture to this file.",
        ),
    ]
    result: Callable[..., None] = with_wanted
    for option in reversed(options):
        result = option(result)
    return result


@click.argument("scenario", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--seed", type=click.IntRange(min=0), help="Seed to use instead of the file's.")
@run_options
def run(riders: Riders, *, scenario: Path, seed: int | None, wanted: Wanted) -> None:
    """Run a scenario from a file (TOML)."""
    from gossip.sim.scenario import read_scenario
    from gossip.sim.trial import with_seed
    from gossip.toml_file import read_text

    chosen = read_scenario(read_text(scenario, "scenario"), str(scenario))
    if seed is not None:
        chosen = with_seed(chosen, seed)
    _show(_cast(chosen, riders), riders, wanted)


@click.argument("seed", type=click.IntRange(min=0))
@click.option(
    "--most-nodes", type=click.IntRange(min=3), help="Largest cluster, as it was given to the swarm."
)
@click.option("--print", "print_only", is_flag=True, help="Only print the scenario, to be saved in a file.")
@run_options
def replay(riders: Riders, *, seed: int, most_nodes: int | None, print_only: bool, wanted: Wanted) -> None:
    """Run the scenario that the swarm draws from SEED."""
    chosen = _drawn(seed, most_nodes, riders)
    if print_only:
        click.echo(chosen.text(), nl=False)
        return
    _show(chosen, riders, wanted)


@click.option(
    "--seeds", metavar="A..B", default="0..99", show_default=True, help="Seeds to try, both ends included."
)
@click.option("--jobs", type=click.IntRange(1, MAX_JOBS), default=1, show_default=True, help="Processes.")
@click.option("--most-nodes", type=click.IntRange(min=3), help="Nodes of the largest cluster.  [64]")
@click.option("--wire", is_flag=True, help="Encode, seal and parse every message.")
@click.option("--digests", is_flag=True, help="Print the trace hash of each seed.")
def swarm(
    riders: Riders, *, seeds: str, jobs: int, most_nodes: int | None, wire: bool, digests: bool
) -> None:
    """Run a scenario drawn from each seed, and tell the first rule that each broke."""
    first, last = _seed_range(seeds)
    failed = []
    total: Counter[str] = Counter()
    work = [Work(seed, most_nodes, wire, riders) for seed in range(first, last + 1)]
    with closing(_rides(work, jobs)) as rides:
        for ride in _with_progress(rides, len(work)):
            outcome = ride.outcome
            if digests:
                click.echo(f"{outcome.scenario.seed} {outcome.digest}")
            if ride.counts:
                click.echo(f"seed {outcome.scenario.seed}: {_in_words(ride.counts)}")
                total.update(ride.counts)
            if outcome.failure is not None:
                from gossip.cli.simulator.narration import report

                failed.append(outcome.scenario.seed)
                click.echo(report(outcome))
    if total:
        click.echo(f"in total: {_in_words(total)}")
    if failed:
        shown = ", ".join(map(str, failed))
        raise CommandFailedError(f"{len(failed)} of {len(work)} seeds broke a rule: {shown}")
    click.echo(f"{len(work)} seeds: every rule held, every core agreed")


def _seed_range(text: str) -> tuple[int, int]:
    match = _SEEDS.fullmatch(text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
    if last < first:
        raise click.UsageError(f"seeds {text!r} are not A..B with A at most B")
    if last - first >= MAX_SEEDS:
        raise click.UsageError(f"seeds {text} are more than {MAX_SEEDS}: try fewer at a time")
    return first, last


def _drawn(seed: int, most_nodes: int | None, riders: Riders) -> Scenario:
    from gossip.sim.swarm import MOST_NODES
    from gossip.sim.swarm import swarm as draw

    return _cast(draw(seed, most_nodes=most_nodes or MOST_NODES), riders)


def _cast(scenario: Scenario, riders: Riders) -> Scenario:
    return riders.cast(scenario) if riders.cast else scenario


def _rides(work: list[Work], jobs: int) -> Generator[Ride, None, None]:
    """Yield the result of each seed, in the order of the seeds."""
    if jobs == 1:
        yield from map(_try_one, work)
        return
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(_try_one, work, chunksize=4)


def _try_one(work: Work) -> Ride:
    from gossip.sim.trial import Trial

    trial = Trial(_drawn(work.seed, work.most_nodes, work.riders), wire=work.wire)
    counting = _board(trial, work.riders)
    outcome = trial.run()
    return Ride(outcome, _counts(counting))


def _board(trial: Trial, riders: Riders) -> list[Counting]:
    counting = [make(trial.cluster) for make in riders.observers]
    trial.cluster.observers.extend(counting)
    return counting


def _counts(counting: list[Counting]) -> dict[str, int]:
    return {label: number for observer in counting for label, number in observer.counts().items()}


def _in_words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{label} {number}" for label, number in counts.items())


def _with_progress(rides: Iterator[Ride], length: int) -> Iterator[Ride]:
    if not sys.stderr.isatty():
        yield from rides
        return
    with click.progressbar(rides, length=length, label="swarm", file=sys.stderr) as bar:
        yield from bar


def _show(scenario: Scenario, riders: Riders, wanted: Wanted) -> None:
    """Run `scenario` and print the requested output; a broken rule is a failure."""
    from gossip.cli.simulator.beliefs import Beliefs
    from gossip.cli.simulator.narration import narrate, report
    from gossip.sim.trial import Trial

    about = wanted.about
    if about and about not in scenario.names:
        raise click.UsageError(f"there is no node {about!r}: the nodes are n0 to {scenario.names[-1]}")
    trial = Trial(scenario, wire=wanted.wire, keep_trace=wanted.trace)
    beliefs = Beliefs(about)
    trial.watch(lambda _: beliefs)
    counting = _board(trial, riders)
    outcome = trial.run()
    if wanted.trace:
        click.echo(narrate(trial.cluster.trace.entries))
    if wanted.timeline or about:
        _show_timeline(beliefs, about, outcome.ended)
    if wanted.svg is not None:
        _write_picture(wanted.svg, scenario, beliefs, about, outcome.ended)
    click.echo(
        f"seed {scenario.seed}, trace {outcome.digest}, {outcome.packets} packets, {outcome.ended:g} s"
    )
    if counting:
        click.echo(_in_words(_counts(counting)))
    if outcome.failure is not None:
        click.echo(report(outcome))
        raise CommandFailedError(f"broken rule: {outcome.failure.rule}")
    click.echo(f"agreed {outcome.settled_after:g} s after the last fault")


def _show_timeline(beliefs: Beliefs, about: str, ended: float) -> None:
    from gossip.cli.simulator.timeline import rows_of, timeline

    changes, keys = rows_of(beliefs, about)
    width = max(LEAST_WIDTH, shutil.get_terminal_size().columns - LABEL_WIDTH - 1)
    for name, cells in timeline(changes, keys, ended, width).items():
        click.echo(f"{name:>{LABEL_WIDTH}} " + "".join(click.style(c.letter, fg=c.style) for c in cells))
    for key in keys.values():
        click.echo(f"{'':>{LABEL_WIDTH}} {click.style(key.letter, fg=key.style)}  {key.meaning}")


def _write_picture(path: Path, scenario: Scenario, beliefs: Beliefs, about: str, ended: float) -> None:
    from gossip.cli.simulator.picture import picture
    from gossip.cli.simulator.timeline import rows_of

    changes, keys = rows_of(beliefs, about)
    subject = f"what each node believes about {about}" if about else "what is wrong with each view"
    title = f"{scenario.name or 'scenario'}, seed {scenario.seed}: {subject}"
    try:
        path.write_text(picture(title, changes, keys, beliefs.notes, ended), encoding="utf-8")
    except OSError as error:
        raise CommandFailedError(f"cannot write {path}: {os_reason(error)}") from None
