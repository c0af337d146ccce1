"""Scenarios as text: what is accepted, what is said about mistakes, and that text and value agree."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.cli.simulator.narration import report
from gossip.errors import ConfigError
from gossip.sim.acts import Crash, Link, Pause
from gossip.sim.network import Conditions
from gossip.sim.scenario import MAX_NODES, Scenario, read_scenario
from gossip.sim.swarm import swarm
from gossip.sim.trial import Trial

EXAMPLE = """
name = "a web server dies"
seed = 7
nodes = 8
profile = "local"
seeds = 2
swim = { probe_interval = 0.5, indirect_checks = 2 }

[network]
loss = 0.01

[[acts]]
do = "crash"
at = 10
node = "n3"

[[acts]]
do = "link"
at = 12.5
for = 5
from = ["n1", "n4..n6"]
conditions = { loss = 0.5, only = "udp" }

[[acts]]
do = "pause"
at = 20
node = "n2"
freeze = true
"""


def test_a_readable_file_becomes_a_scenario():
    scenario = read_scenario(EXAMPLE)
    assert scenario.nodes == 8
    assert scenario.network == Conditions(loss=0.01)
    assert scenario.acts == (
        Crash(at=10.0, node="n3"),
        Link(at=12.5, lasts=5.0, sources=("n1", "n4..n6"), conditions=Conditions(loss=0.5, only="udp")),
        Pause(at=20.0, node="n2", freeze=True),
    )
    assert scenario.seed_names == ("n0", "n1")


def test_parameters_override_the_profile():
    swim = read_scenario(EXAMPLE).config().swim
    assert (swim.probe_interval, swim.indirect_checks) == (0.5, 2)
    assert swim.probe_timeout == 0.2


def test_encryption_takes_its_room_in_each_packet():
    assert Scenario(encrypt=True).config().swim.packet_overhead > 0
    assert Scenario().config().swim.packet_overhead == 0


def test_names_ranges_and_stars_stand_for_hosts():
    scenario = Scenario(nodes=6)
    assert scenario.expand(["n4", "n1..n2", "n1"]) == ("n1", "n2", "n4")
    assert scenario.expand(["*"]) == scenario.names
    assert scenario.expand(["n4..n9"]) == ("n4", "n5")


@given(st.integers(0, 2**32))
def test_any_drawn_scenario_survives_its_own_text(seed):
    scenario = swarm(seed)
    assert read_scenario(scenario.text()) == scenario


def test_hosts_start_with_the_tags_given_to_them_and_to_many():
    scenario = read_scenario(
        'nodes = 3\n[tags."*"]\nzone = "a"\n[tags."n1..n2"]\nrole = "backend"\n[tags.n2]\nzone = "b"\n'
    )
    assert scenario.starting_tags() == {
        "n0": {"host": "n0", "zone": "a"},
        "n1": {"host": "n1", "zone": "a", "role": "backend"},
        "n2": {"host": "n2", "zone": "b", "role": "backend"},
    }
    assert read_scenario(scenario.text()) == scenario
    trial = Trial(scenario)
    trial.start()
    assert trial.cluster.hosts["n2"].tags == {"host": "n2", "zone": "b", "role": "backend"}


def test_all_nodes_that_fit_are_accepted_and_one_more_is_not():
    assert read_scenario(f"nodes = {MAX_NODES}").nodes == MAX_NODES
    with pytest.raises(ConfigError, match="4096"):
        read_scenario(f"nodes = {MAX_NODES + 1}")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("nodes = ", "x.toml is not valid TOML: invalid value"),
        ("nodez = 3", "x.toml: object contains unknown field `nodez`"),
        ('[[acts]]\ndo = "explode"', "x.toml: invalid value 'explode' - at `$.acts[0].do`"),
        ('[[acts]]\ndo = "crash"', "x.toml: object missing required field `node` - at `$.acts[0]`"),
        ("[network]\nloss = 2", "x.toml: expected `float` <= 1.0 - at `$.network.loss`"),
        ("nodes = 2\nseeds = 3", "x.toml: seeds (3) must be at most nodes (2)"),
        ('core = ["n9"]', "x.toml: core names 'n9'; hosts are n0 to n4, n1..n3, or *"),
        ('[tags.n9]\nrole = "lb"', "x.toml: tags names 'n9'; hosts are n0 to n4, n1..n3, or *"),
        (f'[tags.n3]\nnote = "{"x" * 512}"', "x.toml: tags of n3: encoded length of tags (530) exceeds"),
        ('[[acts]]\ndo = "crash"\nnode = "web"', "x.toml: act 0 names 'web'"),
        ('[[acts]]\ndo = "partition"\none = ["n1"]\nother = ["n7"]', "x.toml: act 0 names 'n7'"),
        ('[[acts]]\ndo = "link"\nfrom = ["n7"]', "x.toml: act 0 names 'n7'"),
        ('[[acts]]\ndo = "join"\nnode = "n1"\nto = ["n7"]', "x.toml: act 0 names 'n7'"),
        ('[[acts]]\ndo = "force-leave"\nnode = "n1"\nabout = "n7"', "x.toml: act 0 names 'n7'"),
        ('[[acts]]\ndo = "move"\nnode = "n1"\nto_address_of = "n7"', "x.toml: act 0 names 'n7'"),
        ('[[acts]]\ndo = "restart-all"\nnodes = ["n7"]', "x.toml: act 0 names 'n7'"),
        (
            '[[acts]]\ndo = "crash"\nnode = "n1"\nat = 61',
            "x.toml: act 0 happens at 61, after the duration (60)",
        ),
        ("[swim]\nprobe_intervall = 1", "x.toml: swim.probe_intervall is not a protocol parameter"),
        ("[swim]\nindirect_checks = 1.5", "x.toml: swim: "),
        ("[swim]\ngossip_interval = 0", "x.toml: swim.gossip_interval is 0: expected 0.001 to 1e+09"),
        ("[swim]\nprobe_interval = 1e-300", "x.toml: swim.probe_interval is 1e-300: expected 0.001"),
        ("[swim]\nprobe_timeout = -1", "x.toml: swim.probe_timeout is -1: expected 0 to 1e+09"),
        ("[swim]\nretransmit_mult = 1001", "x.toml: swim.retransmit_mult is 1001: expected 0 to 1000"),
        ("[swim]\nawareness_max = 0", "x.toml: swim.awareness_max is 0: expected 1 to 1000"),
        ("[swim]\nmax_members = 0", "x.toml: swim.max_members is 0: expected 1 to 1e+09"),
        ("[serf]\nreap_interval = nan", "x.toml: serf.reap_interval is nan: expected 0.001 to 1e+09"),
        ("duration = inf", "x.toml: expected `float` <= 1000000000.0 - at `$.duration`"),
        ("retry_interval = 1e-9", "x.toml: expected `float` >= 0.001 - at `$.retry_interval`"),
        ("seed = " + "9" * 5000, "x.toml is not valid TOML: a number has too many digits"),
    ],
)
def test_a_mistake_is_told_in_one_line(text, complaint):
    with pytest.raises(ConfigError) as caught:
        read_scenario(text, "x.toml")
    assert str(caught.value).startswith(complaint)
    assert "\n" not in str(caught.value)


def test_the_scenario_in_the_documentation_holds():
    page = (Path(__file__).parents[2] / "docs/design/simulator.md").read_text()
    text = page[page.index("```toml\n") + len("```toml\n") :]
    outcome = Trial(read_scenario(text[: text.index("```")])).run()
    assert outcome.failure is None, report(outcome)
