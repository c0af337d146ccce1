"""Our command line and Serf's, side by side against the same real Serf agents.

Serf's order of members and tags changes from call to call, so agents here have one tag each and lines are
compared as sets where there are several.
"""

import json
import re
import signal
import subprocess
from contextlib import contextmanager

import pytest

from tests.agents import OURS, SERF, eventually

pytestmark = pytest.mark.serf

PATIENCE = 30.0


@pytest.fixture
def pair(cluster):
    """Two members of one cluster."""
    first = cluster.start(SERF, "a1", "-tag=role=web")
    second = cluster.start(SERF, "longer-name", "-tag=role=db", f"-join={first.host}")
    eventually(lambda: len(first.members()) == 2, PATIENCE, "two members")
    return first, second


def both(agent, *words):
    """Run the same command through both command lines."""
    return agent.run(*words, client=OURS), agent.run(*words, client=SERF)


@pytest.mark.parametrize(
    "words",
    [
        ("members",),
        ("members", "-detailed"),
        ("members", "-status=alive"),
        ("members", "-status", "failed"),
        ("members", "-name=a.*"),
        ("members", "-tag", "role=d."),
        ("members", "-tag=role=web", "-tag=none=.*"),
        ("members", "-detailed=true", "-name", "longer.*"),
    ],
)
def test_members_prints_what_serf_prints(pair, words):
    ours, serfs = both(pair[0], *words)
    assert (ours.returncode, ours.stderr) == (serfs.returncode, serfs.stderr) == (0, "")
    assert sorted(ours.stdout.splitlines(keepends=True)) == sorted(serfs.stdout.splitlines(keepends=True))


def test_members_as_json_is_serfs_text_plus_the_host(pair):
    ours, serfs = both(pair[0], "members", "-format=json", "-name=a1")
    assert ours.returncode == serfs.returncode == 0
    assert re.sub(r',\n +"host": "[^"]*"', "", ours.stdout) == serfs.stdout
    assert json.loads(ours.stdout)["members"][0]["host"] == pair[0].host


def test_no_members_as_json_is_null_for_both(pair):
    ours, serfs = both(pair[0], "members", "-format=json", "-name=nobody")
    assert ours.stdout == serfs.stdout == '{\n  "members": null\n}\n'


def test_a_broken_expression_fails_for_both(pair):
    ours, serfs = both(pair[0], "members", "-name=(")
    assert ours.returncode == serfs.returncode == 1
    assert "a regular expression is invalid" in ours.stderr


@pytest.mark.parametrize("form", ["-format=text", "-format=json"])
def test_info_prints_what_serf_prints(pair, form):
    def calm(text):
        return re.sub(r"(goroutines|_queue|_time)(\W+)\d+", r"\1\2N", text)

    ours, serfs = both(pair[0], "info", form)
    assert (ours.returncode, ours.stderr) == (0, "")
    assert calm(ours.stdout) == calm(serfs.stdout)


def test_join_succeeds_and_fails_as_serfs(cluster):
    agent, other = (cluster.start(SERF, name) for name in ("a1", "a2"))
    ours, serfs = both(agent, "join", other.host)
    assert ours.returncode == serfs.returncode == 0
    assert ours.stdout == serfs.stdout == "Successfully joined cluster by contacting 1 nodes.\n"
    nowhere = other.host.rpartition(".")[0] + ".99"
    ours, serfs = both(agent, "join", nowhere)
    assert ours.returncode == serfs.returncode == 1
    assert ours.stdout == ""
    assert ours.stderr.split() == serfs.stdout.split()
    assert len(ours.stderr.splitlines()) == 1


def test_tags_of_a_serf_agent_are_changed(pair):
    first, second = pair
    ours = first.run("tags", "-set", "a=b=c", "-set=e=", "-delete=role", client=OURS)
    assert (ours.returncode, ours.stdout, ours.stderr) == (0, "Successfully updated agent tags\n", "")
    eventually(lambda: second.members()["a1"].tags == {"a": "b=c", "e": ""}, PATIENCE, "the tags to spread")
    assert first.run("tags", "-set", "a=b", client=SERF).stdout == ours.stdout


