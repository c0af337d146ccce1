"""Bad values for what all commands of both programs take: one clear line on standard error, exit code 2.

Settings of the agent and the load balancer are tested in tests/settings/test_bad_input.py.
"""

import os

import click
import pytest

from gossip.cli.program import MAX_COMPLAINT
from tests.cli.programs import PROGRAMS

DIGITS = "9" * 5000
"""More than `int` takes."""
NO_NUMBERS = ("", "x", "nan", "inf", "-1", "1e400", DIGITS, "\udcff")
NO_DURATIONS = ("5x", "nan", "-1", "1e400", DIGITS + "x", "\udcff")
ARGUMENTS = {
    "explain": ["n"],
    "event": ["n"],
    "query": ["n"],
    "rtt": ["n"],
    "force-leave": ["n"],
    "join": ["n"],
    "tags": ["--set=a=b"],
    "keys": ["--list"],
    "sim replay": ["0"],
}
"""What a command needs to look at its flags."""


def commands(command, context, path=()):
    """Yield the words of every command, its context and itself."""
    yield path, context, command
    if isinstance(command, click.Group):
        for word in command.list_commands(context):
            below = command.get_command(context, word)
            yield from commands(below, click.Context(below, info_name=word, parent=context), (*path, word))


COMMANDS = [
    (name, *found)
    for name, module in PROGRAMS.items()
    for found in commands(module.cli, click.Context(module.cli, **module.cli.context_settings))
]


def is_number(param):
    return isinstance(param.type, click.IntRange | click.FloatRange)


def is_address_of_agent(param):
    """Whether it is the flag of a command that asks an agent; what an agent is told is a setting."""
    return param.name == "rpc_addr" and bool(param.envvar)


def flags(wanted):
    """Return every flag of which `wanted` holds, behind the words of its command and what that needs."""
    return [
        (name, [*path, *ARGUMENTS.get(" ".join(path), [])], param.opts[-1])
        for name, path, context, command in COMMANDS
        for param in command.get_params(context)
        if isinstance(param, click.Option) and wanted(param)
    ]


@pytest.fixture
def refused(capsys):
    """Run a command line that must be refused; return the one line that says why."""

    def refuse(name, words):
        code = PROGRAMS[name].run(words)
        out, err = capsys.readouterr()
        assert (code, out) == (2, "")
        assert err.startswith(name)
        assert err.endswith("\n")
        assert err[:-1].isprintable()
        return err[:-1]

    return refuse


@pytest.mark.parametrize(("name", "path"), [(name, path) for name, path, _, _ in COMMANDS])
@pytest.mark.parametrize("flag", ["--bogus", "-bogus=x", "--\udcff", "--" + "b" * 5000])
def test_an_unknown_flag(name, path, flag, refused):
    line = refused(name, [*path, *ARGUMENTS.get(" ".join(path), []), flag])
    assert line.startswith(f"{' '.join((name, *path))}: unknown flag --")


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("word", ["", "bogus", "\x1b[2J\n", "\udcff", "b" * 100_000])
def test_an_unknown_command(name, word, refused):
    line = refused(name, [word])
    assert "no such command" in line
    assert len(line) <= MAX_COMPLAINT + 1


@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize(("name", "words", "flag"), flags(is_number))
def test_a_number(name, words, flag, value, refused):
    assert flag in refused(name, [*words, f"{flag}={value}"])


@pytest.mark.parametrize(("name", "words", "flag"), flags(lambda param: isinstance(param.type, click.Choice)))
def test_a_choice(name, words, flag, refused):
    assert "is not one of" in refused(name, [*words, f"{flag}=x"])


@pytest.mark.parametrize("value", ["maybe", "", "\udcff"])
@pytest.mark.parametrize(("name", "words", "flag"), flags(lambda param: param.is_flag))
def test_a_switch(name, words, flag, value, refused):
    assert "is neither true nor false" in refused(name, [*words, f"{flag}={value}"])


