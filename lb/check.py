"""``gossip-lb check``: everything that must be right before a load balancer can run, looked at one by one.

The configuration and HAProxy stay as they are. The directory is locked for the moment of the look, as a run
would lock it: the lock file stays, and what a killed run left half-written is removed.
"""

from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path

import trio
from msgspec import Struct

from gossip.errors import GossipError
from gossip.serf.members import MemberStatus
from lb.config import LbConfig, load_lb_config
from lb.deploy.config_file import ConfigFile
from lb.haproxy.client import HAProxy
from lb.policy.plan import MemberFact, Plan, plan_members
from lb.render.renderer import Renderer
from lb.render.verify_output import inspect

PASSED, FAILED = 0, 1


class Finding(Struct, frozen=True):
    """One thing that was looked at; `problem` is "" if it is right."""

    what: str
    problem: str = ""


def check_all(
    overrides: Mapping[str, object], config_file: Path | None, echo: Callable[[str], object]
) -> int:
    """Print a line per finding; return 1 if something is wrong.

    Raises:
        ConfigError: the configuration itself is wrong.
    """
    config = load_lb_config(overrides, config_file)
    code = PASSED
    for finding in _look(config):
        if finding.problem:
            code = FAILED
            echo(f"FAIL  {finding.what}: {finding.problem}")
        else:
            echo(f"ok    {finding.what}")
    return code


def _look(config: LbConfig) -> Iterator[Finding]:
    file = ConfigFile(config.target, config.validator)
    writable = _attempt(lambda: _probe(file))
    yield Finding(f"files can be swapped in {config.target.parent}", writable)
    content, problem = _render_sample(config)
    yield Finding("the template renders, and prints nothing but servers of members", problem)
    if content is not None and not writable:
        yield Finding("haproxy accepts the result", _attempt(lambda: file.validate(content)))
    if not config.start_haproxy:
        yield from trio.run(_ask_haproxy, config)


def _probe(file: ConfigFile) -> None:
    file.open()
    file.close()


def _attempt(action: Callable[[], object]) -> str:
    try:
        action()
    except GossipError as error:
        return str(error)
    return ""


def _render_sample(config: LbConfig) -> tuple[bytes | None, str]:
    """Render one made-up server into each backend; return the file, or why there is none."""
    try:
        renderer = Renderer(config.render, config.read_template())
        plan = _sample(config)
        content = renderer.render(plan).content
        findings = inspect(content, renderer.render(plan.emptied()).content, plan)
    except GossipError as error:
        return None, str(error)
    return (None, "; ".join(findings)) if findings else (content, "")


def _sample(config: LbConfig) -> Plan:
    host = str(next(ip_network(config.allowed_networks[0]).hosts(), "10.0.0.1"))
    tags = {config.role_tag: config.role, config.port_tag: "8080"}
    if config.backend_tag is not None:
        tags[config.backend_tag] = config.backends[0]
    fact = MemberFact("check", MemberStatus.ALIVE, host, tags)
    return plan_members([fact], config.plan(allow_loopback=False)).plan


async def _ask_haproxy(config: LbConfig) -> list[Finding]:
    haproxy = HAProxy(config.sockets, runtime_timeout=config.runtime_timeout)
    findings: list[Finding] = []
    for what, question in (
        ("haproxy's master answers", haproxy.master.processes),
        ("haproxy's worker answers", haproxy.runtime.digest),
    ):
        try:
            await question()
            findings.append(Finding(what))
        except GossipError as error:
            findings.append(Finding(what, str(error)))
    return findings
