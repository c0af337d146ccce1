"""``gossip sim``: run, search and replay simulated clusters, with flags in both spellings."""

from gossip.cli.dialect import SerfCommand, SerfGroup
from gossip.cli.replay_recording import replay_recording
from gossip.cli.simulator.command import sim_commands

sim = sim_commands(group=SerfGroup, command=SerfCommand)
sim.add_command(replay_recording)