def test_force_leave_of_a_failed_member_is_silent_and_works(pair):
    first, second = pair
    second.process.kill()
    eventually(lambda: first.statuses()["longer-name"] == "failed", PATIENCE, "the failure to be noticed")
    ours = first.run("force-leave", "longer-name", client=OURS)
    assert (ours.returncode, ours.stdout, ours.stderr) == (0, "", "")
    eventually(lambda: first.statuses()["longer-name"] == "left", PATIENCE, "the member to have left")
    assert first.run("force-leave", "-prune", "longer-name", client=OURS).returncode == 0
    eventually(lambda: set(first.statuses()) == {"a1"}, PATIENCE, "the member to be erased")
    ours, serfs = both(first, "force-leave", "nobody")
    assert (ours.returncode, ours.stdout) == (serfs.returncode, serfs.stdout) == (0, "")


def test_leave_lets_a_serf_agent_go(pair):
    first, second = pair
    ours = second.run("leave", client=OURS)
    assert (ours.returncode, ours.stdout, ours.stderr) == (0, "Graceful leave complete\n", "")
    assert second.wait(PATIENCE) == 0
    assert first.statuses()["longer-name"] == "left"


def test_an_agent_with_a_token_is_served_with_it_and_refuses_without(cluster, tmp_path):
    config = tmp_path / "auth.json"
    config.write_text('{"rpc_auth": "sekrit"}')
    host = cluster._block + ".9"
    command = [
        "serf",
        "agent",
        "-node=d1",
        f"-bind={host}",
        f"-rpc-addr={host}:7373",
        f"-config-file={config}",
    ]

    def ask(*words):
        command = [*OURS, "members", f"-rpc-addr={host}:7373", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)

    with (
        (tmp_path / "d1.log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,
    ):
        try:
            eventually(lambda: ask("-rpc-auth=sekrit").returncode == 0, PATIENCE, "the agent to answer")
            assert ask("-rpc-auth=sekrit").stdout.startswith("d1  ")
            assert ask().stderr == "Error retrieving members: Authentication required\n"
            wrong = f"Error connecting to Serf agent at {host}:7373: Invalid authentication token\n"
            assert ask("-rpc-auth=x").stderr == wrong
        finally:
            process.kill()


@contextmanager
def monitoring(agent, client, log):
    """Run `monitor` of `client` with its output in `log`; yields the process."""
    with log.open("wb") as out:
        command = [*client, "monitor", f"-rpc-addr={agent.rpc}", "-log-level=debug"]
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE)


def events(text):
    """Return the blocks of event fields in the output of a monitor, each as a set of lines."""
    return [set(block.split("\n\t")[1:]) for block in re.findall(r"Event Info:(?:\n\t[^\n]*)+", text)]


def same_events(ours, serfs):
    """Tell whether the later of the two monitors, ours, shows the last events of the other."""
    count = len(events(ours))
    return events(ours) == events(serfs)[-count:]


def test_a_monitor_prints_lines_and_events_as_serf_does(pair, tmp_path):
    first, second = pair
    ours, serfs = tmp_path / "ours", tmp_path / "serfs"
    with monitoring(first, OURS, ours) as process, monitoring(first, SERF, serfs):
        for log in (ours, serfs):
            eventually(
                lambda log=log: "agent: Serf agent starting" in log.read_text(), PATIENCE, "the first lines"
            )
        eventually(lambda: first.run("info", client=SERF).returncode == 0, PATIENCE, "both to be subscribed")
        subprocess.run(
            ["serf", "event", f"-rpc-addr={first.rpc}", "-coalesce=false", "deploy", 'pay"load\t'],
            check=True,
            timeout=30,
        )
        assert second.run("tags", "-set=role=x", client=SERF).returncode == 0
        eventually(lambda: len(events(ours.read_text())) >= 2, PATIENCE, "both events")
        eventually(lambda: same_events(ours.read_text(), serfs.read_text()), PATIENCE, "the same events")
        for line in ours.read_text().splitlines()[:3]:
            assert line in serfs.read_text()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0


def test_a_monitor_of_an_unknown_level_fails_with_serfs_words(pair):
    ours, serfs = both(pair[0], "monitor", "-log-level=loud")
    assert ours.returncode == serfs.returncode == 1
    assert ours.stderr == serfs.stdout == "Error starting monitor: Unknown log level: LOUD\n"


def test_a_monitor_says_when_the_agent_has_gone(pair, tmp_path):
    first, _ = pair
    log = tmp_path / "ours"
    with monitoring(first, OURS, log) as process:
        eventually(lambda: bool(log.read_text()), PATIENCE, "the first lines")
        first.process.kill()
        assert process.wait(PATIENCE) == 1
    assert re.search(r"Error monitoring: (agent at|lost the agent at) \S+", log.read_text().splitlines()[-1])