@pytest.mark.parametrize(("name", "words", "flag"), flags(is_address_of_agent))
@pytest.mark.parametrize("value", ["", "x:y", "h:" + DIGITS, "\udcff:1", "unix:", "[::1"])
def test_the_address_of_an_agent(name, words, flag, value, refused):
    assert "is not HOST:PORT" in refused(name, [*words, f"{flag}={value}"])


@pytest.mark.parametrize("value", NO_DURATIONS)
def test_the_time_of_a_query(value, refused):
    line = refused("gossip", ["query", "n", f"--timeout={value}"])
    assert line.startswith("gossip query: --timeout: ")


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["swarm", "--seeds=x"], "are not A..B"),
        (["swarm", "--seeds=3..1"], "are not A..B"),
        (["swarm", f"--seeds=0..{DIGITS}"], "are not A..B"),
        (["swarm", "--seeds=0..٣"], "are not A..B"),
        (["swarm", "--seeds=0..1000000"], "are more than 1000000"),
        (["swarm", "--jobs=100000"], "is not in the range"),
        (["swarm", "--most-nodes=4097"], "at most 4096 are simulated"),
        (["replay", "0", "--most-nodes=4097"], "at most 4096 are simulated"),
        (["replay", DIGITS], "is not a valid integer"),
        (["replay", "0", "--about=n999"], "there is no node 'n999'"),
    ],
)
def test_a_simulation(name, words, complaint, refused):
    assert complaint in refused(name, ["sim", *words])


FILES = {
    "a directory": "is a directory",
    "missing": "does not exist",
    "a pipe": "not a regular file",
    "junk": "not",
    "x" * 5000: "does not exist",
}


@pytest.fixture
def files(tmp_path):
    (tmp_path / "a directory").mkdir()
    os.mkfifo(tmp_path / "a pipe")
    (tmp_path / "junk").write_bytes(bytes(range(256)))
    return tmp_path


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gossip", ["sim", "run"]),
        ("gossip", ["sim", "replay-recording"]),
        ("gossip-lb", ["sim", "run"]),
    ],
)
def test_a_file_to_read(name, words, file, files, refused):
    assert FILES[file] in refused(name, [*words, str(files / file)])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gossip", ["sim", "replay", "0", "--svg={}"]),
        ("gossip-lb", ["sim", "replay", "0", "--svg={}"]),
        ("gossip", ["record", "dump", "--control=c", "{}"]),
    ],
)
@pytest.mark.parametrize(
    ("file", "complaint"),
    [
        ("a directory", "is a directory"),
        ("missing/x", "missing' does not exist"),
        ("junk/x", "junk' does not exist"),
        ("x" * 300, "cannot be written: File name too long"),
        ("", "is a directory"),
    ],
)
def test_a_file_to_write(name, words, file, complaint, files, refused):
    assert complaint in refused(name, [word.format(files / file) for word in words])


def test_a_directory_that_must_not_be_changed_is_named_before_the_work(files, refused, monkeypatch):
    monkeypatch.setattr("os.access", lambda _path, _mode: False)
    assert "is not writable" in refused("gossip", ["sim", "replay", "0", f"--svg={files / 'x'}"])


@pytest.mark.parametrize(
    ("flag", "file"),
    [
        *(("--encrypt-file", file) for file in ("a\nb", "\x1b[2J", "\udcff", "x" * 5000)),
        *(("--keyring-file", file) for file in ("a\nb", "\x1b[2J", "\udcff", "x" * 5000)),
        *(("--config-file", file) for file in ("a\nb", "\x1b[2J", "\udcff", "x" * 5000)),
        ("--tags-file", "x" * 5000),  # others may come to be
    ],
)
@pytest.mark.parametrize(("name", "command"), [("gossip", "agent"), ("gossip-lb", "run")])
def test_a_file_of_the_agent_with_an_odd_name_is_shown_escaped(name, command, flag, file, refused):
    assert "cannot read" in refused(name, [command, f"{flag}=/none/{file}"])
