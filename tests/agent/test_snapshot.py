"""The snapshot file of a running agent: on a real disk, one that is full, and one that is somebody else's."""

import errno
import os
import stat
from pathlib import Path

import pytest

from gossip.agent import snapshot as module
from gossip.agent import start_join
from gossip.agent.snapshot import MAX_SNAPSHOT_BYTES, MIN_REPLACED_BYTES, open_snapshot
from gossip.agent.snapshot_text import read_snapshot
from gossip.agent.transport import StartError
from gossip.errors import ConfigError, GossipError
from gossip.serf.saved_state import FIRST_START
from tests.agent.harness import eventually, join, running, statuses, where


@pytest.fixture
def path(tmp_path):
    return tmp_path / "agent.snap"


def settings(path: Path, **more: object) -> dict[str, object]:
    return {"snapshot_path": str(path), **more}


def said(path: Path) -> list[str]:
    return path.read_text().splitlines()


def begins(path: Path, text: bytes = b"alive: x 10.0.0.1:7946\n") -> Path:
    path.write_bytes(text)
    return path


# --- a life and the next ----------------------------------------------------------------------------------


async def test_members_and_clocks_are_written_while_the_agent_runs(path):
    async with running("a", "127.1.40.1", **settings(path)) as a, running("b", "127.1.40.2") as b:
        await join(b, a)
        b.driver.apply(lambda node, now: node.user_event("deploy", b"", coalesce=False, now=now))
        await eventually(lambda: f"alive: b {where(b)}" in said(path), "the other in the file")
        await eventually(lambda: "event-clock: 1" in said(path), "the event's time in the file")
        assert f"alive: a {where(a)}" in said(path)


async def test_an_agent_that_was_killed_finds_its_cluster_again_and_hears_what_it_missed(path):
    heard = []

    def note(effects, _now):
        heard.extend(effect.event.name for effect in effects if type(effect).__name__ == "UserEventReceived")

    async with running("b", "127.1.40.4") as b, running("c", "127.1.40.25") as c:
        await join(c, b)
        async with running("a", "127.1.40.3", **settings(path)) as a:
            port = where(a).port
            await join(a, b, c)
            a.driver.apply(lambda node, now: node.user_event("before", b"", coalesce=False, now=now))
            await eventually(lambda: b.driver.node.clocks[1] == 1, "the event at the other")
        clocks = read_snapshot(path.read_bytes(), rejoin=False).clocks
        b.driver.apply(lambda node, now: node.user_event("meanwhile", b"", coalesce=False, now=now))
        await eventually(lambda: c.driver.node.clocks[1] == b.driver.node.clocks[1], "the event at the third")
        # What is sent on is told to newcomers as well: here they must ask for it.
        await eventually(
            lambda: not b.driver.node.pending_broadcasts() + c.driver.node.pending_broadcasts(), "silence"
        )
        again = settings(path, bind=f"127.1.40.3:{port}", observers=[note])
        async with running("a", "127.1.40.3", **again) as a:
            assert a.driver.node.clocks >= clocks
            everybody = {"a": "alive", "b": "alive", "c": "alive"}
            await eventually(lambda: statuses(a) == everybody, "the cluster again")
            await eventually(lambda: "meanwhile" in heard, "the event that was missed")
    assert "before" not in heard


async def test_an_agent_that_left_stays_alone_unless_it_is_told_to_rejoin(path):
    async with running("b", "127.1.40.6") as b:
        async with running("a", "127.1.40.5", **settings(path)) as a:
            await join(a, b)
            await eventually(lambda: len(statuses(a)) == 2, "two members")
            await a.leave()
        assert "leave" in said(path)
        async with running("a", "127.1.40.5", **settings(path)) as a:
            assert a.driver.node.saved_state() == FIRST_START  # nobody is looked for
            assert set(statuses(a)) == {"a"}
        assert read_snapshot(path.read_bytes(), rejoin=False).alive[1:] == ()  # nobody whom it could ask
        async with running("a", "127.1.40.5", **settings(path, rejoin_after_leave=True)) as a:
            await eventually(lambda: len(statuses(a)) == 2, "the cluster again")


async def test_members_that_failed_are_asked_as_well(path):
    async with running("b", "127.1.40.8") as b:
        begins(path, b"alive: a 127.1.40.7:1\nnot-alive: b\n# failed: b " + str(where(b)).encode() + b"\n")
        async with running("a", "127.1.40.7", **settings(path)) as a:
            await eventually(lambda: len(statuses(a)) == 2, "the failed one to answer")


