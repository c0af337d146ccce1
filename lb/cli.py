"""The command ``gossip-lb``: run a load balancer, check whether one could run, watch one, simulate many.

Exit codes: 0 done; 1 failed; 2 wrong usage or configuration.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from gossip.cli.simulator.command import sim_commands
from gossip.errors import CommandFailedError, ConfigError

if TYPE_CHECKING:
    from gossip.sim.observer import Riders

PROGRAM = "gossip-lb"
DONE, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130
Decorated = TypeVar("Decorated", bound=Callable[..., object])

_CONFIG_FILE = click.Path(path_type=Path)
_AGENT_OPTIONS = (
    click.option("--node", "node_name", metavar="NAME", help="Name in the cluster.  [default: the hostname]"),
    click.option(
        "--bind", metavar="HOST[:PORT]", help="Address to listen on for gossip.  [default: 0.0.0.0:7946]"
    ),
    click.option(
        "--iface", "interface", metavar="NAME", help="Network interface whose address to listen on."
    ),
    click.option("--advertise", metavar="HOST[:PORT]", help="Address that peers are told to use."),
    click.option(
        "--join",
        "start_join",
        metavar="SEED",
        multiple=True,
        help="Member to join at the start, or fail; repeatable.",
    ),
    click.option(
        "--retry-join",
        metavar="SEED",
        multiple=True,
        help="Member to join, retried until it answers; repeatable.",
    ),
    click.option("--retry-interval", metavar="DURATION", help="Time between retries.  [default: 30s]"),
    click.option(
        "--retry-max",
        "retry_max_attempts",
        type=int,
        metavar="N",
        help="Retries before giving up; 0: no limit.  [default: 0]",
    ),
    click.option("--tag", "tags", metavar="KEY=VALUE", multiple=True, help="Tag of this agent; repeatable."),
    click.option("--rpc-addr", metavar="ADDRESS", help="HOST:PORT or unix:PATH.  [default: 127.0.0.1:7373]"),
    click.option("--rpc-auth", metavar="TOKEN", help="Token that RPC clients must present."),
    click.option("--encrypt", "encrypt_key", metavar="KEY", help="Key that encrypts gossip, in base64."),
    click.option("--encrypt-file", metavar="FILE", help="File with that key."),
    click.option("--profile", metavar="PROFILE", help="Timing profile: lan, wan or local.  [default: lan]"),
    click.option("--disable-compression", is_flag=True, help="Send gossip uncompressed."),
    click.option(
        "--broadcast-timeout", metavar="DURATION", help="How long to wait for a broadcast to propagate."
    ),
    click.option("--log-level", metavar="LEVEL", help="trace, debug, info, warn or err.  [default: info]"),
    click.option("--log-format", metavar="FORMAT", help="logfmt or json.  [default: logfmt]"),
    click.option(
        "--ready-fd", type=int, metavar="FD", help="File descriptor that gets a newline when ready."
    ),
    click.option(
        "--config-file",
        "config_files",
        type=_CONFIG_FILE,
        multiple=True,
        help="TOML file for the agent; repeatable.",
    ),
)
_LB_OPTIONS = (
    click.option("--lb-config", "lb_config_file", type=_CONFIG_FILE, help="TOML file with a table [lb]."),
    click.option(
        "--config-path", metavar="FILE", help="HAProxy's configuration.  [default: /etc/haproxy/haproxy.cfg]"
    ),
    click.option("--template", metavar="FILE", help="Jinja2 template.  [default: the built-in one]"),
    click.option("--listen", metavar="HOST:PORT", multiple=True, help="Address for requests; repeatable."),
    click.option(
        "--stats-bind", metavar="HOST:PORT", help="HAProxy's status page.  [default: 127.0.0.1:8404]"
    ),
    click.option(
        "--master-socket",
        metavar="PATH",
        help="[default: /run/haproxy/master.sock, or Debian's /run/haproxy-master.sock]",
    ),
    click.option("--admin-socket", metavar="PATH", help="[default: /run/haproxy/admin.sock]"),
    click.option(
        "--state-file", metavar="PATH", help="Server states kept across reloads.  [default: beside the file]"
    ),
    click.option("--start-haproxy", is_flag=True, help="Start HAProxy and keep it running."),
    click.option(
        "--stop-haproxy-on-exit", is_flag=True, help="Stop the HAProxy that was started, after a clean leave."
    ),
    click.option(
        "--take-over", is_flag=True, help="Replace a file that gossip-lb did not write; keep a copy."
    ),
    click.option(
        "--on-foreign-edit",
        metavar="POLICY",
        help="What to do when the file was edited: restore it, or hold.  [default: restore]",
    ),
    click.option("--haproxy-binary", metavar="FILE", help="[default: haproxy]"),
    click.option(
        "--validate-command",
        metavar="COMMAND",
        help="Command that checks {file}.  [default: haproxy -c -f {file}]",
    ),
    click.option(
        "--backend",
        "backends",
        metavar="NAME",
        multiple=True,
        help="Backend name; repeatable.  [default: web]",
    ),
    click.option(
        "--role", metavar="ROLE", help="Members with tag role=ROLE are servers.  [default: backend]"
    ),
    click.option("--port-tag", metavar="TAG", help="Tag with a server's port.  [default: port]"),
    click.option(
        "--allow-network",
        "allowed_networks",
        metavar="CIDR",
        multiple=True,
        help="Network that servers may be in; repeatable.  [default: RFC 1918, fc00::/7]",
    ),
    click.option(
        "--min-reload-interval", metavar="DURATION", help="Least time between two reloads.  [default: 5s]"
    ),
    click.option(
        "--join-wait",
        metavar="DURATION",
        help="After a restart, how long to keep servers that gossip has not confirmed.  [default: 15s]",
    ),
)


def _with_options(*options: Callable[[Decorated], Decorated]) -> Callable[[Decorated], Decorated]:
    def decorate(command: Decorated) -> Decorated:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@click.group(no_args_is_help=False, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Let the members of a gossip cluster be the servers of HAProxy."""


