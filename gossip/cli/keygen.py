"""``gossip keygen``: a new encryption key (serf-wire 8.4)."""

import base64
import os

import click

from gossip.cli.dialect import SerfCommand

KEY_BYTES = 32
"""AES-256, the longest key that Serf accepts."""


@click.command(cls=SerfCommand)
def keygen() -> None:
    """Print a new key for --encrypt, --encrypt-file or a key file: 32 random bytes in base64."""
    click.echo(base64.b64encode(os.urandom(KEY_BYTES)).decode())
