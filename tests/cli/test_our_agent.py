"""Our command line against our agent: the same words, whoever answers."""

import pytest

from tests.agents import OURS, SERF, agents, eventually


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
        ("query", "load"),
        ("rtt", "o1", "o2"),
        ("rtt", "o2"),
        ("reachability",),
        ("keys", "-list"),
        ("keys", "-install=AAAAAAAAAAAAAAAAAAAAAA=="),
        ("keys", "-use=AAAAAAAAAAAAAAAAAAAAAA=="),
        ("keys", "-remove=AAAAAAAAAAAAAAAAAAAAAA=="),
    ],
)
def test_serfs_command_line_says_what_our_agent_cannot_do(agent, words):
    done = agent.run(*words, client=SERF)
    assert done.returncode == 1
    assert "Unsupported command" in done.stdout
