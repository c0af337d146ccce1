"""The events that a stream or a handler is for: Serf's filter syntax (serf-wire section 7).

A comma-separated list of ``member-join``, ``member-leave``, ``member-failed``, ``member-update``,
``member-reap``, ``user``, ``user:NAME``, ``query``, ``query:NAME`` and ``*``; an empty list means everything.
"""

from typing import Self

from msgspec import Struct

from gossip.errors import ConfigError

EVERYTHING = "*"
NAMED_KINDS = ("user", "query")
KINDS = frozenset(
    ("member-join", "member-leave", "member-failed", "member-update", "member-reap", *NAMED_KINDS, EVERYTHING)
)


class EventFilter(Struct, frozen=True):
    """A set of (kind, name) pairs; an empty name stands for every name."""

    wanted: frozenset[tuple[str, str]]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a filter.

        Raises:
            ValueError: one of its elements is not a kind of event.
        """
        wanted = set()
        for element in (text or EVERYTHING).split(","):
            kind, colon, name = element.partition(":")
            if kind not in KINDS or (colon and (kind not in NAMED_KINDS or not name)):
                raise ValueError(f"{element!r} is not a kind of event")
            wanted.add((kind, name))
        return cls(frozenset(wanted))

    def admits(self, kind: str, name: str = "") -> bool:
        """Tell whether an event of `kind` is wanted; `name` is that of a user event or query."""
        wanted = self.wanted
        return (EVERYTHING, "") in wanted or (kind, "") in wanted or (bool(name) and (kind, name) in wanted)


class EventHandler(Struct, frozen=True):
    """One element of a specification: the script runs for every event that the filter admits."""

    text: str  # the element, such as "user:deploy"
    wanted: EventFilter
    script: str


def parse_handlers(specification: str) -> list[EventHandler]:
    """Read ``[FILTER=]SCRIPT``; each element of the filter makes a separate handler, as in Serf.

    Raises:
        ConfigError: the filter has an unknown kind of event, or there is no script.
    """
    before, equals, after = specification.partition("=")
    text, script = (before, after) if equals else (EVERYTHING, before)
    if not script.strip():
        raise ConfigError(f"event handler {specification!r} has no script: write [FILTER=]SCRIPT")
    text = text or EVERYTHING
    try:
        EventFilter.parse(text)
    except ValueError as error:
        raise ConfigError(
            f"event handler {specification!r}: {error}; a script with '=' needs a filter before it, "
            f"such as *={specification}"
        ) from None
    return [EventHandler(element, EventFilter.parse(element), script) for element in text.split(",")]
