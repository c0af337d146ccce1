"""``gossip record``: flight recordings of a running agent."""

from pathlib import Path

import click

from gossip.cli.dialect import SerfCommand
from gossip.cli.output_file import OutputFile
from gossip.errors import CommandFailedError, ConfigError, os_reason
from gossip.printable import one_line

DUMP_PATH = "/v1/record/dump"


class RecordGroup(SerfCommand, click.Group):
    """The sub-commands, with flags in both spellings."""


@click.group(cls=RecordGroup, no_args_is_help=False)
def record() -> None:
    """Get the flight recording of an agent that runs with --record."""


@record.command(cls=SerfCommand)
@click.argument("file", type=OutputFile(), required=False)
@click.option(
    "--control",
    metavar="PATH",
    envvar="GOSSIP_CONTROL",
    show_envvar=True,
    help="The agent's control socket, as given to the agent with --control.",
)
def dump(*, file: Path | None, control: str | None) -> None:
    """Write what the agent remembers to FILE, for 'gossip sim replay-recording'.

    Without FILE the name is made of the node's name and the time. A file that is there already is replaced.
    """
    from gossip.cli.control import ask_control
    from gossip.recording.recording import (
        MAX_RECORDING_BYTES,
        decode_recording,
        recording_name,
        write_recording,
    )
    from gossip.recording.rows import RecordingError

    if not control:
        raise ConfigError(
            "the path of the agent's control socket is unknown: give --control PATH, or GOSSIP_CONTROL"
        )
    data = ask_control(control, "POST", DUMP_PATH, most=MAX_RECORDING_BYTES)
    try:
        recording = decode_recording(data)
    except RecordingError as error:
        reason = one_line(str(error))
        raise CommandFailedError(f"the agent at {control} sent no recording: {reason}") from None
    path = file or Path(recording_name(recording.node, recording.at))
    try:
        write_recording(path, data)
    except OSError as error:
        raise CommandFailedError(f"cannot write {path}: {os_reason(error)}") from None
    click.echo(f"{path}: {len(data)} bytes")
