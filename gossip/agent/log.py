"""Logging: one line per record on stderr (logfmt or JSON), the last lines for IPC monitors, limits on noise.

Call sites use the standard library: ``log.info("member joined", extra={"member": name})``; everything in
`extra` becomes a field of the line, durations as `Seconds`. Names and reasons from peers are hostile text:
fields are quoted, so that one record is always one line.
"""

import json
import logging
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self, TextIO

from gossip.agent.log_writer import LineWriter
from gossip.settings.duration import Seconds

TRACE = 5
LEVELS = {
    "TRACE": TRACE,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "ERR": logging.ERROR,
}
REMEMBERED_LINES = 512
"""The number of lines that Serf keeps for a monitor that connects late."""
MAX_TEXT = 1024
"""Characters of one field or message; the rest is cut, because peers choose some of the text."""
MAX_TRACEBACK = 8192
"""Characters of a traceback; the oldest frames are cut."""
COMPLAINT_PERIOD = 60.0
MAX_COMPLAINT_KEYS = 256
"""Keys whose complaints are counted separately; all further keys share one line per period."""

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_NAMES = {level: name for name, level in LEVELS.items()}

log = logging.getLogger("gossip.agent")

Listener = Callable[[int, str], None]


def level_name(levelno: int) -> str:
    """Return Serf's name of the level at or below `levelno`."""
    return next((_NAMES[level] for level in sorted(_NAMES, reverse=True) if level <= levelno), "TRACE")


class Logfmt(logging.Formatter):
    """``ts=… level=info logger=gossip.agent msg="member joined" member=web-1``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        head = f"ts={_timestamp(record)} level={_severity(record)} logger={record.name}"
        line = f"{head} msg={_quote(_message(record))}{_pairs(record)}"
        trace = _traceback(record)
        return f"{line} traceback={_quote(trace)}" if trace else line


class JsonLines(logging.Formatter):
    """One JSON object per line, the same fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        line: dict[str, object] = {
            "ts": _timestamp(record),
            "level": _severity(record),
            "logger": record.name,
            "msg": _message(record),
        }
        for key, value in _fields(record):
            line[key] = _json_value(value)
        if trace := _traceback(record):
            line["traceback"] = trace
        return json.dumps(line)


class SerfLines(logging.Formatter):
    """Serf's own format, which tools that read a monitor parse: ``2024/11/22 17:45:00 [INFO] agent: …``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        stamp = time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(record.created))
        component = record.name.removeprefix("gossip.")
        text = _message(record)
        if not text.isprintable():
            text = json.dumps(text)[1:-1]
        return f"{stamp} [{level_name(record.levelno)}] {component}: {text}{_pairs(record)}"


class LogRing(logging.Handler):
    """The last `REMEMBERED_LINES` lines, and listeners for the next ones; a context manager.

    A listener is called in the thread that logs, so it must only pass the line on. While a listener uses a
    lower level than the log's own, that level applies.
    """

    def __init__(self, level: str) -> None:
        super().__init__(TRACE)
        self.setFormatter(SerfLines())
        self._lines: deque[tuple[int, str]] = deque(maxlen=REMEMBERED_LINES)
        self._listeners: dict[Listener, int] = {}
        self._base = LEVELS[level]
        self._before = logging.NOTSET

    def __enter__(self) -> Self:
        """Start listening to all log records."""
        root = logging.getLogger()
        self._before = root.level
        root.addHandler(self)
        self._apply_level()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Stop, and restore the root logger."""
        root = logging.getLogger()
        root.removeHandler(self)
        root.setLevel(self._before)

    def set_level(self, level: str) -> None:
        """Change the level of the log, one of `LEVELS`."""
        self._base = LEVELS[level]
        self._apply_level()

    def subscribe(self, listener: Listener, levelno: int) -> list[str]:
        """Return the remembered lines from `levelno` up, and send `listener` all later ones."""
        self._listeners[listener] = levelno
        self._apply_level()
        return [line for level, line in self._lines if level >= levelno]

    def unsubscribe(self, listener: Listener) -> None:
        """Send `listener` no more lines."""
        self._listeners.pop(listener, None)
        self._apply_level()

    def emit(self, record: logging.LogRecord) -> None:
        """Remember the record's line and pass it on; a record that cannot be formatted does no harm."""
        with suppress(Exception):
            line = self.format(record)
            self._lines.append((record.levelno, line))
            for listener, levelno in list(self._listeners.items()):
                if record.levelno >= levelno:
                    listener(record.levelno, line)

    def _apply_level(self) -> None:
        logging.getLogger().setLevel(min((self._base, *self._listeners.values())))