async def test_an_agent_that_no_member_of_its_last_life_answers_says_so_once(path, monkeypatch, caplog):
    monkeypatch.setattr(start_join, "REJOIN_PATIENCE", 0.1)
    begins(path, b"alive: a 127.1.40.17:1\nalive: b 127.1.40.18:1\n# failed: c 127.1.40.18:2\n")
    with caplog.at_level("INFO", "gossip.agent"):
        async with running("a", "127.1.40.17", **settings(path)):
            await eventually(lambda: "cannot rejoin the cluster: still asking" in caplog.text, "a line")
    said_of = [(r.getMessage(), r.members) for r in caplog.records if "rejoin" in r.getMessage()]
    assert said_of == [
        ("rejoining the cluster of the last run", 2),
        ("cannot rejoin the cluster: still asking", 2),
    ]


async def test_an_agent_without_an_earlier_life_says_nothing_of_rejoining(path, monkeypatch, caplog):
    monkeypatch.setattr(start_join, "REJOIN_PATIENCE", 0.0)
    with caplog.at_level("INFO", "gossip.agent"):
        async with running("a", "127.1.40.19", **settings(path)) as a:
            await eventually(lambda: path.exists() and f"alive: a {where(a)}" in said(path), "the file")
    assert "rejoin" not in caplog.text


async def test_members_of_the_last_life_are_asked_by_one_rule_alone(path):
    """The rounds of the core ask them; no join command runs beside."""
    asked = []

    def note(effects, _now):
        asked.extend(
            e for e in effects if type(e).__name__ in ("OpenPushPull", "ContactSeed", "ResolveSeeds")
        )

    begins(path, b"alive: b 127.1.40.21:1\n")
    async with running("a", "127.1.40.20", **settings(path, observers=[note])):
        await eventually(lambda: len(asked) >= 2, "two rounds")
    assert {(type(e).__name__, e.node, e.join) for e in asked} == {("OpenPushPull", "b", True)}


async def test_what_a_failed_or_gone_member_leaves_in_the_file(path):
    async with running("a", "127.1.40.9", **settings(path)) as a:
        async with running("b", "127.1.40.10") as b:
            await join(b, a)
            gone = where(b)
        await eventually(lambda: f"# failed: b {gone}" in said(path), "the failure in the file")
        assert "not-alive: b" in said(path)
        a.driver.apply(lambda node, now: node.force_leave("b", prune=True, now=now))
        await eventually(lambda: said(path)[-2:] != [] and said(path).count("not-alive: b") == 2, "the end")
    snapshot = read_snapshot(path.read_bytes(), rejoin=False)
    assert [peer.name for peer in snapshot.alive + snapshot.failed] == ["a"]


async def test_half_a_line_is_cut_off_before_the_next_is_written(path):
    begins(path, b"alive: x 10.0.0.1:7946\nclock: 7\nevent-cl")
    async with running("a", "127.1.40.11", **settings(path)) as a:
        assert a.driver.node.clocks == (7, 0, 0)
        await eventually(lambda: f"alive: a {where(a)}" in said(path), "the agent itself in the file")
    assert not [line for line in said(path) if line.startswith("event-cl")]


# --- replacing --------------------------------------------------------------------------------------------


async def test_a_file_that_has_grown_is_replaced_and_says_the_same(path):
    line = b"alive: x 127.1.40.99:7946\n"
    begins(path, line + b"clock: 7\n" + b"alive: gone 10.0.0.2:7946\nnot-alive: gone\n" * 4000)
    path.chmod(0o640)
    before = path.stat()
    assert before.st_size > MIN_REPLACED_BYTES
    async with running("a", "127.1.40.12", **settings(path)) as a:
        await eventually(lambda: path.stat().st_size < 200, "a short file")
        # Nobody has heard of that member yet, and it is still asked.
        assert set(said(path)) >= {line.decode().rstrip(), f"alive: a {where(a)}", "clock: 7"}
        assert path.stat().st_ino != before.st_ino
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        with pytest.raises(StartError, match="another agent"):
            open_snapshot(path, "b", rejoin=False)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


async def test_a_member_that_left_meanwhile_is_not_in_a_replaced_file(path, monkeypatch):
    monkeypatch.setattr(module, "MIN_REPLACED_BYTES", 0)
    monkeypatch.setattr(module, "BYTES_PER_MEMBER", 0)
    async with running("b", "127.1.40.22") as b:
        async with running("x", "127.1.40.23") as x:
            await join(x, b)
            begins(path, f"alive: b {where(b)}\nalive: x {where(x)}\n".encode())
            await x.leave()
        await eventually(lambda: statuses(b)["x"] == "left", "the leave at the other")
        async with running("a", "127.1.40.24", **settings(path)) as a:
            await eventually(lambda: len(statuses(a)) == 2, "the cluster again")
            await eventually(lambda: not a.driver.node.saved_state().failed, "the leave at the agent")
            a.driver.apply(lambda node, now: node.user_event("deploy", b"", coalesce=False, now=now))
            await eventually(lambda: "event-clock: 1" in said(path), "a file of now")
            assert f"alive: b {where(b)}" in said(path)
            assert not [line for line in said(path) if line.startswith("alive: x")]


