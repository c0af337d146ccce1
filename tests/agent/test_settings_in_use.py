"""Settings that came with Serf's files reach what they are for."""

import json

import pytest
import trio

from gossip.errors import LocalProtocolError
from gossip.wire.messages import PROTOCOL_VERSIONS
from tests.agent.harness import PATIENCE, eventually, running, statuses, where
from tests.agent.test_real_serf import serf, serf_agent


async def test_the_limits_of_events_and_queries_are_the_cores():
    limits = {"user_event_size_limit": 30, "query_size_limit": 40, "query_response_size_limit": 50}
    async with running("a", "127.1.78.1", **limits) as a:
        config = a.driver.node.config
        assert {key: getattr(config, key) for key in limits} == limits
        with pytest.raises(LocalProtocolError, match="30 bytes"):
            a.driver.apply(lambda node, now: node.user_event("deploy", bytes(30), coalesce=False, now=now))


@pytest.mark.parametrize("version", [3, 4, 5])
async def test_the_protocol_version_chosen_is_announced(version):
    async with running("a", "127.1.78.2", protocol=version) as a:
        (me,) = a.driver.node.members()
        assert me.alive.versions == bytes((*PROTOCOL_VERSIONS[:-1], version))


@pytest.mark.serf
async def test_a_real_serf_shows_the_protocol_version_that_we_chose():
    async with (
        running("ours", "127.1.78.3", protocol=4) as ours,
        serf_agent("s", "127.1.78.4", f"-retry-join={where(ours)}") as (_, rpc),
    ):
        await eventually(lambda: len(statuses(ours)) == 2, "two members")
        versions = {}
        with trio.fail_after(PATIENCE):
            while "ours" not in versions:
                _, out = await serf(rpc, "members", "-detailed", "-format=json")
                versions = {row["name"]: row["protocol"]["version"] for row in json.loads(out)["members"]}
                await trio.sleep(0.05)
        assert versions == {"ours": 4, "s": 5}


async def test_no_vote_is_held_on_a_name_when_it_is_switched_off():
    async with running("a", "127.1.78.5", disable_name_resolution=True) as a:
        assert not any("NameConflictVote" in str(observer) for observer in a.driver.observers)
    async with running("a", "127.1.78.5") as a:
        assert any("NameConflictVote" in str(observer) for observer in a.driver.observers)
