"""The command ``gossip-lb``: run a load balancer, check whether one could run, watch one, simulate many."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

import gossip
from gossip.cli.dialect import SerfCommand, SerfGroup
from gossip.cli.finite_range import FiniteRange
from gossip.cli.program import DONE, run_process, run_program, version_option
from gossip.cli.settings_flags import (
    SettingsCommand,
    config_files_option,
    print_config_option,
    setting_flags,
)
from gossip.cli.simulator.command import sim_commands

if TYPE_CHECKING:
    from gossip.sim.observer import Riders

PROGRAM = "gossip-lb"

_LB_FILE = click.option(
    "--lb-config", "lb_config_file", type=click.Path(path_type=Path), help="TOML file with a table [lb]."
)


def _lb_flags() -> Iterable[click.Parameter]:
    from lb.config import LbConfig

    return setting_flags(LbConfig)


def _all_flags() -> Iterable[click.Parameter]:
    from gossip.agent.config import AgentConfig
    from lb.config import LbConfig

    return (*_lb_flags(), *setting_flags(AgentConfig, leave_out=LbConfig.__struct_fields__))


def _show_version() -> None:
    click.echo(gossip.__version__)


@click.group(cls=SerfGroup, no_args_is_help=False, context_settings={"help_option_names": ["-h", "--help"]})
@version_option(_show_version)
def cli() -> None:
    """Let the members of a gossip cluster be the servers of HAProxy."""


@cli.command("run", cls=SettingsCommand, settings=_all_flags)
@_LB_FILE
@config_files_option
@print_config_option
def run_balancer(
    config_files: tuple[Path, ...], lb_config_file: Path | None, print_config: bool, **flags: object
) -> int:
    """Run a load balancer until it is told to leave (SIGINT, SIGTERM).

    HAProxy must run in master-worker mode (haproxy -W -S MASTER_SOCKET -f FILE), or is started with
    --start-haproxy. It goes on serving when gossip-lb exits (see --stop-haproxy-on-exit). SIGHUP reloads the
    template and settings. Flags of the agent may also be set as GOSSIP_<KEY>, the others as GOSSIP_LB_<KEY>.
    """
    overrides, lb_overrides = _split(flags)
    if print_config:
        return _print_config(overrides, lb_overrides, config_files, lb_config_file)

    from lb.run import main as start

    return start(overrides, lb_overrides, config_files, lb_config_file)


@cli.command("stop-haproxy", cls=SettingsCommand, settings=_lb_flags)
@_LB_FILE
def stop_haproxy(lb_config_file: Path | None, **flags: object) -> int:
    """Stop the HAProxy that a gossip-lb started and left running; requests in flight may finish.

    A HAProxy that was started by something else is never stopped. Exit code 1: there was none to stop.
    """
    from lb.run import stop

    return stop(flags, lb_config_file, click.echo)


@cli.command(cls=SettingsCommand, settings=_lb_flags)
@_LB_FILE
def check(lb_config_file: Path | None, **flags: object) -> int:
    """Say whether a load balancer could run here, and what is in its way."""
    from lb.check import check_all

    return check_all(flags, lb_config_file, click.echo)


@cli.command(cls=SerfCommand)
@click.option("--keep", is_flag=True, help="Leave everything running at the end, until Ctrl-C.")
@click.option("--rate", default=200.0, show_default=True, type=FiniteRange(1.0, 5000.0), help="Requests/s.")
@click.option("--plain", is_flag=True, help="A timeline instead of a live screen.")
def demo(keep: bool, rate: float, plain: bool) -> int:
    """Watch HAProxy follow a cluster: five servers come, one is killed, one leaves; under load."""
    from lb.demo.stage import perform

    return perform(keep=keep, rate=rate, is_live=sys.stdout.isatty() and not plain)


def _riders() -> "Riders":
    from lb.sim.balancers import RIDERS

    return RIDERS


cli.add_command(sim_commands(_riders, group=SerfGroup, command=SerfCommand))


def _print_config(
    overrides: Mapping[str, object],
    lb_overrides: Mapping[str, object],
    config_files: Sequence[Path],
    lb_config_file: Path | None,
) -> int:
    """Print both parts; each can be used as a file."""
    from gossip.settings.explanation import explain
    from lb.config_sources import explained_agent_config, explained_lb_config

    agent = explained_agent_config(overrides, config_files)
    balancer = explained_lb_config(lb_overrides, lb_config_file)
    for line in ("# --config-file", *explain(agent), "", "# --lb-config", "[lb]", *explain(balancer)):
        click.echo(line)
    return DONE


def _split(flags: dict[str, object]) -> tuple[dict[str, object], dict[str, object]]:
    """Sort flags into those of the agent and those of the load balancer."""
    from lb.config import LbConfig

    lb_keys = set(LbConfig.__struct_fields__)
    return (
        {key: value for key, value in flags.items() if key not in lb_keys},
        {key: value for key, value in flags.items() if key in lb_keys},
    )


def main() -> int:
    """Run the command line of this process and return its exit code."""
    return run_process(cli, PROGRAM)


def run(args: Sequence[str]) -> int:
    """Run the command line `args` and return its exit code."""
    return run_program(cli, PROGRAM, args)
