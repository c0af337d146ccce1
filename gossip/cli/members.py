"""``gossip members``: the member table (serf-wire 8.4)."""

from collections.abc import Mapping, Sequence

import click

from gossip.cli.connection import agent_options, connected
from gossip.cli.dialect import SerfCommand
from gossip.cli.output import columns, format_option, show_json, show_table, wants_table
from gossip.cli.tag_options import parse_tags
from gossip.ipc.address import TcpAddress, host_text
from gossip.ipc.bodies import Member

TITLES = ("NAME", "ADDRESS", "STATUS", "TAGS")
DETAILED_TITLES = (*TITLES, "PROTOCOL", "RANGE")
STATUS_COLUMN = 2


@click.command(cls=SerfCommand)
@click.option("--detailed", is_flag=True, help="Also show protocol versions (text only).")
@format_option
@click.option(
    "--name", metavar="REGEXP", default="", help="Only members with this name (the whole value must match)."
)
@click.option("--role", metavar="REGEXP", default="", help="Deprecated: use --tag role=REGEXP.")
@click.option(
    "--status",
    metavar="REGEXP",
    default="",
    help="Only members with this status (the whole value must match).",
)
@click.option("--tag", metavar="KEY=REGEXP", multiple=True, help="Only members with this tag; repeatable.")
@agent_options
def members(
    *,
    detailed: bool,
    output_format: str,
    name: str,
    role: str,
    status: str,
    tag: Sequence[str],
    rpc_addr: str,
    rpc_auth: str,
) -> None:
    """List the members of the cluster: name, address, status, tags."""
    wanted = parse_tags(tag)
    if role:
        click.echo("Deprecation warning: '--role' has been replaced with '--tag role=REGEXP'", err=True)
        wanted.setdefault("role", role)
    with connected(rpc_addr, rpc_auth, doing="retrieving members") as client:
        found = client.members_filtered(name=name, status=status, tags=wanted)
    rows = sorted(found, key=lambda member: member.name)
    if output_format == "json":
        show_json({"members": members_json(rows)})
    else:
        show_members(rows, detailed=detailed)


def members_json(rows: Sequence[Member]) -> list[dict[str, object]] | None:
    """Return the members in the form of Serf's JSON."""
    return [_as_json(member) for member in rows] or None


def show_members(rows: Sequence[Member], *, detailed: bool = False) -> None:
    """Print the members, as a table if the output is a terminal."""
    if wants_table():
        titles = DETAILED_TITLES if detailed else TITLES
        show_table(titles, [_table_row(member)[: len(titles)] for member in rows], status=STATUS_COLUMN)
    else:
        click.echo(columns([_detailed_row(member) if detailed else _row(member) for member in rows]))


def _address(member: Member) -> str:
    return str(TcpAddress(host_text(member.addr), member.port))


def _sorted_tags(member: Member) -> Mapping[str, str]:
    return dict(sorted(member.tags.items()))


def _row(member: Member) -> tuple[str, ...]:
    tags = ",".join(f"{key}={value}" for key, value in _sorted_tags(member).items())
    return member.name, _address(member), member.status, tags


def _table_row(member: Member) -> tuple[str, ...]:
    return *_row(member), str(member.delegate_cur), f"{member.delegate_min}-{member.delegate_max}"


def _detailed_row(member: Member) -> tuple[str, ...]:
    return (
        *_row(member),
        f"Protocol Version: {member.delegate_cur}",
        f"Available Protocol Range: [{member.delegate_min}, {member.delegate_max}]",
    )


def _as_json(member: Member) -> dict[str, object]:
    """Return Serf's object; we add `host`, the address without the port."""
    return {
        "name": member.name,
        "addr": _address(member),
        "port": member.port,
        "tags": _sorted_tags(member),
        "status": member.status,
        "protocol": {
            "max": member.delegate_max,
            "min": member.delegate_min,
            "version": member.delegate_cur,
        },
        "host": host_text(member.addr),
    }
