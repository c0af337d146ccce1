"""docs/reference/log-messages.md lists every message that the programs log, with its level."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/reference/log-messages.md"
LEVELS = {"debug": "debug", "info": "info", "warning": "warn", "error": "error"}
CONSTANTS = {"DEBUG": "debug", "INFO": "info", "WARNING": "warn", "ERROR": "error"}
WRITTEN_OUT = {"warning"}
"""Variables whose messages the page describes instead of listing: secrets that others can read."""


def documented() -> dict[str, set[str]]:
    rows = re.findall(r"^\| `([^`]+)` \| ([a-z, ]+) \|", PAGE.read_text(), re.MULTILINE)
    messages: dict[str, set[str]] = {}
    for message, levels in rows:
        assert message not in messages, f"{message!r} is listed twice"
        messages[message] = set(levels.split(", "))
    return messages


def values_of(name: str, module: ast.Module) -> Iterator[ast.expr]:
    for each in ast.walk(module):
        match each:
            case ast.Assign(targets=[ast.Name(id=target)], value=value):
                pass
            case ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value):
                pass
            case _:
                continue
        if target == name:
            yield value


def strings(node: ast.AST, module: ast.Module) -> Iterator[str]:
    """Yield the literals that an expression may be; a variable stands for what the module assigns to it."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=body, orelse=orelse):
            yield from strings(body, module)
            yield from strings(orelse, module)
        case ast.BoolOp(op=ast.Or(), values=[*_, last]):
            yield from strings(last, module)
        case ast.Subscript(value=table):
            yield from strings(table, module)
        case ast.Dict(values=values):
            for value in values:
                yield from strings(value, module)
        case ast.Name(id=name):
            assigned = list(values_of(name, module))
            assert assigned or name in WRITTEN_OUT, f"nothing is assigned to {name}"
            for value in assigned:
                yield from strings(value, module)
        case _:
            raise AssertionError(f"a log message must be a literal: {ast.unparse(node)}")


def logged() -> dict[str, set[str]]:
    messages: dict[str, set[str]] = {}
    for path in (*ROOT.glob("gossip/**/*.py"), *ROOT.glob("lb/**/*.py")):
        module = ast.parse(path.read_text())
        for call in ast.walk(module):
            match call:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr="log"), args=[level, text]):
                    levels = {
                        CONSTANTS[each.attr]
                        for each in ast.walk(level)
                        if isinstance(each, ast.Attribute)
                        if each.attr in CONSTANTS
                    }
                case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=method), args=[text]) if (
                    method in LEVELS
                ):
                    levels = {LEVELS[method]}
                case _:
                    continue
            for message in strings(text, module):
                messages.setdefault(message, set()).update(levels)
    messages["log lines dropped: nobody read them"] = {"warn"}  # the log handler makes this line itself
    return messages


def test_the_page_lists_exactly_the_messages_of_the_source():
    assert documented().keys() == logged().keys()


def test_the_page_gives_each_message_its_levels():
    ours = logged()
    # One call logs three messages of which only some are warnings.
    assert {text: levels for text, levels in documented().items() if not levels <= ours[text]} == {}
    assert {
        text for text, levels in ours.items() if len(levels) == 1 and documented()[text] != levels
    } == set()


def test_messages_have_one_style():
    for message in logged():
        assert message == message.strip(" .!"), message
        assert message[0].islower() or message.startswith("SIG"), message
        assert "%" not in message, f"values belong into keys: {message}"
