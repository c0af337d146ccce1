"""Turns a plan into the bytes of haproxy.cfg: the same plan and template give the same bytes.

The text does not depend on clock, host name or dict order. It contains its own digest, as ``setenv
LB_DIGEST``, so that the running worker can be asked which file it has; the digest is computed with its fields
blanked. `lb.render.verify_output` checks the result without trusting this module.
"""

import re
from collections.abc import Mapping
from importlib.resources import files
from ipaddress import ip_address
from traceback import walk_tb

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, Undefined
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup
from msgspec import Struct, to_builtins

from gossip.errors import ConfigError
from lb.haproxy.config_text import BLANK_DIGEST, SECTIONS, count_digests, set_digest, split_words
from lb.policy.allowlist import is_clean, parse_port
from lb.policy.plan import Plan

BALANCE = ("roundrobin", "leastconn", "first", "random")
"""Algorithms under which HAProxy can add and remove servers at runtime."""
MAX_SOCKET_PATH = 91
"""HAProxy first binds ``PATH.PID.tmp``, which must fit in a socket address (107 bytes)."""
MAX_FILE_PATH = 1000
"""A line of haproxy.cfg must stay under 2,048 bytes."""
MAX_LINE = 1900
MAX_CARRIED_LINES = 500
"""Lines that a person, or a take-over, adds to ``global`` or to ``defaults``."""
TEMPLATE_NAME = "haproxy.cfg.j2"
_REFUSED_WORDS = ("daemon", "master-worker")
"""HAProxy must stay in the foreground of the process that started it."""

_SAFE = re.compile(r"[A-Za-z0-9_.:/*@\[\]+=,~-]+")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_DURATION = re.compile(r"[1-9][0-9]{0,8}(us|ms|s|m|h|d)")
_PATH = re.compile(r"/[A-Za-z0-9_./+=,~-]+")
_LOG = re.compile(r"[A-Za-z0-9_.:/@<>\[\]-]+( [A-Za-z0-9_.:/@<>\[\]-]+)*")
_BIND = re.compile(r"(?:\*|\[([0-9A-Fa-f:.]+)\]|([0-9.]+))?:([0-9]+)")


class Frontend(Struct, frozen=True, forbid_unknown_fields=True):
    """Where requests come in (``*:80``, ``127.0.0.1:8080``, ``[::]:80``), and the backend that answers."""

    name: str = "http"
    binds: tuple[str, ...] = ("*:80",)
    backend: str = "web"


class RenderConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Values for the template besides the plan. Durations are in HAProxy's notation (``500ms``, ``30s``).

    Raises:
        ConfigError: a value is not one plain word of haproxy.cfg.
    """

    frontends: tuple[Frontend, ...] = (Frontend(),)
    stats_bind: str | None = "127.0.0.1:8404"
    admin_socket: str = "/run/haproxy/admin.sock"
    state_file: str = "/var/lib/gossip-lb/server-state"
    user: str | None = None
    group: str | None = None
    log: str = "stdout format raw local0 notice"
    global_lines: tuple[str, ...] = ()
    defaults_lines: tuple[str, ...] = ()
    balance: str = "roundrobin"
    retry_non_idempotent: bool = False
    hard_stop_after: str = "5m"
    close_spread_time: str = "30s"
    timeout_connect: str = "500ms"
    timeout_client: str = "30s"
    timeout_server: str = "30s"
    timeout_check: str = "300ms"
    timeout_http_request: str = "10s"
    timeout_http_keep_alive: str = "10s"

    def __post_init__(self) -> None:
        """Check the values, which a person wrote."""
        _check_frontends(self.frontends)
        if self.stats_bind is not None and not _is_loopback(self.stats_bind):
            raise ConfigError(f"stats_bind {self.stats_bind!r}: the page has no password, use 127.0.0.1:PORT")
        for field, limit in (("admin_socket", MAX_SOCKET_PATH), ("state_file", MAX_FILE_PATH)):
            path = getattr(self, field)
            if len(path) > limit or not _PATH.fullmatch(path):
                raise ConfigError(
                    f"{field} {path!r}: use an absolute path of at most {limit} letters, digits and "
                    f"_ . / + = , ~ -"
                )
        for field in ("user", "group"):
            value = getattr(self, field)
            if value is not None and not is_clean(value):
                raise ConfigError(f"{field} {value!r}: not a name")
        _check_log(self.log)
        for field in ("global_lines", "defaults_lines"):
            _check_lines(field, getattr(self, field))
        if self.balance not in BALANCE:
            raise ConfigError(f"balance {self.balance!r}: use one of {', '.join(BALANCE)}")
        for field in self.__struct_fields__:
            has_unit = field.startswith("timeout_") or field in ("hard_stop_after", "close_spread_time")
            if has_unit and not is_duration(getattr(self, field)):
                raise ConfigError(f"{field} {getattr(self, field)!r}: write it like 500ms, 30s or 5m")


class Rendered(Struct, frozen=True):
    """A finished file, its digest and the digest of the plan in it."""

    content: bytes
    digest: str
    backends_digest: str


class Renderer:
    """A template and a configuration, ready to turn plans into files.

    Raises:
        ConfigError: the template has a syntax error.
    """

    __slots__ = ("_config", "_template", "_variables")

    def __init__(self, config: RenderConfig, template: str | None = None) -> None:
        """Compile `template` (None: the one in the package)."""
        text = default_template() if template is None else template
        environment = SandboxedEnvironment(
            undefined=StrictUndefined,
            # HTML's escapes mean nothing to HAProxy: `finalize` refuses values that they would hide
            autoescape=False,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            finalize=refuse_unsafe,
        )
        self._config = config
        try:
            self._template = environment.from_string(text)
        except TemplateSyntaxError as error:
            raise ConfigError(f"cannot read the template: line {error.lineno}: {error.message}") from error
        self._variables: Mapping[str, object] = to_builtins(config)

    def render(self, plan: Plan) -> Rendered:
        """Return the file for `plan`.

        Raises:
            ConfigError: the template uses an undefined value or prints a forbidden one, or a frontend names a
                backend that the plan does not have.
        """
        names = {backend.name for backend in plan.backends}
        for frontend in self._config.frontends:
            if frontend.backend not in names:
                raise ConfigError(
                    f"frontend {frontend.name} wants backend {frontend.backend!r}: "
                    f"configured are {', '.join(sorted(names))}"
                )
        blank = self._render(plan).encode()
        if count_digests(blank) != 1:
            raise ConfigError(
                "cannot use the template: it needs exactly one line 'setenv LB_DIGEST {{ digest }}'"
            )
        content, digest = set_digest(blank)
        return Rendered(content, digest, plan.digest)

    def _render(self, plan: Plan) -> str:
        backends = tuple(
            {
                "name": backend.name,
                "servers": tuple(
                    {"name": s.name, "address": s.address, "id": s.id, "weight": s.weight}
                    for s in backend.servers
                ),
            }
            for backend in plan.backends
        )
        try:
            return self._template.render(
                config=self._variables,
                backends=backends,
                digest=BLANK_DIGEST,
                backends_digest=plan.digest,
            )
        except (
            TemplateError,
            ArithmeticError,
            LookupError,
            TypeError,
            ValueError,
        ) as error:
            raise ConfigError(f"cannot render the template: {error} (line {_line(error)})") from error


def default_template() -> str:
    """Return the text of the template in the package."""
    return files("lb.render").joinpath("templates", TEMPLATE_NAME).read_text("utf-8")


def refuse_unsafe(value: object) -> str:
    """Return `value` as one plain word, the last gate of every expression in a template.

    A template's author may permit text of another form with ``|safe``, but not control characters.

    Raises:
        ValueError: `value` is neither an int nor a plain word.
        UndefinedError: `value` does not exist.
    """
    if isinstance(value, Undefined):
        return str(value)  # StrictUndefined raises, and names the missing value
    if type(value) is int:
        return str(value)
    if isinstance(value, Markup) and not _UNPRINTABLE.search(value):
        return str(value)
    if type(value) is str and _SAFE.fullmatch(value):
        return value
    raise ValueError(
        f"{value!a:.80} may not be printed: only numbers and words without quotes, spaces, $ ; #"
    )


def is_duration(text: str) -> bool:
    """Return whether `text` is a duration with its unit in HAProxy's notation."""
    return _DURATION.fullmatch(text) is not None


