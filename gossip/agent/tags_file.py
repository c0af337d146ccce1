"""Serf's tags file: the agent's tags as a JSON object, kept up to date as they change (serf-wire 8.2)."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from gossip.agent.driver import Driver
from gossip.errors import ConfigError
from gossip.serf.tags import encode_tags
from gossip.toml_file import read_text
from gossip.whole_file import replace_file


def read_tags_file(path: Path) -> dict[str, str]:
    """Return the tags in a tags file; empty if the file does not exist yet.

    Raises:
        ConfigError: the file cannot be read, or is not an object with text values.
    """
    with suppress(OSError):  # reading it reports the error
        if not path.exists():
            return {}
    text = read_text(path, "tags_file")
    try:
        tags = json.loads(text)
    except (ValueError, RecursionError):
        tags = None
    if not isinstance(tags, dict) or not all(isinstance(value, str) for value in tags.values()):
        raise ConfigError(f"cannot use tags_file {path}: expected a JSON object of texts")
    return tags


def write_tags_file(path: Path, tags: Mapping[str, str]) -> None:
    """Replace a tags file as a whole, in Serf's layout; only its owner can read it.

    Raises:
        OSError: it cannot be written; the old file stays.
    """
    data = json.dumps(dict(tags), indent=2, sort_keys=True, ensure_ascii=False)
    replace_file(path, data.encode("utf-8", "surrogateescape"), prefix=f".{path.name}.", durable=True)


def change_tags(driver: Driver, tags: Mapping[str, str], path: Path | None) -> int:
    """Write `tags` to the tags file, if there is one, then announce them; return the broadcast's token.

    As in Serf, tags that cannot be saved are not announced.

    Raises:
        LocalProtocolError: they are too long, or the node is leaving.
        OSError: the file cannot be written.
    """
    if path is not None:
        encode_tags(tags)  # otherwise the file would make the next start fail
        write_tags_file(path, tags)
    return driver.apply(lambda node, now: node.set_tags(tags, now))
