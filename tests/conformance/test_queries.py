"""Events, queries, keys and names in a cluster of real Serf agents and ours, asked from either side."""

import base64
import json
import re

import pytest

from tests.agents import OURS, SERF, agents, eventually

pytestmark = pytest.mark.serf

AES_128, AES_256 = (base64.b64encode(bytes(range(size))).decode() for size in (16, 32))
NEXT_KEY = base64.b64encode(bytes(32)).decode()
SETTINGS = {
    "plain": [],
    "uncompressed": ["-disable-compression"],
    "AES-128": [f"-encrypt={AES_128}"],
    "AES-256": [f"-encrypt={AES_256}"],
}
ANSWER = "-event-handler=query:load=printf 'load of %s' $SERF_SELF_NAME; cat"


@pytest.fixture
def start(tmp_path):
    """Start two agents of ours and two of Serf's, joined; they hear of events in files."""

    def cluster(*options):
        members = {}
        for name, program in (("o1", OURS), ("s1", SERF), ("o2", OURS), ("s2", SERF)):
            heard = f"-event-handler=user:deploy=cat >> {tmp_path / name}.heard"
            seeds = [f"-join={members['o1'].host}"] if members else []
            tags = [f"-tag=kind={name[0]}"]
            members[name] = started.start(program, name, *options, *tags, ANSWER, heard, *seeds)
        for agent in members.values():
            eventually(
                lambda a=agent: set(a.statuses().values()) == {"alive"}, 20, f"{agent.name} to be joined"
            )
            eventually(lambda a=agent: len(a.statuses()) == 4, 20, f"{agent.name} to know all")
        return members

    with agents(tmp_path) as started:
        yield cluster


def ask(agent, *words, of):
    """Ask until everybody in `of` was heard, three times at most: gossip now and then misses a member."""
    for _ in range(3):
        done = agent.run("query", "-format=json", "-timeout=1500ms", *words)
        assert done.returncode == 0, done.stdout + done.stderr
        answered = json.loads(done.stdout)
        if set(answered["Acks"] or ()) == of == set(answered["Responses"]):
            return answered["Responses"]
    raise AssertionError(f"{agent.name} asked {words} of {of} and heard {answered}")


def rotate(agent, change):
    """Change the key, again for members whom gossip missed; doing it twice changes no more."""
    eventually(lambda: agent.run("keys", change).returncode == 0, 30, f"{change} on all members")


@pytest.mark.parametrize(
    "setting",
    [pytest.param(s, marks=() if s == "AES-256" else pytest.mark.soak) for s in SETTINGS],
)
def test_events_and_queries_from_either_side_reach_all_and_are_answered_by_all(start, setting, tmp_path):
    members = start(*SETTINGS[setting])
    everybody = {"o1", "o2", "s1", "s2"}
    for asking in ("o1", "s1"):
        answered = ask(members[asking], "load", f"from {asking}", of=everybody)
        assert answered == {name: f"load of {name}from {asking}\n" for name in everybody}
        ask(members[asking], "-tag=kind=^s$", "-node=s2", "-node=o2", "load", of={"s2"})
        ask(members[asking], "-relay-factor=2", "load", of=everybody)
        eventually(lambda a=asking: members[a].run("reachability").returncode == 0, 30, "all to be reached")
        assert members[asking].run("event", "-coalesce=false", "deploy", asking).returncode == 0
    for name in everybody:
        heard = tmp_path / f"{name}.heard"
        eventually(
            lambda h=heard: h.exists() and sorted(h.read_text().split()) == ["o1", "s1"],
            20,
            f"{name} to hear of both events",
        )


@pytest.mark.parametrize("by", ["o1", "s1"])
def test_a_key_rotation_from_either_side_changes_the_key_of_all(start, by):
    members = start(f"-encrypt={AES_128}")
    for client in (OURS, SERF):  # each command line asks the same agent
        listed = members[by].run("keys", "-list", client=client)
        assert re.search(rf"^{re.escape(AES_128)}\s+\[4/4\]$", listed.stdout, re.MULTILINE), listed.stdout
    for change in (f"-install={NEXT_KEY}", f"-use={NEXT_KEY}", f"-remove={AES_128}"):
        rotate(members[by], change)
    listed = members[by].run("keys", "-list")
    assert re.search(rf"^{re.escape(NEXT_KEY)}\s+\[4/4\]$", listed.stdout, re.MULTILINE), listed.stdout
    assert AES_128 not in listed.stdout
    ask(members["o2"], "load", of={"o1", "o2", "s1", "s2"})
    for agent in members.values():
        assert set(agent.statuses().values()) == {"alive"}


def test_the_newcomer_of_two_agents_with_one_name_stops_and_the_other_stays(start, tmp_path):
    members = start()
    with agents(tmp_path / "..") as others:
        others._block, others.all = members["o1"].host.rpartition(".")[0], [None] * 10
        second = others.start(OURS, "s1", f"-retry-join={members['o1'].host}")
        others.all = [second]
        assert second.wait(30) == 1
        assert "name conflict lost" in second.log.read_text()
    assert members["o2"].members()["s1"].address == f"{members['s1'].host}:7946"
    assert members["o1"].statuses()["s1"] == "alive"


def test_a_key_file_of_serfs_is_read_and_rotated(start, tmp_path):
    files = {name: tmp_path / f"{name}.keyring" for name in ("o", "s")}
    for path in files.values():
        path.write_text(json.dumps([AES_256, AES_128]))
    with agents(tmp_path) as started:
        ours = started.start(OURS, "o", f"-keyring-file={files['o']}")
        theirs = started.start(SERF, "s", f"-keyring-file={files['s']}", f"-join={ours.host}")
        eventually(lambda: len(ours.statuses()) == 2, 20, "the join")
        for change in (f"-install={NEXT_KEY}", f"-use={NEXT_KEY}", f"-remove={AES_128}"):
            rotate(theirs, change)
    kept = [json.loads(path.read_text()) for path in files.values()]
    assert kept[0][0] == kept[1][0] == NEXT_KEY
    assert set(kept[0]) == set(kept[1]) == {NEXT_KEY, AES_256}
