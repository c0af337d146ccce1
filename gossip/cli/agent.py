"""``gossip agent``: its flags are the settings of an agent (serf-wire 8.1)."""

from collections.abc import Iterable
from pathlib import Path

import click

from gossip.cli.settings_flags import SettingsCommand, config_files_option, setting_flags


def _flags() -> Iterable[click.Parameter]:
    from gossip.agent.config import AgentConfig

    return setting_flags(AgentConfig)


@click.command(cls=SettingsCommand, settings=_flags)
@config_files_option
def agent(*, config_files: tuple[Path, ...], **flags: object) -> int:
    """Run an agent until it is told to leave (SIGINT, SIGTERM, 'gossip leave').

    Every flag may also be set as GOSSIP_<KEY> in the environment or as a key in a configuration file.
    """
    from gossip.agent.service import main

    if flags["role"]:
        click.echo("Deprecation warning: '--role' has been replaced with '--tag role=ROLE'", err=True)
    return main(flags, config_files)
