from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import ConfigError, LocalProtocolError
from gossip.serf.members import MemberStatus
from lb.policy.allowlist import MAX_SERVER_ID, is_clean, replaced_name, server_id
from lb.policy.plan import (
    MAX_BACKENDS,
    Claim,
    MappedName,
    MemberFact,
    PlanConfig,
    Rejection,
    make_plan,
    plan_members,
    read_claim,
)

CONFIG = PlanConfig(weight_tag="weight", backend_tag="app", backends=("web", "api"))
COLLIDING_IDS = ("web-52787", "web-57254")  # both hash to 93398569
COLLIDING_NAMES = ('w!""/\';', 'w!"&#)&')  # both become w-------e477baf3


def fact(name, host="10.0.0.1", status=MemberStatus.ALIVE, **tags):
    return MemberFact(name, status, host, {"role": "backend", "port": "80", **tags})


def claims(*names, backend="web"):
    return [Claim(backend, name, f"10.0.{i // 250}.{i % 250 + 1}", 80, 100) for i, name in enumerate(names)]


def plan_of(*names, config=CONFIG):
    return make_plan(claims(*names), config)


def test_a_member_with_the_role_claims_a_place():
    assert read_claim(fact("web-1", app="api", weight="7"), CONFIG) == Claim(
        "api", "web-1", "10.0.0.1", 80, 7
    )


def test_backend_and_weight_have_defaults():
    assert read_claim(fact("web-1"), CONFIG) == Claim("web", "web-1", "10.0.0.1", 80, 100)


def test_tags_that_the_configuration_does_not_name_are_ignored():
    claim = read_claim(fact("web-1", app="x\ny", weight="no"), PlanConfig())
    assert claim == Claim("web", "web-1", "10.0.0.1", 80, 100)


@pytest.mark.parametrize("tags", [{"role": "lb"}, {"role": ""}, {"role": "backend "}])
def test_a_member_of_another_role_claims_nothing(tags):
    assert read_claim(fact("web-1", **tags), CONFIG) is None


def test_role_and_port_tags_can_be_named_otherwise():
    config = PlanConfig(role_tag="r", role="app", port_tag="http")
    tags = {"r": "app", "http": "8080"}
    assert read_claim(MemberFact("a", MemberStatus.ALIVE, "10.0.0.1", tags), config).port == 8080


@pytest.mark.parametrize(
    ("given_", "reason"),
    [
        (fact("a", host="8.8.8.8"), "address is not in an allowed network"),
        (fact("a", port="80 check"), "port tag is not a port"),
        (fact("a", port=""), "port tag is not a port"),
        (MemberFact("a", MemberStatus.ALIVE, "10.0.0.1", {"role": "backend"}), "no port tag"),
        (fact("a", app="db"), "backend is not configured"),
        (fact("a", app="web\nlisten evil"), "backend is not configured"),
        (fact("a", weight="257"), "weight tag is not in 0..256"),
    ],
)
def test_a_claim_is_refused_as_a_whole_with_a_reason(given_, reason):
    assert read_claim(given_, CONFIG) == Rejection("a", reason)


def test_every_configured_backend_is_in_the_plan_in_bytewise_order():
    plan = plan_of("b", "B", "a").plan
    assert [backend.name for backend in plan.backends] == ["api", "web"]
    assert [server.name for server in plan.backends[1].servers] == ["B", "a", "b"]


def test_a_thousand_permutations_of_200_members_give_one_digest():
    names = [f"web-{i}" for i in range(150)] + [f"wéb {i};" for i in range(48)] + list(COLLIDING_NAMES)
    facts = [
        fact(name, host=f"10.0.{i % 97}.{i % 7}", app="web" if i % 3 else "api", weight=str(i))
        for i, name in enumerate(names)
    ]
    rng = Random(1)
    seen = set()
    for _ in range(1000):
        rng.shuffle(facts)
        planned = plan_members(facts, CONFIG)
        seen.add((planned.plan.digest, planned.rejections, planned.mapped))
    assert len(facts) == 200
    assert len(seen) == 1


