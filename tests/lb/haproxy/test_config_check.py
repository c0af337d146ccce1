"""The validation command: its verdict, its bounds, its leftovers."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic

import pytest

from lb.haproxy.config_check import MAX_OUTPUT_BYTES, MAX_REASON_LENGTH, Validator

TARGET = Path("/somewhere/haproxy.cfg")

VALID = b"""global
defaults
    mode http
    timeout connect 1s
    timeout client 1s
    timeout server 1s
frontend fe
    bind 127.4.0.1:1
    default_backend be
backend be
    server a 127.4.0.1:2
"""


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    path = tmp_path / ".lb.x.tmp"
    path.write_bytes(VALID)
    return path


def shell(script: str, timeout: float = 10.0) -> Validator:
    return Validator(("sh", "-c", script, "{file}"), timeout)


@pytest.mark.haproxy
def test_haproxy_accepts_a_valid_file(candidate: Path) -> None:
    assert Validator().check(candidate, shown_as=TARGET) is None


@pytest.mark.haproxy
@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (VALID + b"    sever b 127.4.0.1:3\n", "unknown keyword 'sever'"),
        (VALID.replace(b"\nbackend be", b"\nbackend bee"), "unable to find required default_backend"),
        (VALID + b"    server a 127.4.0.1:3\n", "already defined"),
        (VALID + b"    server b 127.4.0.1:70000\n", "port"),
        (VALID + b"    server b 127.4.0.1:3", "Missing LF"),
        (VALID + b"    server b \xff\xfe#\x01:1\n", ""),
        (b"", "will not start (no listener)"),
    ],
)
def test_haproxy_says_in_one_line_why_a_file_is_invalid(
    candidate: Path, content: bytes, complaint: str
) -> None:
    candidate.write_bytes(content)
    reason = Validator().check(candidate, shown_as=TARGET)
    assert reason
    assert complaint in reason
    assert reason.isprintable()
    assert str(candidate) not in reason


@pytest.mark.haproxy
def test_relative_reference_is_looked_up_where_haproxy_runs(candidate: Path) -> None:
    (candidate.parent / "503.http").write_text("HTTP/1.0 503 x\r\n\r\n")
    candidate.write_bytes(VALID.replace(b"mode http\n", b"mode http\n    errorfile 503 503.http\n"))
    assert Validator(directory=lambda: candidate.parent).check(candidate, shown_as=TARGET) is None
    reason = Validator(directory=lambda: Path("/")).check(candidate, shown_as=TARGET)
    assert reason is not None
    assert "503.http" in reason


def test_directory_that_is_gone_is_named(candidate: Path) -> None:
    gone = candidate.parent / "gone"
    reason = Validator(("true", "{file}"), directory=lambda: gone).check(candidate, shown_as=TARGET)
    assert reason is not None
    assert reason.startswith(f"cannot run the validation command true in {gone}: No such file or directory")


AS_ANOTHER = """
#include <unistd.h>
int main(int c, char **v) { setresgid(0, 0, 0); setresuid(0, 0, 0); execvp(v[1], v + 1); return 9; }
"""
CHECK_AS_NOBODY = """
import os, sys
from pathlib import Path
from lb.haproxy.config_check import Validator
os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
validator = Validator(tuple(sys.argv[3:]), float(sys.argv[2]), lambda: Path("/"))
print(validator.check(Path(sys.argv[1]), shown_as=Path("/x.cfg")))
"""


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("cc"), reason="needs root and a C compiler")
@pytest.mark.parametrize(
    ("command", "verdict"),
    [
        ("true", "None"),
        ("false", "runas refused /x.cfg with status 1"),
        (
            "sleep",
            "did not finish validating /x.cfg within 0.5 s and cannot be stopped: it runs as another user",
        ),
    ],
)
def test_command_that_runs_as_another_user_is_judged_or_named(command: str, verdict: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        (directory / "c.c").write_text(AS_ANOTHER)
        runas = directory / "runas"
        subprocess.run(["cc", "-o", runas, directory / "c.c"], check=True)
        runas.chmod(0o4755)
        words = (str(runas), "sleep", "3", "{file}")[: 3 if command == "sleep" else 0] or (
            str(runas),
            command,
        )
        done = subprocess.run(
            [sys.executable, "-c", CHECK_AS_NOBODY, directory / "c.c", "0.5", *words],
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert verdict in done.stdout.replace(name + "/", ""), done.stderr


def test_command_that_hangs_is_cut_off(candidate: Path) -> None:
    start = monotonic()
    reason = shell("sleep 60 & sleep 60", timeout=0.2).check(candidate, shown_as=TARGET)
    assert reason == "sh did not finish validating /somewhere/haproxy.cfg within 0.2 s"
    assert monotonic() - start < 20


def test_command_that_closes_its_output_and_hangs_is_cut_off(candidate: Path) -> None:
    reason = shell("exec >&- 2>&-; sleep 60", timeout=0.2).check(candidate, shown_as=TARGET)
    assert reason is not None
    assert "within 0.2 s" in reason


def test_children_of_the_command_do_not_outlive_the_verdict(candidate: Path) -> None:
    pid_file = candidate.parent / "pid"
    assert shell(f"sleep 60 & echo $! > {pid_file}").check(candidate, shown_as=TARGET) is None
    pid = int(pid_file.read_text())
    deadline = monotonic() + 20
    while _runs(pid):
        assert monotonic() < deadline


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_endless_output_is_bounded_in_time_and_memory(candidate: Path) -> None:
    reason = shell("exec yes", timeout=0.3).check(candidate, shown_as=TARGET)
    assert reason is not None
    assert "within 0.3 s" in reason


@pytest.mark.parametrize("excess", [0, 1])
def test_output_is_kept_up_to_its_limit(candidate: Path, excess: int) -> None:
    # The alert that HAProxy ends with is the reason only while it lies within what is kept.
    alert = "[ALERT] end"
    filler = MAX_OUTPUT_BYTES - len(alert) - 1 + excess
    script = f"head -c {filler} /dev/zero | tr '\\0' x; echo; printf '%s' '{alert}'; exit 1"
    reason = shell(script).check(candidate, shown_as=TARGET)
    assert reason == ("end" if excess == 0 else "en")


def test_reason_is_cut_and_made_printable(candidate: Path) -> None:
    reason = shell("printf '[ALERT] (12) : \\033[31m'; head -c 1000 /dev/zero | tr '\\0' x; exit 1").check(
        candidate, shown_as=TARGET
    )
    assert reason is not None
    assert reason.startswith("?[31mxx")
    assert len(reason) == MAX_REASON_LENGTH


def test_missing_command_is_named(candidate: Path) -> None:
    reason = Validator(("/no/such/haproxy", "{file}")).check(candidate, shown_as=TARGET)
    assert reason == (
        "cannot run the validation command /no/such/haproxy: No such file or directory "
        "(see --validate-command)"
    )


def test_silent_refusal_names_the_status(candidate: Path) -> None:
    assert shell("exit 3").check(candidate, shown_as=TARGET) == f"sh refused {TARGET} with status 3"


def test_no_descriptor_is_left_open(candidate: Path) -> None:
    shell("exit 0").check(candidate, shown_as=TARGET)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        shell("exit 0").check(candidate, shown_as=TARGET)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
