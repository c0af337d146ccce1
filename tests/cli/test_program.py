"""Both programs turn the outcome of a command line into an exit code, and what is wrong into one line."""

import errno
import gc
import io
import os
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import click
import pytest

import gossip
from gossip.cli.program import run_program
from tests.cli.programs import PROGRAMS

MODULES = {"gossip": "gossip", "gossip-lb": "lb"}
COMMAND_LINES = [
    *(("gossip", words) for words in ("version", "--version", "--help", "agent --print-config")),
    *(("gossip-lb", words) for words in ("--version", "--help", "run --help", "run --print-config")),
]
each_command_line = pytest.mark.parametrize(("name", "words"), COMMAND_LINES)


@pytest.fixture(params=PROGRAMS)
def name(request):
    return request.param


def outcome(name, words, stdout):
    """Run a program with the file `stdout` as its output; return its exit code and complaint."""
    command = [sys.executable, "-m", MODULES[name], *words.split()]
    done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, timeout=30, check=False)
    return done.returncode, done.stderr


def shell_outcome(name, words, redirection):
    """Run a program with descriptors closed by the shell."""
    line = f'exec "$0" -m {MODULES[name]} {words} {redirection}'
    return subprocess.run(["bash", "-c", line, sys.executable], capture_output=True, timeout=30, check=False)


@each_command_line
def test_a_reader_that_went_away_is_no_traceback(name, words):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert outcome(name, words, writer) == (1, b"")
    finally:
        os.close(writer)


@each_command_line
def test_output_that_cannot_be_written_is_one_line(name, words):
    with Path("/dev/full").open("wb") as full:
        code, err = outcome(name, words, full)
    assert (code, err.decode()) == (1, f"{name}: cannot write the output: no space left on device\n")


@each_command_line
def test_a_closed_output_is_one_line(name, words):
    done = shell_outcome(name, words, ">&-")
    assert (done.returncode, done.stderr.decode()) == (1, f"{name}: cannot write the output: it is closed\n")


def test_closed_errors_leave_the_output_alone(name):
    done = shell_outcome(name, "--version", "2>&- <&-")
    assert done.returncode == 0
    assert done.stdout.startswith(gossip.__version__.encode())


class Broken(io.StringIO):
    """An output that takes nothing, at once or when it is flushed."""

    def __init__(self, number, method):
        super().__init__()
        setattr(self, method, self.fail)
        self.number = number

    def fail(self, *_text):
        raise OSError(self.number, os.strerror(self.number))


def test_a_reader_that_went_away_before_the_last_flush_is_told_nothing(capsys):
    command = click.Command("write", callback=lambda: sys.stdout.write("unflushed"))
    with redirect_stdout(Broken(errno.EPIPE, "flush")):
        assert run_program(command, "gossip", []) == 1
    assert capsys.readouterr().err == ""


def test_a_broken_disk_is_told_from_a_bug(name, capsys):
    run = PROGRAMS[name].run
    with redirect_stdout(Broken(errno.EIO, "write")):
        assert run(["--version"]) == 1
    assert capsys.readouterr().err == f"{name}: cannot write the output: input/output error\n"
    with redirect_stdout(Broken(errno.EACCES, "write")), pytest.raises(PermissionError):
        run(["--version"])


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["bogus"], ": no such command 'bogus' (see '{name} --help')"),
        (["-bogus"], ": unknown flag --bogus (see '{name} --help')"),
        (["sim", "run", "/none"], " sim run: invalid value for 'SCENARIO': File '/none' does not exist"),
    ],
)
def test_wrong_usage_is_one_line_that_names_the_command_and_exit_code_2(name, words, complaint, capsys):
    assert PROGRAMS[name].run(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(name + complaint.format(name=name))
    assert err.count("\n") == 1


def test_a_wrong_value_in_a_file_is_one_line_that_names_the_file_and_exit_code_2(name, tmp_path, capsys):
    path = tmp_path / "a.toml"
    path.write_text("retry_max_attempts = 'x\x1b[2J'")
    command = {"gossip": "agent", "gossip-lb": "run"}[name]
    assert PROGRAMS[name].run([command, f"--config-file={path}"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert str(path) in err
    assert err[:-1].isprintable()


def test_the_process_runs_its_own_command_line(name, monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "argv", [name, "--version"])
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert PROGRAMS[name].main() == 0
    gc.unfreeze()
    assert out.errors == "backslashreplace"
    assert out.buffer.getvalue().startswith(gossip.__version__.encode())
