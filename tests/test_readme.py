"""The README's terminal session is run as it stands, and must print what it shows."""

import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[1] / "README.md"
FENCE = re.compile(r"```console\n(.*?)```", re.DOTALL)


def session() -> tuple[list[str], list[str]]:
    """Return the commands of the README's session and the lines it shows as their output."""
    (text,) = FENCE.findall(README.read_text())
    lines = text.splitlines()
    return [line[2:] for line in lines if line.startswith("$ ")], [x for x in lines if not x.startswith("$ ")]


def is_free(host: str) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex((host, 7373)) != 0


@pytest.mark.serf
@pytest.mark.skipif(not is_free("127.0.0.1"), reason="AN AGENT IS RUNNING on 127.0.0.1:7373")
def test_the_session_in_the_readme_prints_what_it_shows() -> None:
    commands, shown = session()
    path = (
        f"{Path(sys.executable).parent}:{Path(shutil.which('serf') or '/usr/bin/serf').parent}:/usr/bin:/bin"
    )
    done = subprocess.run(
        ["bash", "-c", "\n".join([*commands, "wait %1"])],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={"PATH": path},
    )
    assert [line.rstrip() for line in done.stdout.splitlines()] == shown
