"""What a hand-written haproxy.cfg says about the process, and how much of it our own file can express. Pure.

A take-over replaces the whole file. ``global`` and the unnamed ``defaults`` have settings that no member
knows: user, chroot, log, TLS settings, limits, time-outs, error pages. These lines are carried over, as
settings of the template if it has them and unchanged otherwise; everything else is reported as lost, with the
reason.
"""

from collections.abc import Mapping

from msgspec import Struct

from lb.haproxy.config_text import Line, Section, sections
from lb.policy.allowlist import is_clean
from lb.render.renderer import MAX_CARRIED_LINES, is_duration

TEMPLATE_HINT = "write it into a template of your own: --template"
_SET_BY_US = "gossip-lb sets it"
_REPLACED_GLOBAL = ("server-state-file", "server-state-base", "close-spread-time")
_REFUSED_GLOBAL = {
    "daemon": "HAProxy stays in the foreground, or it would outlive its supervisor",
    "master-worker": "HAProxy is started with -W",
    "nbproc": "master-worker mode has one worker",
}
_REPLACED_DEFAULTS = ("retries", "retry-on", "default-server", "balance", "load-server-state-from-file")
_REPLACED_OPTIONS = ("redispatch", "idle-close-on-response")
_SAME = (("mode", "http"), ("load-server-state-from-file", "global"), ("option", "idle-close-on-response"))
"""Lines that the template has as well."""
_TIMEOUTS = ("connect", "client", "server", "check", "http-request", "http-keep-alive")


class Carried(Struct, frozen=True, kw_only=True):
    """What a take-over kept: settings of the template, and lines of its first two sections."""

    settings: dict[str, str] = {}
    global_lines: tuple[str, ...] = ()
    defaults_lines: tuple[str, ...] = ()


class Loss(Struct, frozen=True):
    """A part of the old file that the new one will not have; `line` counts from 1, 0 for a section."""

    line: int
    what: str
    reason: str

    def __str__(self) -> str:
        """Return the loss in words."""
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.what} ({self.reason})"


class Adoption(Struct, frozen=True):
    """A file that somebody else wrote, read for a take-over."""

    carried: Carried
    lost: tuple[Loss, ...]


def adopt(content: bytes, admin_socket: str) -> Adoption:
    """Sort the lines of `content` into those carried over and those lost.

    `admin_socket` is the path of our own socket: a ``stats socket`` there is replaced, any other one is kept.
    """
    settings: dict[str, str] = {}
    lines: dict[str, list[str]] = {"global": [], "defaults": []}
    lost: list[Loss] = []
    seen_defaults = False
    for section in sections(content):
        is_first_defaults = section.keyword == "defaults" and not section.name and not seen_defaults
        seen_defaults = seen_defaults or section.keyword == "defaults"
        if section.keyword != "global" and not is_first_defaults:
            lost.append(Loss(0, _describe(section), TEMPLATE_HINT))
            continue
        if any(line.words[0].startswith(".") for line in section.lines):
            lost.append(Loss(0, _describe(section), "conditional blocks cannot be carried over"))
            continue
        for line in section.lines:
            if line.words in _SAME:
                continue
            verdict = _judge(section.keyword, line, admin_socket)
            if isinstance(verdict, str):
                lost.append(Loss(line.number, " ".join(line.words), verdict))
            elif verdict:
                settings |= verdict
            elif len(lines[section.keyword]) == MAX_CARRIED_LINES:
                lost.append(Loss(line.number, " ".join(line.words), f"more than {MAX_CARRIED_LINES} lines"))
            else:
                lines[section.keyword].append(" ".join(line.words))
    carried = Carried(
        settings=settings,
        global_lines=tuple(lines["global"]),
        defaults_lines=tuple(lines["defaults"]),
    )
    return Adoption(carried, tuple(lost))


def _describe(section: Section) -> str:
    count = len(section.lines)
    name = str(section) or "the lines above the first section"
    return f"{name}, {count} line{'' if count == 1 else 's'}"


def _judge(keyword: str, line: Line, admin_socket: str) -> Mapping[str, str] | str:
    """Return settings equivalent to the line, or why it is lost; empty if the line is kept unchanged."""
    judge = _judge_global if keyword == "global" else _judge_defaults
    return judge(line.words, admin_socket)


def _judge_global(words: tuple[str, ...], admin_socket: str) -> Mapping[str, str] | str:
    first, value = words[0], words[1] if len(words) > 1 else ""
    if first in ("user", "group") and is_clean(value):
        return {first: value}
    if first == "hard-stop-after" and is_duration(value):
        return {"hard_stop_after": value}
    if first in _REFUSED_GLOBAL:
        return _REFUSED_GLOBAL[first]
    is_own_socket = words[:2] == ("stats", "socket") and words[2:3] == (admin_socket,)
    if first in _REPLACED_GLOBAL or is_own_socket or (first, value) == ("setenv", "LB_DIGEST"):
        return _SET_BY_US
    return {}


def _judge_defaults(words: tuple[str, ...], _admin_socket: str) -> Mapping[str, str] | str:
    first, value = words[0], words[1] if len(words) > 1 else ""
    if first == "mode":
        return "the template's proxies are HTTP"
    if first == "timeout" and value in _TIMEOUTS and len(words) == 3:
        duration = f"{words[2]}ms" if words[2].isdecimal() else words[2]
        if is_duration(duration):
            return {f"timeout_{value.replace('-', '_')}": duration}
    name = words[2] if first == "no" and len(words) > 2 else value
    if first in _REPLACED_DEFAULTS or (first in ("option", "no") and name in _REPLACED_OPTIONS):
        return _SET_BY_US
    return {}
