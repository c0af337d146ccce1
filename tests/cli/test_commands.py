"""Each command against an agent that follows a script; what real agents do is in test_real_serf."""

import os
import signal
import subprocess
import sys
from threading import Thread

import pytest

from gossip.cli.main import COMMANDS, run
from gossip.ipc.bodies import (
    ForceLeave,
    Join,
    JoinCount,
    LogLine,
    Member,
    MemberFilter,
    MemberList,
    Stats,
    StreamEvent,
    TagChange,
)
from gossip.ipc.protocol import AUTH_REFUSED, AUTHENTICATION_REQUIRED, encode_record, encode_response
from tests.agents import eventually
from tests.ipc.scripted_agent import GARBAGE, LastWords, handshaking, saying, scripted_agent


def member(name, tags, addr=b"\x7f\0\0\1", status="alive"):
    return Member(name, addr, 7946, tags, status, 1, 5, 2, 2, 5, 5)


MEMBERS = MemberList(
    (member("n2", {"role": "web", "b": "2", "a": "1"}), member("n1", {}, bytes(15) + b"\1", "left"))
)
BODIES = {
    "members-filtered": MEMBERS,
    "join": JoinCount(1),
    "stats": Stats({"serf": {"b": "2", "a": "1"}, "agent": {"name": "n\n1"}, "tags": {}}),
}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in ("GOSSIP_RPC_ADDR", "SERF_RPC_ADDR", "GOSSIP_RPC_AUTH", "SERF_RPC_AUTH"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def asked():
    return []


@pytest.fixture
def agent(asked, monkeypatch):
    """An agent that does everything and notes what it was asked; the commands find it by themselves."""

    def answer(request):
        asked.append(request)
        return encode_response(request, body=BODIES.get(request.command))

    with scripted_agent(answer) as address:
        monkeypatch.setenv("SERF_RPC_ADDR", address)
        yield address


def body(asked):
    return asked[-1].body


def refusing(error):
    return handshaking(lambda request: encode_response(request, error=error))


def test_members_are_sorted_rows_with_sorted_tags(agent, capsys):
    assert run(["members"]) == 0
    assert (
        capsys.readouterr().out == "n1  [::1]:7946      left\nn2  127.0.0.1:7946  alive  a=1,b=2,role=web\n"
    )


def test_detailed_members_show_protocol_versions(agent, capsys):
    assert run(["members", "-detailed"]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert line.endswith("role=web  Protocol Version: 5  Available Protocol Range: [2, 5]")


def test_members_as_json_have_serfs_schema_and_the_host(agent, capsys):
    import json

    assert run(["members", "-format", "json"]) == 0
    first = json.loads(capsys.readouterr().out)["members"][0]
    assert first == {
        "name": "n1",
        "addr": "[::1]:7946",
        "port": 7946,
        "tags": {},
        "status": "left",
        "protocol": {"max": 5, "min": 2, "version": 5},
        "host": "::1",
    }


def test_no_members_are_an_empty_line_or_null(capsys):
    empty = handshaking(lambda request: encode_response(request, body=MemberList(())))
    with scripted_agent(empty) as address:
        assert run(["members", f"-rpc-addr={address}"]) == 0
    with scripted_agent(empty) as address:
        assert run(["members", f"-rpc-addr={address}", "-format=json"]) == 0
    assert capsys.readouterr().out == '\n{\n  "members": null\n}\n'


def test_filters_are_left_to_the_agent(agent, asked):
    assert run(["members", "-name=n.*", "-status", "alive|left", "-tag", "a=1", "--tag=b=x=y"]) == 0
    assert body(asked) == MemberFilter("n.*", "alive|left", {"a": "1", "b": "x=y"})


def test_role_is_a_deprecated_filter_of_the_tag(agent, asked, capsys):
    assert run(["members", "-role=web"]) == 0
    assert body(asked) == MemberFilter("", "", {"role": "web"})
    assert "'--role' has been replaced" in capsys.readouterr().err


def test_members_in_a_terminal_are_a_table(agent, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr("gossip.cli.members.wants_table", lambda: True)
    assert run(["members", "--detailed"]) == 0
    heading, *rows = capsys.readouterr().out.splitlines()
    assert heading.split() == ["NAME", "ADDRESS", "STATUS", "TAGS", "PROTOCOL", "RANGE"]
    assert [row.split()[-1] for row in rows] == ["2-5", "2-5"]


def test_join_says_how_many_answered(agent, asked, capsys):
    assert run(["join", "-replay", "a", "b:1"]) == 0
    assert body(asked) == Join(("a", "b:1"), True)
    assert capsys.readouterr().out == "Successfully joined cluster by contacting 1 nodes.\n"


def test_leave_says_that_it_is_done(agent, asked, capsys):
    assert run(["leave"]) == 0
    assert asked[-1].command == "leave"
    assert capsys.readouterr().out == "Graceful leave complete\n"


def test_force_leave_says_nothing(agent, asked, capsys):
    assert run(["force-leave", "n1", "-prune"]) == 0
    assert body(asked) == ForceLeave("n1", True)
    assert capsys.readouterr().out == ""


def test_tags_are_set_and_deleted(agent, asked, capsys):
    assert run(["tags", "-set", "a=b=c", "-set=d=", "-delete", "e", "--delete=f"]) == 0
    assert body(asked) == TagChange({"a": "b=c", "d": ""}, ("e", "f"))
    assert capsys.readouterr().out == "Successfully updated agent tags\n"


def test_info_is_sorted_sections_of_sorted_values(agent, capsys):
    assert run(["info"]) == 0
    assert capsys.readouterr().out == "agent:\n\tname = n\\n1\nserf:\n\ta = 1\n\tb = 2\ntags:\n"


def test_info_as_json_is_the_stats(agent, capsys):
    import json

    assert run(["info", "-format=json"]) == 0
    assert json.loads(capsys.readouterr().out) == BODIES["stats"].sections


@pytest.mark.parametrize("words", [["version"], ["--version"], ["-version"], ["-v"]])
def test_the_version_and_the_protocol_are_shown(words, capsys):
    assert run(words) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first[0].isdigit()
    assert second == "Agent Protocol: 5 (Understands back to: 2)"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_completion_script(shell, capsys):
    assert run(["completion", shell]) == 0
    assert "_GOSSIP_COMPLETE" in capsys.readouterr().out


def test_a_shell_completes_commands_and_flags(monkeypatch, capsys):
    monkeypatch.setenv("_GOSSIP_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "gossip force-leave --pr")
    monkeypatch.setenv("COMP_CWORD", "2")
    with pytest.raises(SystemExit):
        run([])
    assert capsys.readouterr().out == "plain,--prune\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    assert run([command, "-h"]) == run([command, "-help"]) == run([command, "--help"]) == 0
    assert f"Usage: gossip {command}" in capsys.readouterr().out


def test_the_help_lists_all_commands(capsys):
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {command} " in out for command in COMMANDS)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["bogus"], "gossip: no such command 'bogus'"),
        (["-bogus"], "gossip: unknown flag --bogus"),
        (["members", "-bogus"], "gossip members: unknown flag --bogus"),
        (["members", "extra"], "gossip members: got unexpected extra argument"),
        (["members", "-format=xml"], "gossip members: invalid value for '--format': 'xml' is not one of"),
        (["members", "-tag", "foo"], "gossip members: invalid tag 'foo': expected KEY=VALUE"),
        (["members", "-tag==x"], "gossip members: invalid tag '=x': expected KEY=VALUE"),
        (["members", "-rpc-addr=x:y"], "gossip: agent address 'x:y' is not HOST:PORT"),
        (["members", "-name"], "gossip members: option '--name' requires a"),
        (["join"], "gossip join: at least one address to join must be given"),
        (["force-leave"], "gossip force-leave: missing argument 'NODE'"),
        (["force-leave", "a", "b"], "gossip force-leave: got unexpected extra argument"),
        (["tags"], "gossip tags: nothing to change: give --set or --delete"),
        (["tags", "-set", "a"], "gossip tags: invalid tag 'a'"),
        (["completion", "tcsh"], "gossip completion: invalid value for"),
        (["members\x1b[2J\n"], "gossip: no such command"),
        (["agent", "-retry-max=x"], "gossip agent: --retry-max: expected a whole number, got 'x'"),
        (["agent", "-bind=x:y"], "gossip agent: --bind: 'x:y' has the port 'y'"),
        (["agent", "-tag=x"], "gossip agent: --tag: expected KEY=VALUE, got 'x'"),
        (["agent", "-config-file=/nowhere"], "gossip agent: cannot read configuration /nowhere"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(words, complaint, capsys):
    assert run(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert complaint in err
    assert err.endswith("\n")
    assert err[:-1].isprintable()


def test_an_agents_flags_reach_its_configuration(monkeypatch):
    seen = {}

    def start(overrides, config_files):
        given = {key: value for key, value in overrides.items() if value not in (None, ())}
        seen.update(given, files=config_files)
        return 7

    monkeypatch.setattr("gossip.agent.service.main", start)
    words = "-node=n -bind 127.2.0.1:1 -join a -join b -retry-join=c -tag x=y -role web -replay"
    more = "-disable-compression -config-file=a.toml -retry-max 3 --ready-fd 4"
    more += " -record -record-dir=/tmp -control c.sock"
    assert run(["agent", *words.split(), *more.split()]) == 7
    assert [path.name for path in seen.pop("files")] == ["a.toml"]
    assert seen == {
        "node_name": "n",
        "bind": "127.2.0.1:1",
        "start_join": ("a", "b"),
        "retry_join": ("c",),
        "tags": ("x=y",),
        "role": "web",
        "replay_on_join": True,
        "disable_compression": True,
        "retry_max_attempts": "3",
        "ready_fd": "4",
        "record": True,
        "record_dir": "/tmp",
        "control": "c.sock",
    }


def test_every_flag_of_the_agent_is_a_key_of_its_configuration():
    from gossip.agent.config import AgentConfig
    from gossip.cli.agent import agent as command

    names = {param.name for param in command.params} - {"print_config", "config_files", "role"}
    assert names <= set(AgentConfig.__struct_fields__)


@pytest.mark.parametrize(
    ("words", "doing"),
    [
        (["members"], "retrieving members"),
        (["join", "x"], "joining the cluster"),
        (["leave"], "leaving"),
        (["force-leave", "x"], "force leaving"),
        (["tags", "-delete", "x"], "setting tags"),
        (["info"], "querying agent"),
        (["monitor"], "starting monitor"),
    ],
)
def test_what_the_agent_refuses_is_one_line_and_exit_code_1(words, doing, capsys):
    with scripted_agent(refusing("1 error occurred:\n\t* no\x1b[2J\n\n")) as address:
        assert run([*words, f"-rpc-addr={address}"]) == 1
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"Error {doing}: 1 error occurred: * no\\x1b[2J\n")


def test_an_agent_that_wants_a_token_says_so(capsys):
    with scripted_agent(refusing(AUTHENTICATION_REQUIRED)) as address:
        assert run(["members", f"-rpc-addr={address}"]) == 1
    assert capsys.readouterr().err == "Error retrieving members: Authentication required\n"


def test_a_wrong_token_is_refused(capsys):
    with scripted_agent(refusing(AUTH_REFUSED)) as address:
        assert run(["members", f"-rpc-addr={address}", "-rpc-auth=x"]) == 1
    err = capsys.readouterr().err
    assert err == f"Error connecting to Serf agent at {address}: Invalid authentication token\n"


@pytest.mark.parametrize("words", [["members"], ["join", "x"], ["leave"], ["info"], ["monitor"]])
def test_no_agent_is_one_line_with_the_address_and_what_to_do(words, capsys):
    assert run([*words, "-rpc-addr=127.2.1.1:1"]) == 1
    assert capsys.readouterr().err == (
        "Error connecting to Serf agent: cannot reach an agent at 127.2.1.1:1: connection refused; "
        "start one with 'gossip agent', or name another with --rpc-addr\n"
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [("GOSSIP_RPC_ADDR", "SERF_RPC_ADDR"), ("SERF_RPC_ADDR", None)],
)
def test_the_environment_names_the_agent_ours_before_serfs(first, second, monkeypatch, capsys):
    monkeypatch.setenv(first, "127.2.1.1:2")
    if second:
        monkeypatch.setenv(second, "127.2.1.1:3")
    run(["members"])
    assert "127.2.1.1:2:" in capsys.readouterr().err


def test_the_token_comes_from_the_environment_too(agent, asked, monkeypatch):
    monkeypatch.setenv("SERF_RPC_AUTH", "secret")
    run(["leave"])
    assert [request.command for request in asked] == ["handshake", "auth", "leave"]


@pytest.mark.parametrize("data", [*GARBAGE, b"\x81\xa1\x1b\xc0"])
@pytest.mark.parametrize("words", [["members"], ["info"], ["monitor"]])
def test_hostile_bytes_are_one_line_and_exit_code_1(data, words, capsys):
    with scripted_agent(saying(data)) as address:
        assert run([*words, f"-rpc-addr={address}"]) == 1
    with scripted_agent(handshaking(saying(data))) as address:
        assert run([*words, f"-rpc-addr={address}"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 2
    assert err.replace("\n", "").isprintable()


def test_hostile_names_are_escaped_in_every_form(capsys):
    evil = MemberList((member("\x1b[2J\n\udcff", {"k\r": "\u202e"}),))
    hostile = handshaking(lambda request: encode_response(request, body=evil))
    for words in (["members"], ["members", "-detailed"], ["members", "-format=json"]):
        with scripted_agent(hostile) as address:
            assert run([*words, f"-rpc-addr={address}"]) == 0
        out = capsys.readouterr().out
        assert out.replace("\n", "").isprintable()


# monitor


RECORDS = (
    encode_record(3, LogLine("line\x1b[2J"))
    + encode_record(2, StreamEvent("user", {"Event": "user", "Name": "deploy", "LTime": 3, "Payload": b"x"}))
    + encode_record(3, LogLine("last"))
)
EVENT = 'Event Info:\n\tEvent: "user"\n\tLTime: 3\n\tName: "deploy"\n\tPayload: []byte{0x78}\n'
SHOWN = f"line\\x1b[2J\n{EVENT}last\n"


def interrupt_after(text, output):
    """Interrupt this process once `text` stands in `output`."""
    eventually(lambda: text in output.getvalue(), 20, f"{text!r} to be shown")
    os.kill(os.getpid(), signal.SIGINT)


def interrupting(seen, then):
    """Send the records, interrupt this process when they are shown, answer what follows with `then`."""
    output = sys.stdout

    def answer(request):
        seen.append(request)
        if request.command == "monitor":
            Thread(target=interrupt_after, args=("last\n", output)).start()
            return encode_response(request) + RECORDS
        return then(request) if request.command == "stop" else encode_response(request)

    return answer


def test_a_monitor_shows_lines_and_events_until_interrupted_and_stops_both(capsys):
    seen = []
    with scripted_agent(interrupting(seen, encode_response)) as address:
        assert run(["monitor", f"-rpc-addr={address}", "-log-level=debug"]) == 0
    assert capsys.readouterr().out == SHOWN
    assert [(request.command, request.seq) for request in seen][1:] == [
        ("stream", 2),
        ("monitor", 3),
        ("stop", 4),
        ("stop", 5),
    ]
    assert [request.body.seq for request in seen[-2:]] == [3, 2]


def test_an_interrupted_monitor_is_done_even_if_the_agent_hangs_up(capsys):
    with scripted_agent(interrupting([], lambda _request: None)) as address:
        assert run(["monitor", f"-rpc-addr={address}"]) == 0
    assert capsys.readouterr() == (SHOWN, "")


@pytest.mark.parametrize(
    ("tail", "reason"),
    [
        (b"\xc1", "bytes are not a valid message"),
        (b"\x82\xa3Seq\x03\xa5Error\xa0\x90", "expected a map, got list"),
    ],
)
def test_a_monitor_that_gets_rubbish_says_so(tail, reason, capsys):
    def answer(request):
        return encode_response(request) + (RECORDS + tail if request.command == "monitor" else b"")

    with scripted_agent(answer) as address:
        assert run(["monitor", f"-rpc-addr={address}"]) == 1
    out, err = capsys.readouterr()
    assert out == SHOWN
    assert err.startswith(f"Error monitoring: {reason}")


def test_a_monitor_whose_agent_hangs_up_has_failed(capsys):
    def answer(request):
        return (
            LastWords(encode_response(request) + RECORDS)
            if request.command == "monitor"
            else encode_response(request)
        )

    with scripted_agent(answer) as address:
        assert run(["monitor", f"-rpc-addr={address}"]) == 1
    assert capsys.readouterr() == (SHOWN, f"Error monitoring: agent at {address} closed the connection\n")


def test_the_command_alone_lists_the_commands(capsys):
    assert run([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Usage: gossip")
    for name in COMMANDS:
        assert f"\n  {name} " in err


def test_flags_of_an_agent_that_are_zero_or_false_reach_its_configuration(monkeypatch):
    seen = {}
    monkeypatch.setattr("gossip.agent.service.main", lambda overrides, _files: seen.update(overrides) or 0)
    run(["agent", "--retry-max", "0", "-disable-compression=false", "-record=false"])
    given = {key: value for key, value in seen.items() if value not in (None, ())}
    assert given == {"retry_max_attempts": "0", "disable_compression": False, "record": False}


def test_no_socket_takes_the_place_of_a_closed_output(agent):
    command = ["bash", "-c", 'exec "$0" -m gossip members >&-', sys.executable]
    done = subprocess.run(command, stderr=subprocess.PIPE, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (1, b"gossip: cannot write the output: it is closed\n")


def test_an_interrupted_command_ends_with_130(capsys):
    def interrupt(_request):
        os.kill(os.getpid(), signal.SIGINT)
        return b""

    with scripted_agent(handshaking(interrupt)) as address:
        assert run(["leave", f"-rpc-addr={address}"]) == 130
