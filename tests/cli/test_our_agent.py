"""Our command line against our agent: the same words, whoever answers."""

import base64
import re
import subprocess

import pytest

from tests.agents import OURS, SERF, agents, eventually

KEY_CHANGES = ("install", "use", "remove")


@pytest.fixture
def agent(tmp_path):
    with agents(tmp_path) as started:
        yield started.start(OURS, "o1", "-tag=role=web", "-log-level=debug")


def test_the_agent_of_the_command_line_answers_all_of_its_commands(agent):
    assert agent.run("members").stdout == f"o1  {agent.host}:7946  alive  role=web\n"
    assert "agent:\n\tname = o1\n" in agent.run("info").stdout
    assert agent.run("tags", "-set=role=db").stdout == "Successfully updated agent tags\n"
    eventually(lambda: agent.members()["o1"].tags == {"role": "db"}, 10, "the tag to change")
    assert agent.run("force-leave", "nobody").returncode == 0
    assert agent.run("join", f"{agent.host}9").returncode == 1
    assert agent.run("members", "-status=(").returncode == 1
    assert agent.run("leave").stdout == "Graceful leave complete\n"
    assert agent.wait(20) == 0


@pytest.mark.serf
@pytest.mark.parametrize("words", [("members",), ("members", "-detailed"), ("members", "-name=x")])
def test_serfs_command_line_prints_the_same_of_our_agent(agent, words):
    ours, serfs = (agent.run(*words, client=client) for client in (OURS, SERF))
    assert (ours.returncode, ours.stdout) == (serfs.returncode, serfs.stdout)


@pytest.mark.serf
@pytest.mark.parametrize(
    "words",
    [
        ("event", "deploy"),
        ("event", "-coalesce=false", "deploy", "v2"),
        ("query", "-timeout=300ms", "load"),
        ("query", "-timeout=300ms", "-no-ack", "load", "payload"),
        ("query", "-timeout=300ms", "-format=json", "load"),
        ("query", "-timeout=300ms", "-node=elsewhere", "load"),
        ("query", "-timeout=300ms", "-tag=role=^w", "load"),
    ],
)
def test_events_and_queries_print_the_same_from_either_command_line(agent, words):
    ours, serfs = (agent.run(*words, client=client) for client in (OURS, SERF))
    assert (ours.returncode, ours.stdout) == (serfs.returncode, serfs.stdout)


@pytest.mark.serf
def test_reachability_is_the_same_from_either_command_line(agent):
    ours, serfs = (agent.run("reachability", client=client) for client in (OURS, SERF))
    assert (ours.returncode, ours.stdout) == (serfs.returncode, serfs.stdout)
    assert "Successfully contacted all live nodes" in ours.stdout


@pytest.mark.serf
@pytest.mark.parametrize(
    "words", [("keys", "-list"), *(("keys", f"-{what}=AAAAAAAAAAAAAAAAAAAAAA==") for what in KEY_CHANGES)]
)
def test_key_changes_fail_alike_where_nothing_is_encrypted(agent, words):
    ours, serfs = (agent.run(*words, client=client) for client in (OURS, SERF))
    assert ours.returncode == serfs.returncode == 1
    assert (ours.stdout + ours.stderr).split() == serfs.stdout.split()


def test_a_new_key_is_32_random_bytes():
    first, second = (
        subprocess.run([*OURS, "keygen"], capture_output=True, text=True, check=True).stdout for _ in "ab"
    )
    assert len(base64.b64decode(first)) == 32
    assert first != second


@pytest.mark.serf
@pytest.mark.parametrize("words", [("rtt", "o1"), ("rtt", "o1", "o2"), ("rtt", "o2"), ("rtt", "o1", "o1")])
def test_round_trips_print_the_same_from_either_command_line(agent, words):
    ours, serfs = (agent.run(*words, client=client) for client in (OURS, SERF))
    assert ours.returncode == serfs.returncode
    assert ours.stdout + ours.stderr == serfs.stdout


@pytest.mark.serf
@pytest.mark.parametrize(
    "words",
    [
        ("query", "-timeout=300ms", "-relay-factor=1", "load"),
        ("query", "-timeout=300ms", "-format=xml", "load"),
        ("join", "-replay", "127.0.0.1:1"),
        ("force-leave", "-prune", "nobody"),
        ("tags", "-set", "role=db", "-delete", "nothing"),
        ("info", "-format=json"),
    ],
)
def test_more_flags_print_the_same_from_either_command_line(agent, words):
    ours, serfs = (agent.run(*words, client=client) for client in (OURS, SERF))
    assert bool(ours.returncode) == bool(serfs.returncode)
    if ours.returncode:
        assert ours.stderr
    else:
        assert _without_counts(ours.stdout) == _without_counts(serfs.stdout)


@pytest.mark.serf
def test_reachability_flags_print_the_same_from_either_command_line(agent):
    ours, serfs = (agent.run("reachability", "-verbose", client=client) for client in (OURS, SERF))
    assert ours.returncode == serfs.returncode == 0
    assert "\tAck from 'o1'\n" in ours.stdout
    assert _without_counts(ours.stdout) == _without_counts(serfs.stdout)


def _without_counts(text: str) -> str:
    return re.sub(r"\d[\d.]*", "N", text)