async def test_a_file_that_was_removed_is_written_anew(path, monkeypatch):
    monkeypatch.setattr(module, "REWRITE_INTERVAL", 0.1)
    async with running("a", "127.1.40.13", **settings(path)) as a, running("b", "127.1.40.14") as b:
        await eventually(lambda: path.exists() and said(path), "a file")
        path.unlink()
        await join(b, a)
        await eventually(lambda: path.exists() and f"alive: b {where(b)}" in said(path), "the file again")
        assert f"alive: a {where(a)}" in said(path)


async def test_a_full_disk_is_said_once_and_the_agent_goes_on(path, monkeypatch, caplog):
    monkeypatch.setattr(module, "REWRITE_INTERVAL", 0.1)
    real, full, tries = os.write, [], []

    def write(fd, data):
        if full and data[:5] in (b"alive", b"clock", b"not-a"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data)

    def no_room(*_args, **_kwargs):
        tries.append(True)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patches:
        patches.setattr(module.os, "write", write)
        patches.setattr(module, "replace_file", no_room)
        async with running("a", "127.1.40.15", **settings(path)) as a, running("b", "127.1.40.16") as b:
            await eventually(lambda: path.exists() and said(path), "a file")
            full.append(True)
            await join(b, a)
            await eventually(lambda: "cannot write the snapshot" in caplog.text, "a line in the log")
            await eventually(lambda: len(tries) >= 3, "three attempts to replace the file")
            assert caplog.text.count("cannot write the snapshot") == 1
            assert statuses(a) == {"a": "alive", "b": "alive"}
            full.clear()
            patches.undo()
            monkeypatch.setattr(module, "REWRITE_INTERVAL", 0.1)
            await eventually(lambda: f"alive: b {where(b)}" in said(path), "the file whole again")
            await eventually(lambda: "snapshot written again" in caplog.text, "a line in the log")


# --- refusals at the start --------------------------------------------------------------------------------


def refusal(path: Path, kind: type[GossipError] = ConfigError) -> str:
    """Return why a snapshot is refused: a person's mistake, unless it is said to be another `kind`."""
    with pytest.raises(kind) as caught:
        open_snapshot(path, "a", rejoin=False)
    text = str(caught.value)
    assert text.startswith(f"cannot use snapshot {path}: ")
    assert "\n" not in text
    return text


def test_a_file_that_is_something_else_is_refused_and_stays_as_it_is(path):
    begins(path, b"root:x:0:0\n")
    assert "not a snapshot of Serf or gossip, it begins with 'root:x:0:0'" in refusal(path)
    assert path.read_bytes() == b"root:x:0:0\n"


def test_a_link_is_not_followed(path, tmp_path):
    begins(tmp_path / "target")
    path.symlink_to(tmp_path / "target")
    assert "symbolic link" in refusal(path)


def test_a_directory_and_a_pipe_are_refused(path, tmp_path):
    assert "is a directory" in refusal(tmp_path)
    os.mkfifo(path)
    assert "not a regular file" in refusal(path)


def test_a_directory_that_does_not_exist_is_named(tmp_path):
    assert "no such file or directory" in refusal(tmp_path / "missing" / "agent.snap")


def test_a_file_at_the_limit_is_read_and_one_byte_more_refused(path):
    line = b"alive: x 10.0.0.1:7946\n"
    comment = b"#" * (MAX_SNAPSHOT_BYTES - len(line) - 1) + b"\n"
    begins(path, line + comment)
    open_snapshot(path, "a", rejoin=False).close()
    with path.open("ab") as file:
        file.write(b"\n")
    assert f"{MAX_SNAPSHOT_BYTES + 1} bytes are more than" in refusal(path, StartError)


def test_a_full_disk_is_said_at_the_start(path, monkeypatch):
    def no_room(_fd, _data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.os, "write", no_room)
    assert refusal(begins(path), StartError).endswith("no space left on device")


def test_a_directory_without_permission_is_said_at_the_start(path, monkeypatch):
    begins(path)
    monkeypatch.setattr(module.os, "access", lambda *_args: False)
    assert refusal(path).endswith("the directory cannot be written")


def test_two_agents_do_not_share_a_file(path):
    first = open_snapshot(path, "a", rejoin=False)
    assert "another agent writes to it" in refusal(path, StartError)
    first.close()
    open_snapshot(path, "a", rejoin=False).close()
    assert stat.S_IMODE(path.stat().st_mode) & 0o777 == 0o644 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_lines_that_are_no_records_are_counted_in_the_log(path, caplog):
    open_snapshot(begins(path, b"alive: x 10.0.0.1:7946\n?\n!\n"), "a", rejoin=False).close()
    assert "invalid lines" in caplog.text
