"""The effective configuration as a TOML document: each setting with its value and source."""

from collections.abc import Iterator

from msgspec import Struct, to_builtins

from gossip.settings.duration import Seconds, duration_text
from gossip.settings.merge import C, Merged
from gossip.settings.setting import settings_of
from gossip.toml_text import inline_text


def explain(merged: Merged[C]) -> Iterator[str]:
    """Yield a line for each setting; secrets and settings without a value become comments."""
    for name, item in settings_of(type(merged.config)).items():
        origins = merged.origins.get(name)
        value = _plain(getattr(merged.config, name))
        origin = ", ".join(origins) if origins else "default"
        if item.setting.is_secret:
            yield f"# {name} is set  # {origin}" if value else f"# {name} is not set"
        elif value is None or (item.setting.is_table and not origins):
            yield f"# {name} is not set"
        else:
            yield f"{name} = {inline_text(_without_none(value))}  # {origin}"


def _plain(value: object) -> object:
    """Return `value` as lists, tables and texts; a Struct becomes a table of its non-default fields."""
    if isinstance(value, Struct):
        fields = {name: getattr(value, name) for name in value.__struct_fields__}
        return {name: _plain(each) for name, each in fields.items() if each != getattr(type(value)(), name)}
    return to_builtins(value, enc_hook=_encode_seconds)


def _encode_seconds(value: object) -> object:
    assert isinstance(value, Seconds)
    return duration_text(value)


def _without_none(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_none(each) for key, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [_without_none(each) for each in value]
    return value
