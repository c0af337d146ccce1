"""``gossip doctor``: faults between an agent and its peers, and their remedies."""

import click

from gossip.cli.connection import agent_options, connected
from gossip.cli.dialect import SerfCommand
from gossip.cli.output import format_option, show_json
from gossip.errors import CommandFailedError
from gossip.ipc.client import CommandRefusedError
from gossip.ipc.doctor_bodies import Diagnosis, Finding
from gossip.ipc.protocol import UNSUPPORTED_COMMAND
from gossip.printable import printable

HEALTHY, HAS_FINDINGS = 0, 1


@click.command(cls=SerfCommand)
@format_option
@agent_options
def doctor(output_format: str, rpc_addr: str, rpc_auth: str) -> int:
    """Let the agent look for faults in its surroundings: one line for each, with the remedy.

    It pings its peers over UDP, with short and with full datagrams, and over TCP, and tells what it has seen
    in the last ten minutes: keys that do not match, names used twice, a stalled process. Takes a few seconds
    if something is wrong. The exit code is 1 if there is any finding.
    """
    with connected(rpc_addr, rpc_auth, doing="examining the agent") as client:
        try:
            diagnosis = client.examine()
        except CommandRefusedError as error:
            if str(error) != UNSUPPORTED_COMMAND:
                raise
            raise CommandFailedError(
                f"Error examining the agent: the agent at {rpc_addr} cannot examine itself: "
                "it is Serf's, or an older gossip agent"
            ) from None
    if output_format == "json":
        show_json(_as_json(diagnosis))
    else:
        for finding in diagnosis.findings:
            click.echo(printable(_line(finding)))
        click.echo(printable(_summary(diagnosis)))
    return HAS_FINDINGS if diagnosis.findings else HEALTHY


def _line(finding: Finding) -> str:
    where = ", ".join(part for part in (finding.peer, finding.direction) if part)
    subject = f"{finding.check} ({where})" if where else finding.check
    return f"{finding.severity}: {subject}: {finding.seen}. Remedy: {finding.remedy}."


def _summary(diagnosis: Diagnosis) -> str:
    examined = f"{diagnosis.observer} examined {diagnosis.examined} of {diagnosis.peers} live peers"
    count = len(diagnosis.findings)
    if not count:
        return f"healthy: {examined}; UDP, full datagrams and TCP get through"
    return f"{count} finding{'s' * (count > 1)}: {examined}"


def _as_json(diagnosis: Diagnosis) -> dict[str, object]:
    return {
        "observer": diagnosis.observer,
        "examined": diagnosis.examined,
        "peers": diagnosis.peers,
        "findings": [_finding_json(finding) for finding in diagnosis.findings],
    }


def _finding_json(finding: Finding) -> dict[str, object]:
    return {
        "severity": finding.severity,
        "check": finding.check,
        "peer": finding.peer or None,
        "direction": finding.direction or None,
        "seen": finding.seen,
        "remedy": finding.remedy,
    }
