"""`gossip rtt` against an agent that follows a script, with coordinates recorded from a real one."""

import json
from pathlib import Path

import pytest

from gossip.cli.main import run
from gossip.ipc.bodies import Stats
from gossip.ipc.coordinate_bodies import FoundCoordinate
from gossip.ipc.protocol import encode_response
from tests.ipc.scripted_agent import handshaking, scripted_agent

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "rpc_cli.json").read_text())
NAME = "cli handshake+get-coordinate+get-coordinate #1"


def recorded():
    """Return the coordinates of n1 and n2 as a real agent gave them to a real command line."""
    (vector,) = [vector for vector in VECTORS if vector["name"] == NAME]
    return [FoundCoordinate.from_fields(body) for body in vector["decoded"]["agent"] if "Ok" in body]


@pytest.fixture
def agent(monkeypatch):
    """An agent called n1 that knows n1 and n2; `known` may be changed."""
    known = dict(zip(("n1", "n2"), recorded(), strict=True))

    def answer(request):
        if request.command == "stats":
            return encode_response(request, body=Stats({"agent": {"name": "n1"}}))
        found = known.get(request.body.node, FoundCoordinate(is_known=False))
        return encode_response(request, body=found)

    with scripted_agent(handshaking(answer)) as address:
        monkeypatch.setenv("SERF_RPC_ADDR", address)
        yield known


def test_the_estimate_of_recorded_coordinates_is_what_serf_printed(agent, capsys):
    assert run(["rtt", "n1", "n2"]) == 0
    assert capsys.readouterr().out == "Estimated n1 <-> n2 rtt: 0.579 ms\n"


def test_one_name_is_compared_with_the_agent_itself(agent, capsys):
    assert run(["rtt", "n2"]) == 0
    assert capsys.readouterr().out == "Estimated n2 <-> n1 rtt: 0.579 ms\n"


@pytest.mark.parametrize(("words", "missing"), [(("n1", "x"), '"x"'), (('"\x1b', "n1"), r'"\"\x1b"')])
def test_a_member_without_a_coordinate_is_named(agent, capsys, words, missing):
    assert run(["rtt", *words]) == 1
    assert capsys.readouterr() == ("", f"Could not find a coordinate for node {missing}\n")


@pytest.mark.parametrize("vec", [(), (float("nan"),) * 8, (0.0,) * 7])
def test_coordinates_that_cannot_be_compared_are_an_error(agent, capsys, vec):
    agent["n2"] = FoundCoordinate(True, vec, 1.0, 0.0, 1e-5)
    assert run(["rtt", "n1", "n2"]) == 1
    assert "do not fit together" in capsys.readouterr().err


def test_one_or_two_names_are_wanted(capsys):
    assert run(["rtt"]) == 2
    assert run(["rtt", "a", "b", "c"]) == 2
    assert "NODE1" in capsys.readouterr().err
