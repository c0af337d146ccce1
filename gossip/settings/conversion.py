"""Conversion of a source's raw value to the value of a setting: type, spelling, range.

An error names the expected and the given value, but never repeats a secret.
"""

from enum import Enum

import msgspec
from msgspec import Struct

from gossip.settings.duration import Seconds, parse_duration
from gossip.settings.setting import Declared, Words

MAX_SHOWN = 60
"""Characters of a wrong value that an error repeats."""


def convert(item: Declared, value: object, *, is_text: bool) -> object:
    """Return the value of the setting `item` for `value`; `is_text` if texts stand for numbers and so on.

    Raises:
        ValueError: the value is invalid; the message names the expected and the given value.
    """
    value = _split(item, value, is_text=is_text)
    try:
        converted: object = msgspec.convert(value, item.kind, strict=not is_text, dec_hook=_decode_seconds)
    except msgspec.ValidationError as error:
        raise ValueError(_reason(item, value, str(error))) from None
    return _checked(item, converted)


def parse_tag(text: str) -> tuple[str, str]:
    """Split ``key=value``.

    Raises:
        ValueError: there is no ``=``, or nothing before it.
    """
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ValueError(f"expected KEY=VALUE, got {text!r}")
    return key, value


def _split(item: Declared, value: object, *, is_text: bool) -> object:
    """Return the parts of a list or a map written on one line."""
    words = item.setting.words
    if isinstance(value, str):
        if item.is_list and words is Words.SHELL:
            import shlex  # most agents run no such command

            try:
                return shlex.split(value)
            except ValueError as error:
                raise ValueError(
                    f"cannot be split into words: {str(error).lower()}: {_shown(value)}"
                ) from None
        if is_text and (item.is_list or item.is_map):
            parts = value.splitlines() if words is Words.LINES else value.split(",")
            value = [part.strip() for part in parts if part.strip()]
    if item.is_map and is_text and isinstance(value, list | tuple):
        return dict(parse_tag(str(part)) for part in value)
    return value


def _decode_seconds(_kind: type, value: object) -> Seconds:
    return parse_duration(value)


def _checked(item: Declared, value: object) -> object:
    setting = item.setting
    if setting.refine is not None:
        if isinstance(value, str):
            value = setting.refine(value)
        elif isinstance(value, tuple):
            value = tuple(map(setting.refine, value))
    if setting.choices and value not in setting.choices:
        raise ValueError(f"expected one of {', '.join(setting.choices)}, got {_shown(value)}")
    if isinstance(value, int | float):
        unit = "s" if item.is_duration else ""
        if setting.at_least is not None and value < setting.at_least:
            raise ValueError(f"expected at least {setting.at_least:g}{unit}, got {value:g}{unit}")
        if setting.at_most is not None and value > setting.at_most:
            raise ValueError(f"expected at most {setting.at_most:g}{unit}, got {value:g}{unit}")
        if setting.above is not None and value <= setting.above:
            raise ValueError(f"expected more than {setting.above:g}{unit}, got {value:g}{unit}")
    return value


def _reason(item: Declared, value: object, text: str) -> str:
    """Return the reason why msgspec refuses `value`, in our wording."""
    reason, _, path = text.partition(" - at `$")
    if isinstance(item.kind, type) and issubclass(item.kind, Struct):
        return _nested(reason, path)
    if item.is_duration:
        return reason
    if isinstance(item.kind, type) and issubclass(item.kind, Enum):
        return f"expected one of {', '.join(item.kind)}, got {_shown(value)}"
    return f"expected {_wanted(item)}, got {'something else' if item.setting.is_secret else _shown(value)}"


def _nested(reason: str, path: str) -> str:
    where = path.rstrip("`")
    if (unknown := reason.removeprefix("Object contains unknown field ")) != reason:
        inside = f" in {where.lstrip('.')}" if where else ""
        return f"unknown key {unknown.strip('`')!r}{inside}"
    reason = reason.replace("`array`", "a list").replace("`object`", "a table").replace("`", "")
    return f"{where.lstrip('.')}: {reason[:1].lower()}{reason[1:]}" if where else _lowered(reason)


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


def _wanted(item: Declared) -> str:
    if item.is_switch:
        return "true or false"
    if item.is_number:
        return "a whole number"
    if item.is_list:
        return "a list of texts"
    return "a table of texts" if item.is_map else "a text"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
