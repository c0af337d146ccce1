"""``gossip agent``: the flags of an agent, Serf's names in GNU spelling (serf-wire 8.1).

Each flag is named after a key of `AgentConfig` or mapped onto one here; what a value may be is decided there,
in one place for flags, files and environment.
"""

from pathlib import Path

import click

from gossip.cli.dialect import SerfCommand


@click.command(cls=SerfCommand)
@click.option(
    "--node", "node_name", metavar="NAME", help="Name in the cluster, unique.  [default: the hostname]"
)
@click.option("--bind", metavar="HOST[:PORT]", help="Listen for gossip here.  [default: 0.0.0.0:7946]")
@click.option("--iface", "interface", metavar="NAME", help="Listen on this network interface's address.")
@click.option("--advertise", metavar="HOST[:PORT]", help="Tell peers to use this address.  [default: --bind]")
@click.option(
    "--join", "start_join", metavar="SEED", multiple=True, help="Join at the start, or fail; repeatable."
)
@click.option(
    "--replay/--no-replay",
    "replay_on_join",
    default=None,
    help="Replay user events from before the join.  [default: no]",
)
@click.option("--retry-join", metavar="SEED", multiple=True, help="Join, and try until it works; repeatable.")
@click.option("--retry-interval", metavar="DURATION", help="Time between tries.  [default: 30s]")
@click.option(
    "--retry-max",
    "retry_max_attempts",
    type=int,
    metavar="N",
    help="Give up after N more tries.  [default: 0: never]",
)
@click.option("--tag", "tags", metavar="KEY=VALUE", multiple=True, help="A tag of this agent; repeatable.")
@click.option("--role", metavar="ROLE", help="Deprecated: use --tag role=ROLE.")
@click.option(
    "--rpc-addr", metavar="ADDRESS", help="HOST:PORT or unix:PATH for commands.  [default: 127.0.0.1:7373]"
)
@click.option("--rpc-auth", metavar="TOKEN", help="Ask commands for this token.")
@click.option("--encrypt", "encrypt_key", metavar="KEY", help="Encrypt gossip: base64 of 16, 24 or 32 bytes.")
@click.option("--encrypt-file", metavar="FILE", help="Read that key from a file.")
@click.option("--keyring-file", metavar="FILE", help="Read and rotate the keys in Serf's key file.")
@click.option("--profile", metavar="PROFILE", help="Timing: lan, wan or local.  [default: lan]")
@click.option(
    "--disable-compression/--enable-compression",
    default=None,
    help="Send gossip uncompressed.  [default: no]",
)
@click.option(
    "--broadcast-timeout", metavar="DURATION", help="Wait so long for news to spread.  [default: 5s]"
)
@click.option(
    "--event-handler",
    "event_handlers",
    metavar="[FILTER=]SCRIPT",
    multiple=True,
    help="Run a script for events, as under Serf; repeatable.",
)
@click.option(
    "--event-handler-timeout",
    metavar="DURATION",
    help="Stop a script that runs for longer.  [default: 60s]",
)
@click.option("--log-level", metavar="LEVEL", help="trace, debug, info, warn or err.  [default: info]")
@click.option("--log-format", metavar="FORMAT", help="logfmt or json.  [default: logfmt]")
@click.option("--ready-fd", type=int, metavar="FD", help="Write a newline there when ready, as s6 wants it.")
@click.option(
    "--record/--no-record",
    default=None,
    help="Remember what happens, to be dumped and replayed.  [default: no]",
)
@click.option("--record-dir", metavar="DIR", help="Write dumps there on SIGUSR1.  [default: .]")
@click.option("--control", metavar="PATH", help="Answer 'gossip record' on this Unix socket.")
@click.option(
    "--config-file",
    "config_files",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Read TOML; repeatable, flags win.",
)
def agent(*, config_files: tuple[Path, ...], role: str | None, tags: tuple[str, ...], **flags: object) -> int:
    """Run an agent until it is told to leave (SIGINT, SIGTERM, 'gossip leave').

    Every flag may also be set as GOSSIP_<KEY> in the environment or as a key in a configuration file.
    """
    from gossip.agent.service import main

    if role is not None:
        click.echo("Deprecation warning: '--role' has been replaced with '--tag role=ROLE'", err=True)
        tags = (f"role={role}", *tags)
    overrides = {key: value for key, value in flags.items() if value is not None and value != ()}
    return main({**overrides, "tags": tags or None}, config_files)
