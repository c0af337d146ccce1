"""``gossip-lb check``: checks the prerequisites of a load balancer one by one.

The configuration and HAProxy stay unchanged. The directory is locked during the check, as in a run: the lock
file stays, and half-written files of a killed run are removed. If a gossip-lb is running, it has the lock,
and the check reports that it is running.
"""

import os
import shutil
from collections.abc import Awaitable, Callable, Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import TypeVar

import trio
from msgspec import Struct

from gossip.errors import GossipError
from gossip.serf.members import MemberStatus
from lb.config import LbConfig
from lb.config_sources import load_lb_config
from lb.deploy.adoption import Adoption, adopt
from lb.deploy.bootstrap import Origin, origin_of
from lb.deploy.config_file import ConfigFile
from lb.deploy.foreign_edit import OnForeignEdit
from lb.deploy.lock import LockedError
from lb.deploy.take_over import refusal
from lb.haproxy.client import HAProxy
from lb.haproxy.identity import files_read_by
from lb.haproxy.port_check import find_unbindable
from lb.policy.plan import MemberFact, Plan, plan_members
from lb.render.renderer import Renderer
from lb.render.verify_output import inspect

PASSED, FAILED = 0, 1
Answer = TypeVar("Answer")


class Finding(Struct, frozen=True):
    """The result of one check; `problem` is "" if it passed, `notes` are worth knowing in any case."""

    what: str
    problem: str = ""
    notes: tuple[str, ...] = ()


