"""The Python client `serfclient` as it is, against our agent and, call for call, against a real Serf agent.

No other client could be tested. Tried against Serf 0.9.4 itself: `serf-python` is Python 2, `aioserf` and
`asyncserf` need an anyio that is gone, `trio-serf` fails on today's Trio, `serf-client2` cannot be installed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from serfclient.client import SerfClient
from serfclient.connection import SerfConnectionError

from tests.agents import OURS, SERF, Agent, eventually

PATIENCE = 20.0
SERFS_SECTIONS = ("agent", "event_handlers", "runtime", "serf", "tags")
Call = Callable[[SerfClient], Any]


@pytest.fixture
def client() -> Iterator[Callable[..., SerfClient]]:
    """Hand out clients, and close them at the end."""
    opened: list[SerfClient] = []

    def connect(agent: Agent, **options: Any) -> SerfClient:
        opened.append(SerfClient(agent.host, 7373, timeout=10, **options))
        return opened[-1]

    yield connect
    for each in opened:
        each.close()


def test_members_come_with_all_their_fields(cluster, client):
    ours = cluster.start(OURS, "c1", "-tag=role=web")
    (member,) = client(ours).members().body["Members"]
    assert member["Name"] == "c1"
    assert member["Status"] == "alive"
    assert member["Tags"] == {"role": "web"}
    assert member["Addr"][-4:] == bytes(map(int, ours.host.split(".")))


@pytest.mark.serf
@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.members(),
        lambda c: c.members(name="c.*"),
        lambda c: c.members(name="nobody"),
        lambda c: c.members(status="alive", tags={"role": "w.b"}),
        lambda c: c.members(tags={"role": "db"}),
        lambda c: c.event("deploy"),
        lambda c: c.event("deploy", "v2", coalesce=False),
        lambda c: c.event("x" * 600),
        lambda c: c.force_leave("nobody"),
        lambda c: c.join("127.0.0.1:1"),
        lambda c: c.join(["127.0.0.1:1", "127.0.0.1:2"]),
        lambda c: c.stats(),
    ],
    ids=lambda _: "",
)
def test_every_command_answers_what_serf_answers(cluster, client, call: Call):
    """The same agents but for their address: everything else that the client gets is equal."""
    answers = [_calm(call(client(cluster.start(program, "c1", "-tag=role=web")))) for program in (OURS, SERF)]
    assert answers[0] == answers[1]


def _calm(result: Any) -> tuple[Any, Any]:
    """Return an answer without what differs between two programs: addresses, the machine, our own section."""
    body = result.body
    if isinstance(body, dict) and "runtime" in body:
        body = {section: sorted(body[section]) for section in SERFS_SECTIONS}
    text = re.sub(r"b'[^']*'", "ADDR", repr(body))
    return result.head, text


@pytest.mark.parametrize("program", [OURS, pytest.param(SERF, marks=pytest.mark.serf)])
def test_a_join_counts_who_answered(cluster, client, program):
    first, second = (cluster.start(program, name) for name in ("c1", "c2"))
    assert client(first).join([second.host]).body == {"Num": 1}
    eventually(lambda: len(first.members()) == 2, PATIENCE, "both members")


@pytest.mark.parametrize("program", [OURS, pytest.param(SERF, marks=pytest.mark.serf)])
def test_a_stream_brings_user_events_and_members(cluster, client, program):
    first = cluster.start(program, "c1")
    second = cluster.start(program, "c2", f"-join={first.host}")
    eventually(lambda: len(first.members()) == 2, PATIENCE, "both members")
    events: Iterator[Any] = client(first).stream(["member-leave", "user:deploy"]).body
    client(second).event("ignored", "x")
    client(second).event("deploy", "v2", coalesce=False)
    told = next(events).body
    assert (told["Event"], told["Name"], told["Payload"]) == ("user", "deploy", b"v2")
    assert told["Coalesce"] is False
    assert second.run("leave").returncode == 0
    gone = next(events).body
    assert (gone["Event"], gone["Members"][0]["Name"]) == ("member-leave", "c2")
    assert gone["Members"][0]["Status"] == "left"


@pytest.mark.parametrize("program", [OURS, pytest.param(SERF, marks=pytest.mark.serf)])
def test_a_stream_of_several_filters_is_refused_if_one_is_wrong(cluster, client, program):
    result = client(cluster.start(program, "c1")).stream(["member-join", "nonsense"])
    assert result.head["Error"] == "Invalid event filter"


@pytest.mark.parametrize("program", [OURS, pytest.param(SERF, marks=pytest.mark.serf)])
def test_a_token_is_asked_for_and_taken(cluster, client, tmp_path, program):
    if program == OURS:
        agent = cluster.start(OURS, "c1", "-rpc-auth=sekrit", reply=_answers)
    else:
        config = tmp_path / "auth.json"
        config.write_text('{"rpc_auth": "sekrit"}')
        agent = cluster.start(SERF, "c1", f"-config-file={config}", reply=_answers)
    assert client(agent, rpc_auth="sekrit").members().head["Error"] == ""
    assert client(agent).event("deploy").head["Error"] == "Authentication required"
    wrong = client(agent, rpc_auth="wrong")
    assert wrong.event("deploy").head["Error"] == "Authentication required"


def _answers(agent: Agent) -> bool:
    try:
        SerfClient(agent.host, 7373, timeout=10).close()
    except SerfConnectionError:
        return False
    return True