@given(st.lists(st.text(alphabet=st.characters(), max_size=70), unique=True, max_size=30), st.randoms())
def test_any_names_in_any_order_give_one_plan_of_clean_distinct_names_and_ids(names, rng):
    given_ = claims(*names)
    planned = make_plan(given_, CONFIG)
    rng.shuffle(given_)
    assert make_plan(given_, CONFIG) == planned
    servers = planned.plan.servers
    assert all(is_clean(server.name) for server in servers)
    assert len({server.name for server in servers}) == len(names)
    assert len({server.id for server in servers}) == len(names)


def test_a_clean_name_is_kept_and_any_other_is_reported_as_mapped():
    planned = plan_of("web-1", "web 2")
    assert planned.mapped == (MappedName("web 2", replaced_name("web 2")),)
    assert {server.name for server in planned.plan.servers} == {"web-1", replaced_name("web 2")}


def test_a_clean_name_that_looks_like_a_replaced_one_keeps_itself_and_the_other_gets_a_longer_hash():
    look_alike = replaced_name("web 1")
    planned = plan_of("web 1", look_alike)
    assert {server.member: server.name for server in planned.plan.servers} == {
        look_alike: look_alike,
        "web 1": replaced_name("web 1", 16),
    }


def test_a_member_cannot_take_a_name_that_the_template_uses():
    config = PlanConfig(reserved_names=frozenset({"sorry", replaced_name("sorry")}))
    planned = plan_of("sorry", "web-1", config=config)
    assert planned.mapped == (MappedName("sorry", replaced_name("sorry", 16)),)


def test_names_with_one_hash_stay_distinct_in_order_of_the_names():
    first, second = sorted(COLLIDING_NAMES)
    planned = plan_of(second, first)
    assert planned.mapped == (
        MappedName(first, replaced_name(first)),
        MappedName(second, replaced_name(second, 16)),
    )


def test_a_name_whose_every_replacement_is_taken_is_rejected_not_merged():
    planned = plan_of("web 1", *(replaced_name("web 1", digits) for digits in (8, 16, 32)))
    assert planned.rejections == (Rejection("web 1", "name cannot be told apart from others"),)
    assert len(planned.plan.servers) == 3


def test_a_server_keeps_its_id_whoever_else_is_there():
    alone = plan_of("web-7").plan.servers[0]
    crowd = {s.name: s.id for s in plan_of(*(f"web-{i}" for i in range(500))).plan.servers}
    assert crowd["web-7"] == alone.id == server_id("web-7")


def test_colliding_ids_are_probed_linearly_in_order_of_the_names():
    ids = {server.name: server.id for server in plan_of(*reversed(COLLIDING_IDS)).plan.servers}
    assert ids == {COLLIDING_IDS[0]: 93398569, COLLIDING_IDS[1]: 93398570}


def test_probing_wraps_from_the_last_id_to_the_first(monkeypatch):
    monkeypatch.setattr("lb.policy.plan.server_id", lambda name: MAX_SERVER_ID)
    assert [server.id for server in plan_of("a", "b", "c").plan.servers] == [MAX_SERVER_ID, 1, 2]


def test_ids_and_names_are_unique_within_a_backend_not_across():
    planned = make_plan([Claim("web", "a", "10.0.0.1", 80, 1), Claim("api", "b", "10.0.0.1", 80, 1)], CONFIG)
    assert [server.member for server in planned.plan.servers] == ["b", "a"]


def test_a_backend_is_full_at_its_limit_and_rejects_one_above():
    config = PlanConfig(max_servers_per_backend=3)
    assert plan_of("a", "b", "c", config=config).rejections == ()
    planned = plan_of("d", "b", "c", "a", config=config)
    assert planned.rejections == (Rejection("d", "backend is full (3 servers)"),)
    assert [server.name for server in planned.plan.servers] == ["a", "b", "c"]


def test_a_backend_has_room_for_a_thousand_servers_unless_told_otherwise():
    names = [f"web-{i:04}" for i in range(1001)]
    assert plan_of(*names[:1000], config=PlanConfig()).rejections == ()
    assert [r.member for r in plan_of(*names, config=PlanConfig()).rejections] == ["web-1000"]


def test_two_claims_for_one_address_give_one_server_line():
    pair = [Claim("web", name, "10.0.0.1", 80, 1) for name in ("b", "a")]
    planned = make_plan(pair, CONFIG)
    assert [server.name for server in planned.plan.servers] == ["a"]
    assert planned.rejections == (Rejection("b", "address belongs to another member"),)