@cli.command()
@_with_options(*_LB_OPTIONS, *_AGENT_OPTIONS)
def run(config_files: tuple[Path, ...], lb_config_file: Path | None, **flags: object) -> int:
    """Run a load balancer until it is told to leave (SIGINT, SIGTERM).

    HAProxy must run in master-worker mode (haproxy -W -S MASTER_SOCKET -f FILE), or is started with
    --start-haproxy. It goes on serving when gossip-lb exits (see --stop-haproxy-on-exit). SIGHUP reloads the
    template and settings. Flags of the agent may also be set as GOSSIP_<KEY>, the others as GOSSIP_LB_<KEY>.
    """
    from lb.run import main as run_agent

    overrides, lb_overrides = _split(flags)
    return run_agent(overrides, lb_overrides, config_files, lb_config_file)


@cli.command("stop-haproxy")
@_with_options(*_LB_OPTIONS)
def stop_haproxy(lb_config_file: Path | None, **flags: object) -> int:
    """Stop the HAProxy that a gossip-lb started and left running; requests in flight may finish.

    A HAProxy that was started by something else is never stopped. Exit code 1: there was none to stop.
    """
    from lb.run import stop

    return stop(_split(flags)[1], lb_config_file, click.echo)


@cli.command()
@_with_options(*_LB_OPTIONS)
def check(lb_config_file: Path | None, **flags: object) -> int:
    """Say whether a load balancer could run here, and what is in its way."""
    from lb.check import check_all

    _, lb_overrides = _split(flags)
    return check_all(lb_overrides, lb_config_file, click.echo)


@cli.command()
@click.option("--keep", is_flag=True, help="Leave everything running at the end, until Ctrl-C.")
@click.option(
    "--rate", default=200.0, show_default=True, type=click.FloatRange(1.0, 5000.0), help="Requests/s."
)
@click.option("--plain", is_flag=True, help="A timeline instead of a live screen.")
def demo(keep: bool, rate: float, plain: bool) -> int:
    """Watch HAProxy follow a cluster: five servers come, one is killed, one leaves; under load."""
    from lb.demo.stage import perform

    return perform(keep=keep, rate=rate, is_live=sys.stdout.isatty() and not plain)


def _riders() -> "Riders":
    from lb.sim.balancers import RIDERS

    return RIDERS


cli.add_command(sim_commands(_riders))


def _split(flags: dict[str, object]) -> tuple[dict[str, object], dict[str, object]]:
    """Sort the flags that were given into those of the agent and those of the load balancer."""
    from lb.config import LbConfig

    # A switch that is off was not given; a number may be 0.
    given = {key: value for key, value in flags.items() if value not in (None, ()) and value is not False}
    lb_keys = set(LbConfig.__struct_fields__)
    return (
        {key: value for key, value in given.items() if key not in lb_keys},
        {key: value for key, value in given.items() if key in lb_keys},
    )


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        result = cli.main(args, PROGRAM, standalone_mode=False)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else PROGRAM
        reason = error.format_message().rstrip(".")
        return _fail(MISUSED, f"{command}: {reason[:1].lower()}{reason[1:]} (see '{command} --help')")
    except ConfigError as error:
        return _fail(MISUSED, f"{PROGRAM}: {error}")
    except CommandFailedError as error:
        return _fail(FAILED, str(error))
    except click.Abort:
        return INTERRUPTED
    return result if isinstance(result, int) else DONE


def _fail(code: int, text: str) -> int:
    click.echo(text, err=True)
    return code
