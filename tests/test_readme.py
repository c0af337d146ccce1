"""The README's commands are run as they stand: the terminal session must print what it shows."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
INDEX_IS_AWAY = (
    "NewConnectionError",
    "Name or service not known",
    "No matching distribution",
    "ConnectTimeout",
)
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


def commands_of(section: str) -> list[str]:
    text = README.read_text().partition(f"## {section}\n")[2].partition("\n## ")[0]
    return [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]


def test_a_wheel_installs_and_runs_as_the_readme_says(tmp_path: Path) -> None:
    """A clone builds the wheel; nothing of the clone is needed afterwards."""
    clone, venv = tmp_path / "clone", tmp_path / "venv"
    shutil.copytree(
        ROOT, clone, ignore=shutil.ignore_patterns(".*", "tests", "benchmarks", "docs", "images", "deploy")
    )
    subprocess.run([sys.executable, "-m", "venv", venv], check=True, timeout=100)
    path = {"PATH": f"{venv}/bin:/usr/bin:/bin", "HOME": str(tmp_path)}
    lines = commands_of("Install it")
    assert len(lines) == 3
    for line in lines:
        where = clone if line.startswith("pip") else tmp_path
        done = subprocess.run(
            line,
            shell=True,
            cwd=where,
            env=os.environ | path,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        if done.returncode and any(word in done.stderr for word in INDEX_IS_AWAY):
            pytest.skip("NO PACKAGE INDEX: pip cannot fetch what the wheel needs")
        assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("0.1.0\n")


def test_every_make_target_in_the_readme_exists() -> None:
    targets = re.findall(r"^make ([a-z-]+)", README.read_text(), re.MULTILINE)
    assert {"demo", "test"} <= set(targets)
    makefile = (ROOT / "Makefile").read_text()
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


def test_every_link_for_readers_leads_to_a_file() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    assert README in pages
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"