def test_one_address_may_serve_two_backends():
    pair = [Claim("web", "a", "10.0.0.1", 80, 1), Claim("api", "b", "10.0.0.1", 80, 1)]
    assert make_plan(pair, CONFIG).rejections == ()


def test_planning_a_member_twice_is_the_callers_bug():
    with pytest.raises(LocalProtocolError, match="a member was planned twice"):
        make_plan([*claims("a"), *claims("a", backend="api")], CONFIG)


def test_alive_and_leaving_members_are_planned_failed_and_left_ones_are_not():
    facts = [fact(status.name, host=f"10.0.0.{status + 1}", status=status) for status in MemberStatus]
    assert [s.name for s in plan_members(facts, CONFIG).plan.servers] == ["ALIVE", "LEAVING"]


def test_members_that_are_no_backends_leave_no_trace():
    planned = plan_members([fact("lb-1", role="lb"), fact("x", port="-1")], CONFIG)
    assert planned.plan.servers == ()
    assert planned.rejections == (Rejection("x", "port tag is not a port"),)


def test_rejections_are_in_order_of_the_members_whatever_the_order_of_the_facts():
    facts = [fact("c", port="x"), fact("b", weight="x"), fact("a", port="x")]
    assert [rejection.member for rejection in plan_members(facts, CONFIG).rejections] == ["a", "b", "c"]


def test_the_digest_tells_plans_apart_that_differ_in_one_field():
    base = Claim("web", "a", "10.0.0.1", 80, 1)
    others = [
        Claim("api", "a", "10.0.0.1", 80, 1),
        Claim("web", "b", "10.0.0.1", 80, 1),
        Claim("web", "a", "10.0.0.2", 80, 1),
        Claim("web", "a", "10.0.0.1", 81, 1),
        Claim("web", "a", "10.0.0.1", 80, 2),
    ]
    assert len({make_plan([claim], CONFIG).plan.digest for claim in (base, *others)}) == 6


def test_an_emptied_plan_keeps_its_backends():
    plan = plan_of("a").plan
    assert plan.emptied() == make_plan([], CONFIG).plan
    assert plan.emptied().digest != plan.digest


def test_an_address_is_printed_as_haproxy_reads_it():
    planned = make_plan([Claim("web", "a", "fd00::1", 80, 1), Claim("web", "b", "10.0.0.1", 81, 1)], CONFIG)
    assert [server.address for server in planned.plan.servers] == ["[fd00::1]:80", "10.0.0.1:81"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backends": ()}, "0 backends: give 1 to 64"),
        ({"backends": tuple(f"b{i}" for i in range(MAX_BACKENDS + 1))}, "65 backends: give 1 to 64"),
        ({"backends": ("a b",)}, "backend 'a b': use 1-63 letters, digits, '_', '.' or '-'"),
        ({"backends": ("a", "a")}, "backends a, a: a name is given twice"),
        ({"max_servers_per_backend": 0}, "max_servers_per_backend 0: at least 1 is needed"),
        ({"default_weight": 257}, "default_weight 257: must be in 0..256"),
        ({"default_weight": -1}, "default_weight -1: must be in 0..256"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(settings, message):
    with pytest.raises(ConfigError) as caught:
        PlanConfig(**settings)
    assert str(caught.value) == message


def test_the_largest_number_of_backends_is_accepted():
    assert len(PlanConfig(backends=tuple(f"b{i}" for i in range(MAX_BACKENDS))).backends) == MAX_BACKENDS


@pytest.mark.parametrize("weight", [0, 256])
def test_the_ends_of_the_range_are_default_weights(weight):
    assert read_claim(fact("web-1"), PlanConfig(default_weight=weight)).weight == weight


def test_a_listener_of_the_load_balancer_is_no_server():
    config = PlanConfig(own_listeners=frozenset({("0.0.0.0", 80)}), own_hosts=frozenset({"10.0.0.1"}))
    assert read_claim(fact("loop"), config) == Rejection(
        "loop", "address is a listener of this load balancer"
    )
    assert isinstance(read_claim(fact("web", "10.0.0.2"), config), Claim)
