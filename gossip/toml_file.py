"""Reads TOML files given by a person, within limits; any problem becomes an error of one line."""

import os
import re
import stat
from pathlib import Path

from gossip.errors import ConfigError, os_reason

MAX_FILE_BYTES = 1024 * 1024
"""Length of the longest file; configurations take hundreds of bytes, scenarios thousands."""


MAX_KEY_PARTS = 64
"""Parts of one dotted key: `tomllib` takes time quadratic in their number."""
_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+"""
_DEEP_KEY = re.compile(rf"(?<![\w-])(?:{_PART}\.[ \t]*+){{{MAX_KEY_PARTS}}}")


def read_bounded(path: Path, purpose: str, limit: int = MAX_FILE_BYTES) -> bytes:
    """Return the content of the regular file at `path`; `purpose` describes it in errors.

    Raises:
        ConfigError: it cannot be read, is longer than `limit` bytes, or is not a regular file: a pipe would
            block, a device never ends.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise ConfigError(f"cannot read {purpose} {path}: not a regular file")
            content = file.read(limit + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {purpose} {path}: {os_reason(error)}") from None
    except ValueError:
        raise ConfigError(f"cannot read {purpose} {str(path)!r}: a null byte in the path") from None
    if len(content) > limit:
        raise ConfigError(f"cannot read {purpose} {path}: longer than {limit} bytes")
    return content


def read_text(path: Path, purpose: str) -> str:
    """Return the text in the file at `path`; raises as `read_bounded`, and if the content is not UTF-8."""
    try:
        return read_bounded(path, purpose).decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"cannot read {purpose} {path}: it is not UTF-8 text") from None


def read_toml(path: Path, purpose: str = "configuration") -> dict[str, object]:
    """Return the table in the file at `path`.

    Raises:
        ConfigError: it cannot be read, or is not TOML.
    """
    return parse_toml(read_text(path, purpose), str(path))


def parse_toml(text: str, source: str) -> dict[str, object]:
    """Return the table in `text`, which came from `source`.

    Raises:
        ConfigError: it is not TOML, is nested too deeply, or has a number of thousands of digits.
    """
    import tomllib  # most programs get all their settings from flags

    if _DEEP_KEY.search(text):
        raise ConfigError(f"{source} is not valid TOML: nested too deeply")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason = str(error)
        raise ConfigError(f"{source} is not valid TOML: {reason[:1].lower()}{reason[1:]}") from None
    except RecursionError:
        raise ConfigError(f"{source} is not valid TOML: nested too deeply") from None
    except ValueError:
        raise ConfigError(f"{source} is not valid TOML: a number has too many digits") from None
