"""Values in the form of Go's ``%#v``, in which ``serf monitor`` shows an event's fields."""

from gossip.printable import printable

MAX_SMALL_INTEGER = 127
"""Up to this value msgpack has a special form, which Go reads as a signed integer and writes in decimal."""


def go_syntax(value: object, *, nested: bool = False) -> str:
    """Return `value`, decoded from msgpack, in Go's syntax."""
    match value:
        case None:
            text = "interface {}(nil)" if nested else "<nil>"
        case bool():
            text = str(value).lower()
        case int():
            text = str(value) if value <= MAX_SMALL_INTEGER else f"{value:#x}"
        case str():
            text = _quoted(value)
        case bytes():
            text = f"[]{'uint8' if nested else 'byte'}{{{', '.join(map(hex, value))}}}"
        case list() | dict():
            text = _container(value)
        case _:
            text = printable(str(value))
    return text


def _container(value: list[object] | dict[object, object]) -> str:
    if isinstance(value, list):
        return f"[]interface {{}}{{{', '.join(go_syntax(item, nested=True) for item in value)}}}"
    entries = sorted((go_syntax(key, nested=True), item) for key, item in value.items())
    inside = ", ".join(f"{key}:{go_syntax(item, nested=True)}" for key, item in entries)
    return f"map[interface {{}}]interface {{}}{{{inside}}}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{printable(escaped)}"'