class StderrHandler(logging.Handler):
    """Lines on stderr, written in a separate thread (`gossip.agent.log_writer`)."""

    def __init__(self, log_format: str, level: str, stream: TextIO | None = None) -> None:
        super().__init__(LEVELS[level])
        self.setFormatter(JsonLines() if log_format == "json" else Logfmt())
        self._writer = LineWriter(stream or sys.stderr, self._report_dropped)

    @property
    def dropped(self) -> int:
        """How many lines were lost because they were not read."""
        return self._writer.dropped

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record's line; a record that cannot be formatted does no harm."""
        try:
            self._writer.put(self.format(record))
        except Exception as error:
            self._writer.put(
                f"cannot format a line of the log: {type(error).__name__} for {record.msg!r:.200}"
            )

    def say(self, text: str) -> None:
        """Queue lines for a person, unchanged."""
        self._writer.put(text)

    def close(self) -> None:
        """Wait for the reader, for a limited time."""
        self._writer.close()
        super().close()

    def _report_dropped(self, lines: int) -> str:
        fields = {"msg": "log lines dropped: nobody read them", "levelno": logging.WARNING, "lines": lines}
        return self.format(logging.makeLogRecord({"name": "gossip.agent", **fields}))


def dropped_lines() -> int:
    """Return how many lines of this program's log were lost because they were not read."""
    handlers = logging.getLogger().handlers
    return sum(handler.dropped for handler in handlers if isinstance(handler, StderrHandler))


@contextmanager
def logging_to_stderr(log_format: str, level: str) -> Iterator[StderrHandler]:
    """Write the whole program's log to stderr for as long as the context lasts.

    Python's own messages (warnings, exceptions that cannot be caught) are written there, too.
    """
    root = logging.getLogger()
    handler, before = StderrHandler(log_format, level), root.level
    root.addHandler(handler)
    root.setLevel(LEVELS[level])
    hook, sys.unraisablehook = sys.unraisablehook, _log_unraisable
    logging.captureWarnings(True)
    try:
        yield handler
    finally:
        logging.captureWarnings(False)
        sys.unraisablehook = hook
        root.removeHandler(handler)
        root.setLevel(before)
        handler.close()


def _log_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    where = f"{unraisable.object!r:.200}"
    log.error(unraisable.err_msg or "exception ignored", exc_info=unraisable.exc_value, extra={"in": where})


class Complaints:
    """Limits complaints about peers: one per key and `COMPLAINT_PERIOD`; counts `MAX_COMPLAINT_KEYS` keys."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[str, tuple[float, int]] = {}  # time of the last line, number held back since

    def admit(self, key: str, now: float) -> int | None:
        """Return None to hold this complaint back, or how many with its key were held back before it."""
        if key not in self._seen and len(self._seen) >= MAX_COMPLAINT_KEYS:
            self._forget(now)
            if len(self._seen) >= MAX_COMPLAINT_KEYS:
                key = ""
        since, held = self._seen.get(key, (-COMPLAINT_PERIOD, 0))
        if key in self._seen and now - since < COMPLAINT_PERIOD:
            self._seen[key] = (since, held + 1)
            return None
        self._seen[key] = (now, 0)
        return held

    def __len__(self) -> int:
        """Return how many keys are counted separately."""
        return len(self._seen)

    def _forget(self, now: float) -> None:
        """Drop keys whose next complaint would be admitted anyway."""
        for key, (since, _) in list(self._seen.items()):
            if now - since >= COMPLAINT_PERIOD:
                del self._seen[key]


def _severity(record: logging.LogRecord) -> str:
    name = level_name(record.levelno).lower()
    return "error" if name == "err" else name


def _message(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        text = f"{text}: {type(error).__name__}: {error}"
    return _cut(text)


def _traceback(record: logging.LogRecord) -> str:
    """Return the traceback of an error; only the innermost frames if it is long."""
    if not record.exc_info or record.exc_info[1] is None:
        return ""
    text = "".join(traceback.format_exception(record.exc_info[1]))
    return text if len(text) <= MAX_TRACEBACK else f"…{text[-MAX_TRACEBACK:]}"


def _fields(record: logging.LogRecord) -> Iterator[tuple[str, object]]:
    return ((key, value) for key, value in record.__dict__.items() if key not in _STANDARD)


def _pairs(record: logging.LogRecord) -> str:
    return "".join(f" {key}={_quote(_text(value))}" for key, value in _fields(record))


def _text(value: object) -> str:
    """Return `value` for a person; a duration shows its unit."""
    if isinstance(value, Seconds):
        return f"{value:.3f}".rstrip("0").rstrip(".") + "s"
    return _cut(str(value))


def _json_value(value: object) -> object:
    """Return `value` for a program; a duration is a number of seconds."""
    if isinstance(value, Seconds):
        return round(float(value), 3)
    return value if isinstance(value, int | float) else _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"


def _quote(text: str) -> str:
    """Return `text` unchanged if it is one plain word, otherwise as a JSON string (ASCII, one line)."""
    plain = text.isascii() and text.isprintable() and not any(char in ' "=\\' for char in text)
    return text if plain and text else json.dumps(text)


def _timestamp(record: logging.LogRecord) -> str:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{stamp}.{int(record.msecs):03d}Z"
