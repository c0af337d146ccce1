"""Plain values as TOML text; the standard library can only read TOML.

Scalars come first, then tables and arrays of tables, so that it reads from the general to the particular.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite

Value = object
"""A string, number, truth value, list or mapping of such."""


def toml_text(table: Mapping[str, Value]) -> str:
    """Return `table` as a TOML document.

    Raises:
        ValueError: it holds a value that TOML cannot express.
    """
    return "\n".join(_lines(table, "")).strip() + "\n"


def _lines(table: Mapping[str, Value], path: str) -> list[str]:
    plain = {key: value for key, value in table.items() if not _is_table(value) and not _is_tables(value)}
    lines = [f"{_key(key)} = {inline_text(value)}" for key, value in plain.items()]
    for key, value in table.items():
        name = f"{path}{_key(key)}"
        if isinstance(value, Mapping):
            lines += ["", f"[{name}]", *_lines(value, f"{name}.")]
        elif _is_tables(value):
            assert isinstance(value, list | tuple)
            for element in value:
                lines += ["", f"[[{name}]]"]
                lines += [f"{_key(inner)} = {inline_text(each)}" for inner, each in element.items()]
    return lines


def _is_table(value: Value) -> bool:
    return isinstance(value, Mapping)


def _is_tables(value: Value) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(map(_is_table, value))


def inline_text(value: Value) -> str:
    """Return `value` in the form that follows an equals sign.

    Raises:
        ValueError: it is a value that TOML cannot express.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and isfinite(value):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(inline_text, value)) + "]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {inline_text(each)}" for key, each in value.items()) + " }"
    raise ValueError(f"cannot write {value!r} as TOML")


def _key(key: str) -> str:
    return key if key.replace("-", "_").isidentifier() and key.isascii() else _quoted(key)


def _quoted(text: str) -> str:
    # JSON's escapes are TOML's, except that TOML also requires the delete character to be escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
