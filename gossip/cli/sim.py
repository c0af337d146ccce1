"""``gossip sim``: run, search and replay simulated clusters, with flags in both spellings."""

import click

from gossip.cli.dialect import SerfCommand
from gossip.cli.replay_recording import replay_recording
from gossip.cli.simulator.command import sim_commands


class SimGroup(SerfCommand, click.Group):
    """The sub-commands of the simulator."""


sim = sim_commands(group=SimGroup, command=SerfCommand)
sim.add_command(replay_recording)
