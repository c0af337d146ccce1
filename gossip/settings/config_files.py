"""Configuration files, each of which is a source of settings: our own TOML, and Serf's JSON.

A directory stands for the files in it that end in ``.json`` or ``.toml``, in the order of their names, like
``serf agent -config-dir`` for JSON (serf-wire 8.1). A file is JSON if its name says so or if it begins
with a brace, which TOML never does.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from gossip.errors import ConfigError, os_reason
from gossip.settings.source import Source, toml_source
from gossip.toml_file import read_text

JSON, TOML = ".json", ".toml"
MAX_FILES = 1000
"""Configuration files in one directory."""


def read_config_files(kind: type[Struct], paths: Iterable[Path]) -> list[Source]:
    """Return one source for each file at `paths`, or in directories there, in order.

    Raises:
        ConfigError: a file cannot be read, or has unknown keys.
    """
    return [_read(kind, file) for path in paths for file in _files(path)]


def _read(kind: type[Struct], path: Path) -> Source:
    text = read_text(path, "configuration")
    if path.suffix == JSON or text.lstrip().startswith("{"):
        from gossip.settings.serf_json import serf_source  # most agents have no Serf files

        return serf_source(kind, path, text)
    return toml_source(kind, path, text)


def _files(path: Path) -> Iterator[Path]:
    try:
        if not path.is_dir():
            yield path
            return
        files = sorted(file for file in path.iterdir() if file.suffix in (JSON, TOML) and not file.is_dir())
    except (OSError, ValueError) as error:
        reason = os_reason(error) if isinstance(error, OSError) else str(error)
        raise ConfigError(f"cannot read configuration {str(path)!r}: {reason}") from None
    if len(files) > MAX_FILES:
        raise ConfigError(
            f"cannot read configuration {path}: {len(files)} files, at most {MAX_FILES} are read"
        )
    yield from files
