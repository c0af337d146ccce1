import io
import json
import os
import pty
from contextlib import contextmanager, redirect_stdout, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.cli.output import columns, show_json, show_table, wants_table
from gossip.printable import one_line, printable

ANY_TEXT = st.text(alphabet=st.characters())  # surrogates too


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("web-1", "web-1"),
        ("ünïcode 日本", "ünïcode 日本"),
        ("a\nb\rc\td", "a\\nb\\rc\\td"),
        ("\x1b[2Jgone\x7f", "\\x1b[2Jgone\\x7f"),
        ("\u202eevil\u200b", "\\u202eevil\\u200b"),
        ("\xa0\x9b", "\\u00a0\\u009b"),
        ("\U000e0001", "\\U000e0001"),
        (b"\xff\xfe".decode("utf-8", "surrogateescape"), "\\xff\\xfe"),
        ("\ud800", "\\ud800"),
        ("back\\slash", "back\\slash"),
    ],
)
def test_what_is_not_printable_is_escaped(text, shown):
    assert printable(text) == shown


@given(ANY_TEXT)
def test_text_is_always_printable_and_encodable(text):
    assert printable(text).isprintable()
    printable(text).encode()
    assert one_line(text).isprintable()


def test_a_text_of_several_lines_becomes_one():
    assert one_line("1 error occurred:\n\t* Failed to join x\n\n") == "1 error occurred: * Failed to join x"


# Recorded from `serf members` 0.9.4.
def test_columns_are_padded_to_the_widest_cell_and_the_last_is_not():
    rows = [("a1", "127.2.0.1:7946", "alive", "role=web"), ("longer", "127.2.0.2:1", "left", "")]
    assert columns(rows) == "a1      127.2.0.1:7946  alive  role=web\nlonger  127.2.0.2:1     left"


def test_no_rows_are_an_empty_line():
    assert columns([]) == ""


@given(st.lists(st.tuples(ANY_TEXT, ANY_TEXT), max_size=4))
def test_each_row_is_one_line_whatever_it_holds(rows):
    assert len(columns(rows).split("\n")) == max(1, len(rows))


def test_json_escapes_as_go_does_and_hides_nothing(capsys):
    show_json({"a": "<b>&\u2028\x1b\u202e\U000e0001é", "raw": "\udcff", "empty": {}})
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == '  "a": "\\u003cb\\u003e\\u0026\\u2028\\u001b\\u202e\\udb40\\udc01é",'
    assert lines[2:] == ['  "raw": "\ufffd",', '  "empty": {}', "}"]


@given(st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=3))
def test_json_reads_back_as_what_was_shown(values):
    with redirect_stdout(io.StringIO()) as out:
        show_json(values)
    assert out.getvalue().replace("\n", "").isprintable()

    def shown(text):
        return "".join("\ufffd" if 0xD800 <= ord(char) <= 0xDFFF else char for char in text)

    assert json.loads(out.getvalue()) == {shown(key): shown(value) for key, value in values.items()}


@contextmanager
def terminal(monkeypatch, **environment):
    """Make stdout a terminal for a while; what was written stands in the list afterwards."""
    for name, value in {"TERM": "xterm", "COLUMNS": "100", "NO_COLOR": "", **environment}.items():
        monkeypatch.setenv(name, value)
    ours, theirs = pty.openpty()
    written = []
    with os.fdopen(theirs, "w", encoding="utf-8") as stdout, redirect_stdout(stdout):
        yield written
    with suppress(OSError):  # the end of a terminal
        while data := os.read(ours, 65536):
            written.append(data.decode())
    os.close(ours)


TITLES = ("NAME", "STATUS")


def test_a_terminal_gets_a_table_with_coloured_statuses(monkeypatch):
    with terminal(monkeypatch) as written:
        assert wants_table()
        show_table(TITLES, [("n1", "alive"), ("n2", "failed"), ("n3", "odd")], status=1)
    text = "".join(written)
    assert "\x1b[32malive" in text
    assert "\x1b[1;31mfailed" in text
    assert "odd" in text


def test_no_color_is_respected(monkeypatch):
    with terminal(monkeypatch, NO_COLOR="1") as written:
        show_table(TITLES, [("n1", "alive")], status=1)
    assert "alive" in "".join(written)
    assert "\x1b" not in "".join(written)


def test_a_hostile_name_cannot_reach_the_terminal(monkeypatch):
    with terminal(monkeypatch, NO_COLOR="1") as written:
        show_table(TITLES, [("\x1b[2J[red]x[/red]\n\udcff", "alive")], status=1)
    text = "".join(written)
    assert "\x1b" not in text
    assert "\\x1b[2J[red]x[/red]\\n\\xff" in text


def test_without_rich_a_terminal_gets_columns(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with terminal(monkeypatch):
        assert not wants_table()


def test_a_pipe_gets_columns():
    assert not wants_table()