def _check_log(log: str) -> None:
    if log and not _LOG.fullmatch(log):
        raise ConfigError(f"log {log!r}: write it like 'stdout format raw local0' or '/dev/log local0'")


def _check_lines(field: str, lines: tuple[str, ...]) -> None:
    """Check lines that a person adds: HAProxy judges their meaning, we only where they end."""
    if len(lines) > MAX_CARRIED_LINES:
        raise ConfigError(f"{field}: {len(lines)} lines exceed the limit of {MAX_CARRIED_LINES}")
    for line in lines:
        words = split_words(line)
        if not words or _UNPRINTABLE.search(line) or len(line) > MAX_LINE:
            raise ConfigError(f"{field} {line!a:.60}: give lines of 1 to {MAX_LINE} printable characters")
        if words[0] in SECTIONS or words[0] in _REFUSED_WORDS or words[:2] == ("setenv", "LB_DIGEST"):
            raise ConfigError(f"{field} {line!a:.60}: {words[0]} is not allowed here")


def _check_frontends(frontends: tuple[Frontend, ...]) -> None:
    names = ["stats", *(frontend.name for frontend in frontends)]
    if len(set(names)) < len(names):
        raise ConfigError(f"frontends {', '.join(names[1:])}: each needs its own name, and not 'stats'")
    for frontend in frontends:
        if not is_clean(frontend.name):
            raise ConfigError(f"frontend {frontend.name!r}: use 1-63 letters, digits, '_', '.' or '-'")
        for bind in frontend.binds:
            if not _is_bind(bind):
                raise ConfigError(f"bind {bind!r}: write it like *:80, 127.0.0.1:8080 or [::]:80")


def _is_bind(text: str) -> bool:
    found = _BIND.fullmatch(text)
    return found is not None and parse_port(found[3]) is not None and _is_host(found[1] or found[2])


def _is_host(text: str | None) -> bool:
    try:
        return text is None or bool(ip_address(text))
    except ValueError:
        return False


def _is_loopback(bind: str) -> bool:
    found = _BIND.fullmatch(bind)
    if found is None or not _is_bind(bind) or not (host := found[1] or found[2]):
        return False
    return ip_address(host).is_loopback


def _line(error: Exception) -> int:
    """Return the template's line where `error` arose: Jinja2 rewrites its tracebacks to show it."""
    frames = walk_tb(error.__traceback__)
    return [0, *(line for frame, line in frames if frame.f_code.co_filename == "<template>")][-1]
