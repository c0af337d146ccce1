"""Tags as flags: ``key=value``."""

from collections.abc import Iterable

import click


def parse_tags(texts: Iterable[str]) -> dict[str, str]:
    """Split each ``key=value`` at its first ``=``; later ones win.

    Raises:
        click.UsageError: one has no ``=`` or no key.
    """
    tags: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise click.UsageError(f"invalid tag {text!r}: expected KEY=VALUE", click.get_current_context())
        tags[key] = value
    return tags
