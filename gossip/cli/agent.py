"""``gossip agent``: its flags are the settings of an agent (serf-wire 8.1)."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from gossip.cli.settings_flags import (
    SettingsCommand,
    config_files_option,
    print_config_option,
    setting_flags,
)


def _flags() -> Iterable[click.Parameter]:
    from gossip.agent.config import AgentConfig

    return setting_flags(AgentConfig)


def _print_config(flags: Mapping[str, object], config_files: tuple[Path, ...]) -> int:
    from gossip.agent.config_sources import explained_config
    from gossip.settings.explanation import explain

    for line in explain(explained_config(flags, config_files)):
        click.echo(line)
    return 0


@click.command(cls=SettingsCommand, settings=_flags)
@config_files_option
@print_config_option
def agent(*, config_files: tuple[Path, ...], print_config: bool, **flags: object) -> int:
    """Run an agent until it is told to leave (SIGINT, SIGTERM, 'gossip leave').

    Every flag may also be set as GOSSIP_<KEY> in the environment or as a key in a configuration file.
    """
    if print_config:
        return _print_config(flags, config_files)

    from gossip.agent.memory import import_trio

    import_trio()
    from gossip.agent.service import main

    if flags["role"]:
        click.echo("Deprecation warning: '--role' has been replaced with '--tag role=ROLE'", err=True)
    return main(flags, config_files)
