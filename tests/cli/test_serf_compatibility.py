"""`docs/serf-compatibility.md` names everything that Serf has, and only tests that exist."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from gossip.ipc.protocol import Command
from gossip.settings import absent
from tests.agents import has_serf

ROOT = Path(__file__).parents[2]
OUR_COMMANDS = {Command.EXPLAIN, Command.DOCTOR}


class Row(NamedTuple):
    """A row of one of the tables."""

    subject: str
    verdict: str
    reason: str
    test: str


@cache
def rows() -> tuple[Row, ...]:
    lines = (ROOT / "docs" / "serf-compatibility.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return tuple(Row(*row) for row in cells if row[0] != "Serf")


def subjects() -> set[str]:
    return {row.subject for row in rows()}


def test_no_subject_has_two_rows():
    assert len(subjects()) == len(rows()) > 100


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.subject)
def test_each_row_has_a_verdict_a_reason_and_a_test_that_exists(row):
    assert row.verdict in ("same", "different", "absent")
    assert bool(row.reason) == (row.verdict != "same")
    assert bool(row.test) == (row.verdict != "absent")
    if row.test:
        path, name = row.test.strip("`").split("::")
        assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE), row.test


@pytest.mark.parametrize("command", sorted(set(Command) - OUR_COMMANDS))
def test_every_ipc_command_has_a_row(command):
    assert f"IPC `{command}`" in subjects()


@pytest.mark.parametrize(("name", "_advice"), absent.everything())
def test_what_is_left_out_on_purpose_is_called_absent(name, _advice):
    verdicts = {row.subject: row.verdict for row in rows()}
    subject = f"`serf agent {name}`" if name.startswith("-") else f"key `{name}`"
    assert verdicts.get(subject, "absent") == "absent"


@pytest.mark.serf
@pytest.mark.skipif(not has_serf(), reason="serf is not installed")
def test_every_command_and_flag_in_the_help_of_serf_has_a_row():
    commands = re.findall(r"^    ([a-z-]+)  ", _help(), re.MULTILINE)
    assert "members" in commands
    missing = []
    for command in commands:
        flags = re.findall(r"^  (-[a-z-]{2,})", _help(command), re.MULTILINE)
        assert flags or command in ("keygen", "version"), command
        wanted = {f"`serf {command} {flag}`" for flag in flags}
        if command != "agent":
            wanted.add(f"`serf {command}`")
        missing += sorted(wanted - subjects())
    assert missing == []


def _help(*words: str) -> str:
    done = subprocess.run(["serf", *words, "-help"], capture_output=True, text=True, timeout=20, check=False)
    return done.stdout + done.stderr
