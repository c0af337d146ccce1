"""Configuration files, each of which is a source of settings."""

from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from gossip.settings.source import Source, toml_source
from gossip.toml_file import read_text


def read_config_files(kind: type[Struct], paths: Iterable[Path]) -> list[Source]:
    """Return what the files at `paths` set, in their order.

    Raises:
        ConfigError: one cannot be read, or has keys that mean nothing.
    """
    return [toml_source(kind, path, read_text(path, "configuration")) for path in paths]
