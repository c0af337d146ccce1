"""Serf's key file: a JSON list of keys in base64, the primary one first (serf-wire 4.3)."""

import base64
import json
from pathlib import Path

from gossip.errors import ConfigError
from gossip.toml_file import read_bounded
from gossip.whole_file import replace_file
from gossip.wire.keyring import Keyring

MAX_KEY_FILE_BYTES = 64 * 1024
"""A thousand keys; Serf has no limit."""


def read_key_file(path: Path) -> Keyring:
    """Return the ring in a key file: a JSON list of keys in base64, the primary one first, in Serf's format.

    Raises:
        ConfigError: the file cannot be read, is not such a list, or has an invalid key.
    """
    data = read_bounded(path, "keyring_file", MAX_KEY_FILE_BYTES)
    try:
        keys = json.loads(data)
    except (ValueError, RecursionError):
        keys = None
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ConfigError(f"cannot use keyring_file {path}: expected a JSON list of keys in base64")
    try:
        return Keyring.from_base64(keys)
    except ConfigError as error:
        raise ConfigError(f"cannot use keyring_file {path}: {error}") from None


def write_key_file(path: Path, ring: Keyring) -> None:
    """Replace a key file as a whole; only its owner can read it.

    Raises:
        OSError: it cannot be written; the old file stays.
    """
    keys = [base64.b64encode(key).decode() for key in ring.keys]
    data = json.dumps(keys, indent=2).encode()
    replace_file(path, data, prefix=f".{path.name}.", durable=True)
