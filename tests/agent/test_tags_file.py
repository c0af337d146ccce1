"""The tags file: Serf's format, kept up to date, and never half-written."""

import json
import stat

import pytest

from gossip.agent.config_sources import load_config
from gossip.agent.tags_file import read_tags_file, write_tags_file
from gossip.errors import ConfigError
from tests.agent.harness import ipc, running
from tests.agent.test_real_serf import serf, serf_agent


def load(**flags):
    return load_config({"node_name": "a"} | flags, [], {})


def test_the_file_is_written_as_serf_writes_it_and_only_its_owner_may_read_it(tmp_path):
    path = tmp_path / "tags.json"
    write_tags_file(path, {"b": "2", "a": "é"})
    assert path.read_text() == '{\n  "a": "é",\n  "b": "2"\n}'
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_tags_file(path) == {"a": "é", "b": "2"}
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_not_there_yet_has_no_tags(tmp_path):
    assert load(tags_file=str(tmp_path / "none")).tags == {}


def test_the_tags_of_an_agent_are_those_in_the_file(tmp_path):
    path = tmp_path / "tags.json"
    path.write_text('{"role": "web"}')
    assert load(tags_file=str(path)).tags == {"role": "web"}


@pytest.mark.parametrize("flags", [{"tags": ["a=1"]}, {"role": "a"}])
def test_a_tags_file_excludes_other_tags(tmp_path, flags):
    name = "a" if "tags" in flags else "role"
    with pytest.raises(ConfigError) as caught:
        load(tags_file=str(tmp_path / "tags.json"), **flags)
    assert str(caught.value) == f"tags_file is given, and so are tags ({name}): put them into the file"


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', '{"a":', "[" * 100_000])
def test_a_file_that_is_no_object_of_texts_is_refused(tmp_path, text):
    path = tmp_path / "tags.json"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(tags_file=str(path))
    assert str(caught.value) == f"cannot use tags_file {path}: expected a JSON object of texts"


def test_tags_in_the_file_that_are_too_long_are_refused(tmp_path):
    path = tmp_path / "tags.json"
    path.write_text(json.dumps({"k": "v" * 600}))
    with pytest.raises(ConfigError, match="exceeds limit of 512 bytes"):
        load(tags_file=str(path))


async def test_changed_tags_are_written_to_the_file(tmp_path):
    path = tmp_path / "tags.json"
    async with running("a", "127.1.77.1", tags={"a": "1"}, tags_file=str(path)) as a, ipc(a) as client:
        assert await client.ask("tags", 2, {"Tags": {"b": "2"}, "DeleteTags": ["a"]}) == ""
        assert read_tags_file(path) == a.driver.node.tags == {"b": "2"}


async def test_tags_that_are_too_long_change_neither_the_file_nor_the_agent(tmp_path):
    path = tmp_path / "tags.json"
    write_tags_file(path, {"a": "1"})
    async with running("a", "127.1.77.2", tags={"a": "1"}, tags_file=str(path)) as a, ipc(a) as client:
        assert "exceeds limit of 512" in await client.ask("tags", 2, {"Tags": {"k": "v" * 600}})
        assert read_tags_file(path) == a.driver.node.tags == {"a": "1"}


async def test_tags_that_cannot_be_kept_are_not_announced(tmp_path):
    path = tmp_path / "none" / "tags.json"
    async with running("a", "127.1.77.3", tags={"a": "1"}, tags_file=str(path)) as a, ipc(a) as client:
        error = await client.ask("tags", 2, {"Tags": {"b": "2"}})
        assert error == f"tags not changed: cannot write tags_file {path}: no such file or directory"
        assert a.driver.node.tags == {"a": "1"}


@pytest.mark.serf
async def test_a_real_serf_and_ours_read_each_others_files(tmp_path):
    path = tmp_path / "tags.json"
    async with running("a", "127.1.77.4", tags_file=str(path)) as a:
        assert (await serf(a.rpc_address, "tags", "-set", "x=1", "-set", "y=ä<b>"))[0] == 0
    async with serf_agent("s", "127.1.77.5", f"-tags-file={path}") as (_, rpc):
        _, out = await serf(rpc, "members", "-format=json")
        assert json.loads(out)["members"][0]["tags"] == {"x": "1", "y": "ä<b>"}
        assert (await serf(rpc, "tags", "-set", "z=&2", "-delete", "x"))[0] == 0
    assert load(tags_file=str(path)).tags == {"y": "ä<b>", "z": "&2"}
