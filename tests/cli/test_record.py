"""``gossip record dump`` and ``gossip sim replay-recording``: what they show, and one line for what fails."""

import json
import os
import re
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest

from gossip.cli.main import cli, run
from gossip.recording.recording import decode_recording, encode_recording
from gossip.wire.codec import encode
from tests.recording.rig import START, Recorded
from tests.serf.rig import alive, home

AT = "2024-11-22T17:45:00Z"


def recorded() -> Recorded:
    made = Recorded()
    names = ("n1", "evil\x1b[2J")
    made.node.receive_packet([encode(alive(name)) for name in names], home("n1"), START)
    made.node.user_event("deploy", b"v2", coalesce=False, now=START)
    made.settle()
    made.advance(8.0)
    return made


@pytest.fixture
def data() -> bytes:
    return encode_recording(recorded().recorder.snapshot(), AT, START)


@pytest.fixture
def file(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "x.recording"
    path.write_bytes(data)
    return path


@contextmanager
def control(path: Path, answer: bytes) -> Iterator[list[bytes]]:
    """Answer one client on a Unix socket at `path`; collect what it asked."""
    asked: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                asked.append(client.recv(65536))
                client.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield asked
        thread.join(10)


def http(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


# --- gossip record dump ---------------------------------------------------------------------------------


def test_a_dump_is_written_to_the_file_named(tmp_path, data, capsys):
    with control(tmp_path / "c", http(data)) as asked:
        assert run(["record", "dump", f"-control={tmp_path}/c", f"{tmp_path}/out"]) == 0
    assert asked[0].startswith(b"POST /v1/record/dump HTTP/1.1\r\n")
    assert (tmp_path / "out").read_bytes() == data
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o600
    assert capsys.readouterr().out == f"{tmp_path}/out: {len(data)} bytes\n"


def test_without_a_name_the_file_is_called_after_node_and_time(tmp_path, data, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GOSSIP_CONTROL", "c")
    with control(tmp_path / "c", http(data)):
        assert run(["record", "dump"]) == 0
    assert (tmp_path / "gossip-me-20241122T174500Z.recording").read_bytes() == data


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (
            http(b'{"error": "this agent does not record: x\\u001b"}', "409 Conflict"),
            "refuses: this agent does not",
        ),
        (http(b"<html>", "404 Not Found"), "refuses: b'<html>'"),
        (http(b"[]", "404 Not Found"), "refuses: b'[]'"),
        (http(b"no recording"), "sent no recording: it is not a flight recording"),
        (b"", "cannot ask the agent at"),
        (b"what?\r\n\r\n", "cannot ask the agent at"),
    ],
)
def test_what_an_agent_does_not_give_is_one_line(tmp_path, capsys, answer, complaint):
    with control(tmp_path / "c", answer):
        assert run(["record", "dump", "--control", f"{tmp_path}/c", f"{tmp_path}/out"]) == 1
    err = capsys.readouterr().err
    assert complaint in err
    assert err.endswith("\n")
    assert err[:-1].isprintable()
    assert not (tmp_path / "out").exists()


def test_an_agent_that_is_not_there_is_one_line(tmp_path, capsys):
    assert run(["record", "dump", "--control", f"{tmp_path}/none"]) == 1
    assert capsys.readouterr().err == (
        f"cannot ask the agent at {tmp_path}/none: no such file or directory; "
        "start one with 'gossip agent --control PATH', or name another with --control\n"
    )


def test_a_socket_must_be_named(capsys, monkeypatch):
    monkeypatch.delenv("GOSSIP_CONTROL", raising=False)
    assert run(["record", "dump"]) == 2
    assert "control socket is unknown" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_one_line(tmp_path, data, capsys):
    out = tmp_path / ("x" * 250)  # it is written under a longer name first
    with control(tmp_path / "c", http(data)):
        assert run(["record", "dump", "--control", f"{tmp_path}/c", str(out)]) == 1
    assert capsys.readouterr().err == f"cannot write {out}: file name too long\n"


# --- gossip sim replay-recording ------------------------------------------------------------------------


def test_a_replay_shows_members_counters_and_that_it_is_the_same(file, capsys):
    assert run(["sim", "replay-recording", str(file)]) == 0
    out = capsys.readouterr().out
    assert "me, gossip " in out
    assert f"dumped {AT}" in out
    assert re.search(r"^n1 +10\.", out, re.MULTILINE)
    assert "evil\\x1b[2J  10." in out
    assert "packets 1, push_pulls 0" in out
    assert "event_time 2" in out
    assert "the final state and every effect match" in out


def test_a_replay_as_json(file, capsys):
    assert run(["sim", "replay-recording", "-format=json", str(file)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in said["members"]] == ["evil\x1b[2J", "me", "n1"]
    assert said["equal"] is True
    assert said["node"] == "me"
    assert said["counters"]["packets"] == 1


def test_a_trace_shows_inputs_and_what_came_of_them(file, capsys):
    assert run(["sim", "replay-recording", "--trace", str(file)]) == 0
    out = capsys.readouterr().out
    assert "17:45:00.000000 +0.000000" in out
    assert "17:45:07." in out
    assert "receives 2 messages from" in out
    assert ": Alive, Alive\n" in out
    assert "sees n1 alive\n" in out
    assert "user_event 'deploy' b'v2' coalesce=False\n" in out
    assert "receives event 'deploy' of time 1\n" in out
    assert "\x1b" not in out


@pytest.mark.parametrize("at", ["yesterday", "2024-11-22T17:45:00", "9999-12-31T23:59:59Z"])
def test_a_trace_of_a_recording_without_a_proper_time_is_a_trace_still(tmp_path, at, capsys):
    path = tmp_path / "x"
    path.write_bytes(encode_recording(recorded().recorder.snapshot(), at, START))
    assert run(["sim", "replay-recording", "--trace", str(path)]) == 0
    assert "+0.000000" in capsys.readouterr().out


def test_a_replay_may_stop_on_the_way(file, capsys):
    assert run(["sim", "replay-recording", "--until", "1.5", str(file)]) == 0
    assert "stopped early: the end was not compared" in capsys.readouterr().out


def test_a_replay_that_differs_fails_with_the_first_difference(tmp_path, data, capsys):
    stretch = decode_recording(data).stretches[0]
    path = tmp_path / "x"
    path.write_bytes(data.replace(stretch.digest, bytes(len(stretch.digest))))
    assert run(["sim", "replay-recording", str(path)]) == 1
    out, err = capsys.readouterr()
    assert "equals" not in out
    assert (
        err == "replay differs from the recording: the state after window 1 differs from the recorded one\n"
    )


@pytest.mark.parametrize("content", [b"", b"junk", b"\x80\x04\x95cos\nsystem\n"])
def test_a_file_that_is_no_recording_is_one_line(tmp_path, capsys, content):
    path = tmp_path / "x"
    path.write_bytes(content)
    assert run(["sim", "replay-recording", str(path)]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"gossip: cannot replay {path}: it is not a flight recording: ")
    assert err[:-1].isprintable()


def test_a_file_that_cannot_be_read_is_one_line(tmp_path, capsys):
    assert run(["sim", "replay-recording", f"{tmp_path}/none"]) == 2
    assert "does not exist" in capsys.readouterr().err
    os.mkfifo(tmp_path / "pipe")
    assert run(["sim", "replay-recording", f"{tmp_path}/pipe"]) == 2
    assert capsys.readouterr().err == f"gossip: cannot read recording {tmp_path}/pipe: not a regular file\n"


# --- the how-to -------------------------------------------------------------------------------------------


def test_the_how_to_names_commands_and_flags_that_exist():
    page = Path(__file__).resolve().parents[2] / "docs/howto/record-an-incident.md"
    lines = re.findall(
        r"^gossip ((?:agent|record dump|sim replay-recording)) (.*)$", page.read_text(), re.MULTILINE
    )
    assert len(lines) >= 6
    for words, rest in lines:
        command, context = cli, click.Context(cli, **cli.context_settings)
        for word in words.split():
            command = command.get_command(context, word)
            context = click.Context(command, parent=context)
        params = command.get_params(context)
        known = {flag for param in params for flag in param.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known, (words, rest)