def check_all(
    overrides: Mapping[str, object], config_file: Path | None, echo: Callable[[str], object]
) -> int:
    """Print a line per finding; return 1 if there is a problem.

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
        for note in finding.notes:
            echo(f"      {note}")
    return code


def _look(config: LbConfig) -> Iterator[Finding]:
    file = ConfigFile(config.target, config.validator)
    has_binary = shutil.which(config.haproxy_binary) is not None
    missing = f"no such program (apt-get install {config.haproxy_binary}, or see --haproxy-binary)"
    yield Finding(f"{config.haproxy_binary} is installed", "" if has_binary else missing)
    swapping = _look_at_directory(file)
    yield swapping
    content = _read(file)
    adoption = _adoption(file, content, config)
    yield _look_at_file(file, content, adoption, config)
    rendered, problem = _render_sample(config, adoption)
    yield Finding("the template renders, and only its server lines depend on members", problem)
    haproxy = HAProxy(config.sockets, runtime_timeout=config.runtime_timeout)
    running, silence = trio.run(_ask, haproxy.master.processes)
    if rendered is not None:
        if has_binary and not swapping.problem:
            yield Finding("haproxy accepts the result", _attempt(lambda: file.validate(rendered)))
        before = content if running is not None else None
        yield Finding("haproxy can listen on the configured addresses", find_unbindable(before, rendered))
    yield from _look_at_sockets(config)
    if running is None and not config.start_haproxy:
        yield Finding("haproxy's master answers", silence)
    elif running is not None:
        yield Finding("haproxy's master answers")
        yield Finding(f"haproxy reads {config.target}", _other_file(config, file.target))
        _, silence = trio.run(_ask, haproxy.runtime.digest)
        yield Finding("haproxy's worker answers", silence)


def _look_at_directory(file: ConfigFile) -> Finding:
    what = f"files can be swapped in {file.directory}"
    try:
        file.open()
    except LockedError as error:
        return Finding(f"gossip-lb is already running here (process {error.holder})")
    except GossipError as error:
        return Finding(what, str(error))
    file.close()
    return Finding(what)


def _look_at_file(
    file: ConfigFile, content: bytes | None, adoption: Adoption | None, config: LbConfig
) -> Finding:
    """Report whose file it is and, before a take-over, what that would carry over and lose."""
    if adoption is not None:
        carried = adoption.carried
        kept = len(carried.settings) + len(carried.global_lines) + len(carried.defaults_lines)
        notes = [f"a take-over carries over {kept} lines of global and defaults"]
        notes += [f"a take-over loses {loss}" for loss in adoption.lost]
        if config.take_over:
            return Finding(f"{file.target} may be taken over", notes=tuple(notes))
        return Finding(f"{file.target} is a file of gossip-lb", refusal(file), tuple(notes))
    origin = origin_of(content, _attempt_read(file.read_good))
    if content is None or origin is Origin.OURS:
        return Finding(f"{file.target} is {'not there yet' if content is None else 'a file of gossip-lb'}")
    fate = (
        "the edit stays, so nothing is swapped"
        if config.on_foreign_edit is OnForeignEdit.HOLD
        else "our version is restored"
    )
    note = f"somebody else edited it: a copy will be kept, and {fate} (--on-foreign-edit)"
    return Finding(f"{file.target} is a file of gossip-lb", notes=(note,))


def _adoption(file: ConfigFile, content: bytes | None, config: LbConfig) -> Adoption | None:
    if content is None or origin_of(content, _attempt_read(file.read_good)) is not Origin.FOREIGN:
        return None
    return adopt(content, str(config.sockets.admin))


def _read(file: ConfigFile) -> bytes | None:
    return _attempt_read(file.read)


def _attempt_read(read: Callable[[], bytes | None]) -> bytes | None:
    try:
        return read()
    except GossipError:
        return None  # the finding about the directory has the reason


def _attempt(action: Callable[[], object]) -> str:
    try:
        action()
    except GossipError as error:
        return str(error)
    return ""


def _render_sample(config: LbConfig, adoption: Adoption | None) -> tuple[bytes | None, str]:
    """Render one made-up server into each backend; return the file, or why it cannot be rendered."""
    try:
        render = config.render_here(None if adoption is None else adoption.carried)
        renderer = Renderer(render, config.read_template())
        plan = _sample(config)
        content = renderer.render(plan).content
        findings = inspect(content, renderer.render(plan.emptied()).content, plan)
    except GossipError as error:
        return None, str(error)
    return (None, "; ".join(findings)) if findings else (content, "")


def _sample(config: LbConfig) -> Plan:
    host = str(next(iter(ip_network(config.allowed_networks[0]).hosts()), "10.0.0.1"))
    tags = {config.role_tag: config.role, config.port_tag: "8080"}
    if config.backend_tag is not None:
        tags[config.backend_tag] = config.backends[0]
    fact = MemberFact("check", MemberStatus.ALIVE, host, tags)
    return plan_members([fact], config.plan(allow_loopback=False)).plan


def _look_at_sockets(config: LbConfig) -> Iterator[Finding]:
    """Check the directories in which HAProxy and we create files; a running HAProxy has created its own."""
    sockets = config.sockets
    made_by_us = (sockets.state_file.parent,)
    made_by_child = (sockets.master.parent, sockets.admin.parent) if config.start_haproxy else ()
    for directory in dict.fromkeys((*made_by_child, *made_by_us)):
        problem = ""
        if not directory.is_dir():
            problem = "no such directory (create it)"
        elif not os.access(directory, os.W_OK | os.X_OK):
            problem = "permission denied (this user must be allowed to write there)"
        yield Finding(f"sockets and state can be created in {directory}", problem)


def _other_file(config: LbConfig, target: Path) -> str:
    """Return the other file that the running HAProxy reads; "" if it reads ours, or if that is unknown."""
    found = files_read_by(config.sockets.present_master())
    if not found or target in found:
        return ""
    return f"it reads {', '.join(map(str, found))} (see --config-path and --master-socket)"


async def _ask(question: Callable[[], Awaitable[Answer]]) -> tuple[Answer | None, str]:
    """Return the answer of a running HAProxy, or why there is none."""
    try:
        return await question(), ""
    except GossipError as error:
        return None, str(error)
