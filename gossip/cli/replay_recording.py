"""``gossip sim replay-recording``: replay a flight recording through this version's core and compare.

Input: a file written by ``gossip record dump`` (see `gossip.recording`). Output: the member table and
counters at the end, every step with ``--trace``, and exit code 1 with the first difference if the replay
differs.
"""

from __future__ import annotations

import reprlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gossip.cli.dialect import SerfCommand
from gossip.cli.finite_range import FiniteRange
from gossip.cli.output import format_option, show_json
from gossip.errors import CommandFailedError, ConfigError
from gossip.printable import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from gossip.ipc.bodies import Member
    from gossip.recording.recording import Recording
    from gossip.recording.replay import Replay, Step
    from gossip.serf.node import SerfNode

INDENT = 30
SHOWN_DIFFERENCES = 5
"""The first difference matters most; the others usually follow from it."""


@click.command(cls=SerfCommand)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--until", type=FiniteRange(min=0), metavar="SECONDS", help="Stop this long after the first input."
)
@click.option("--trace", is_flag=True, help="Print every input and its effects.")
@format_option
def replay_recording(*, file: Path, until: float | None, trace: bool, output_format: str) -> None:
    """Replay a recording: the core must end in the agent's state.

    Prints the member table and the counters at the end. Fails if anything differs from the recording.
    """
    from gossip.recording.replay import Replay
    from gossip.recording.rows import RecordingError, hostile

    recording = _read(file)
    try:
        replay = Replay(recording)
        clock = _wall_clock(recording)
        for step in replay.run(float("inf") if until is None else until):
            if trace:
                _show_step(step, replay, clock)
        with hostile("the member table is broken"):
            members = _members(replay.node)
            counters = _counters(replay)
    except RecordingError as error:
        raise CommandFailedError(f"cannot replay {file}: {one_line(str(error))}") from None
    if output_format == "json":
        _show_as_json(recording, replay, members, counters)
    else:
        _show(recording, replay, members, counters)
    if replay.differences:
        raise CommandFailedError(f"replay differs from the recording: {replay.differences[0]}")


def _read(file: Path) -> Recording:
    from gossip.recording.recording import decode_recording, read_recording
    from gossip.recording.rows import RecordingError

    data = read_recording(file)
    try:
        return decode_recording(data)
    except RecordingError as error:
        raise ConfigError(f"cannot replay {file}: {error}") from None


def _show(recording: Recording, replay: Replay, members: list[Member], counters: dict[str, int]) -> None:
    from gossip.cli.members import show_members

    click.echo(
        f"{printable(recording.node)}, gossip {printable(recording.gossip)} on Python"
        f" {printable(recording.python)}, dumped {printable(recording.at)}:"
        f" {replay.steps} inputs in {_seconds(replay):.3f} s"
    )
    show_members(members)
    click.echo(", ".join(f"{name} {count}" for name, count in counters.items()))
    for difference in replay.differences[:SHOWN_DIFFERENCES]:
        click.echo(difference)
    if not replay.is_complete:
        click.echo("stopped early: the end was not compared")
    elif not replay.differences:
        click.echo("the final state and every effect match the recording")


def _show_as_json(
    recording: Recording, replay: Replay, members: list[Member], counters: dict[str, int]
) -> None:
    from gossip.cli.members import members_json

    show_json(
        {
            "node": recording.node,
            "gossip": recording.gossip,
            "python": recording.python,
            "at": recording.at,
            "seconds": round(_seconds(replay), 6),
            "members": members_json(members),
            "counters": counters,
            "complete": replay.is_complete,
            "equal": replay.is_complete and not replay.differences,
            "differences": replay.differences[:SHOWN_DIFFERENCES],
        }
    )


def _members(node: SerfNode) -> list[Member]:
    from gossip.agent.ipc_streams import describe

    return sorted(map(describe, node.members()), key=lambda member: member.name)


def _counters(replay: Replay) -> dict[str, int]:
    swim = replay.node.swim
    return {
        "inputs": replay.steps,
        "packets": replay.counts["receive_packet"],
        "push_pulls": replay.counts["merge_remote_state"],
        "effects": replay.effects,
        "probes": swim.detector.probes,
        "failed_probes": swim.detector.failed_probes,
        "refutations": swim.view.refutations,
        "rejected": swim.rejected,
        **{name: int(figure) for name, figure in replay.node.stats().items()},
    }


def _seconds(replay: Replay) -> float:
    return 0.0 if replay.began is None else replay.now - replay.began


def _wall_clock(recording: Recording) -> Callable[[float], str]:
    """Return a function that converts the node's monotonic times to the wall-clock times of the log."""
    from datetime import datetime, timedelta

    def shown(now: float) -> str:
        try:
            dumped = datetime.fromisoformat(recording.at)
            return f"{dumped + timedelta(seconds=now - recording.now):%H:%M:%S.%f}"
        except (ValueError, OverflowError):
            return "?"  # the file holds no valid time

    return shown


def _show_step(step: Step, replay: Replay, clock: Callable[[float], str]) -> None:
    from gossip.cli.simulator.narration import describe

    if step.effects:
        for effect in step.effects:
            click.echo(f"{'':>{INDENT}}  {printable(describe(effect))}")
        return
    if step.verb in ("next_deadline", "effects"):
        return
    at = f"{clock(replay.now)} +{_seconds(replay):.6f}"
    click.echo(f"{at:<{INDENT}} {step.number:>6} {printable(_words(step))}")


def _words(step: Step) -> str:
    from gossip.recording.recorder import RECEIVE_PACKET, VERBS

    if step.verb == VERBS[RECEIVE_PACKET]:
        parts, source = step.args[0], step.args[1]
        assert isinstance(parts, tuple)
        words = f"receives {len(parts)} messages from {source}: {', '.join(map(_kind, parts))}"
    else:
        named = {name: value for name, value in step.named.items() if name != "now"}
        told = [
            *(_shown(arg) for arg in step.args if arg != step.now),
            *(f"{name}={_shown(value)}" for name, value in named.items()),
        ]
        words = f"{step.verb} {' '.join(told)}".rstrip()
    return f"{words} -- {step.error}" if step.error else words


def _shown(value: object) -> str:
    from gossip.wire.messages import PushPull

    if isinstance(value, PushPull):
        return f"{len(value.nodes)} rows"
    return reprlib.repr(value)


def _kind(part: bytes) -> str:
    from gossip.errors import RemoteProtocolError
    from gossip.wire.codec import decode

    try:
        return type(decode(part)).__name__
    except RemoteProtocolError:
        return "broken"
