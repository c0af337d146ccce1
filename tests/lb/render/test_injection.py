"""Hostile names, tags and addresses: nothing foreign reaches the file (lb design, security rules)."""

import re
import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gossip.serf.members import MemberStatus
from lb.policy.plan import MemberFact, PlanConfig, plan_members
from lb.render.renderer import Frontend, RenderConfig, Renderer
from lb.render.verify_output import inspect

CONFIG = PlanConfig(weight_tag="weight", backend_tag="app", backends=("web", "api"), allow_loopback=True)
SETTINGS = RenderConfig(
    frontends=(Frontend("http", ("127.0.0.1:8080",), "web"),), admin_socket="/tmp/adm.sock"
)
RENDERER = Renderer(SETTINGS)
SERVER_LINE = re.compile(
    rb"    server [A-Za-z0-9][A-Za-z0-9_.-]{0,62} (?:[0-9.]{7,15}|\[[0-9a-f:]{2,39}\]):[0-9]{1,5}"
    rb" id [0-9]{1,10} weight [0-9]{1,3} check tcp-ut 2s"
)
EMPTY = RENDERER.render(plan_members([], CONFIG).plan).content

NAMES = [
    "x 127.0.0.1:1\nlisten evil\n bind *:6666\n stats admin if TRUE\n",
    "x 127.0.0.1:1 ssl verify none #",
    '"${SECRET}"',
    '"$SECRET"',
    "${SECRET}",
    "$HOME",
    "x;shutdown frontend http",
    "x; set server web/y state maint",
    "x\nshutdown frontend http",
    "x\r\nlisten evil",
    "x\x00y",
    "x\x1b[31mred",
    "x\x7f",
    "x\tbackup",
    "x # comment",
    "#x",
    "x\\",
    "x\\\n",
    "x\\ y",
    "'x'",
    "`id`",
    "$(id)",
    "%[env(SECRET)]",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "{# x #}",
    "x/y",
    "../../etc/passwd",
    "-x",
    ".x",
    "x" * 300,
    "x" * 3000,
    "é" * 150,
    "\udcff\udcfe",
    "\u2028listen evil",
    "\u0085listen evil",
    "\u202egnirts",
    " ",
    "\n",
    "server",
    "default_backend",
    "web 1",
    "web\t1",
    "web-1",
]
TAGS = [
    {"port": "80 check\nlisten evil"},
    {"port": "80;"},
    {"port": "${PORT}"},
    {"port": "0"},
    {"port": "65536"},
    {"port": "99999999999999999999"},
    {"port": "\uff18\uff10"},
    {"app": "web\n    stats admin if TRUE"},
    {"app": "stats"},
    {"app": "http"},
    {"weight": "100 backup"},
    {"weight": "-1"},
    {"weight": "1\nlisten evil"},
    {"role": "backend", "extra": "\nlisten evil\n bind *:1"},
    {"listen evil\n": "x"},
]
ADDRESSES = [
    "unix@/run/haproxy/admin.sock",
    "abns@x",
    "fd@3",
    "0.0.0.0",
    "::",
    "localhost",
    "example.org",
    "010.0.0.1",
    "10.1",
    "fe80::1",
    "fe80::1%lo",
    "10.0.0.1:80 check\nlisten evil",
    "10.0.0.1#",
    "${SECRET}",
    "224.0.0.1",
    "255.255.255.255",
]


def fact(name, host="10.0.0.1", tags=None):
    return MemberFact(name, MemberStatus.ALIVE, host, {"role": "backend", "port": "80", **(tags or {})})


def render(facts):
    planned = plan_members(facts, CONFIG)
    return planned, RENDERER.render(planned.plan).content


def without_digests(content):
    return re.sub(rb"[0-9a-f]{64}", b"", content).split(b"\n")


def assert_only_server_lines_were_added(content, count):
    rest = [line for line in without_digests(content) if not SERVER_LINE.fullmatch(line)]
    assert rest == without_digests(EMPTY)
    assert len(without_digests(content)) - len(rest) == count


def test_the_corpus_is_as_large_as_it_should_be():
    assert len(NAMES) + len(TAGS) + len(ADDRESSES) >= 70
    assert len(set(NAMES)) == len(NAMES) >= 40


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:40])
def test_a_hostile_name_becomes_one_clean_server_line(name):
    planned, content = render([fact(name)])
    assert_only_server_lines_were_added(content, 1)
    assert inspect(content, EMPTY, planned.plan) == ()


def test_all_hostile_names_together_stay_distinct_and_each_is_reported_once():
    planned, content = render(fact(name, host=f"10.0.0.{i}") for i, name in enumerate(NAMES, 1))
    assert_only_server_lines_were_added(content, len(NAMES))
    assert planned.rejections == ()
    unclean = {name for name in NAMES if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", name)}
    assert sorted(mapped.member for mapped in planned.mapped) == sorted(unclean)


@pytest.mark.parametrize("tags", TAGS, ids=ascii)
def test_a_hostile_tag_rejects_its_member_or_changes_nothing(tags):
    planned, content = render([fact("web-1", tags=tags)])
    assert_only_server_lines_were_added(content, 1 - len(planned.rejections))
    assert content == EMPTY or content == render([fact("web-1")])[1]


@pytest.mark.parametrize("host", ADDRESSES, ids=ascii)
def test_a_hostile_address_rejects_its_member(host):
    planned, content = render([fact("web-1", host=host)])
    assert content == EMPTY
    assert [rejection.member for rejection in planned.rejections] == ["web-1"]


def test_reasons_repeat_no_word_of_the_member():
    facts = [fact(f"m{i}", tags=tags) for i, tags in enumerate(TAGS)]
    facts += [fact(f"a{i}", host=host) for i, host in enumerate(ADDRESSES)]
    reasons = {rejection.reason for rejection in plan_members(facts, CONFIG).rejections}
    assert all(re.fullmatch(r"[a-zA-Z0-9 .'()]+", reason) for reason in reasons)


HOSTILE = st.one_of(
    st.sampled_from(NAMES),
    st.text(alphabet=st.characters(), max_size=300),
    st.text(alphabet=" \n\r\t\0;#$\"'\\{}%ab-", max_size=40),
    st.binary(max_size=60).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
)
FACT = st.builds(
    MemberFact,
    HOSTILE,
    st.just(MemberStatus.ALIVE),
    st.one_of(st.ip_addresses(v=4, network="10.0.0.0/28").map(str), st.sampled_from(ADDRESSES), HOSTILE),
    st.fixed_dictionaries(
        {"role": st.just("backend"), "port": st.one_of(st.sampled_from(["80", "81"]), HOSTILE)},
        optional={
            "app": st.one_of(st.sampled_from(["web", "api"]), HOSTILE),
            "weight": st.one_of(st.sampled_from(["0", "256"]), HOSTILE),
        },
    ),
)


@given(st.lists(FACT, max_size=4, unique_by=lambda fact: fact.name))
@example([fact(name, host=f"10.0.0.{i}") for i, name in enumerate(NAMES[:4], 1)])
def test_nothing_foreign_reaches_the_file_whatever_members_say(facts):
    planned, content = render(facts)
    assert_only_server_lines_were_added(content, len(planned.plan.servers))
    assert inspect(content, EMPTY, planned.plan) == ()
    assert len(planned.plan.servers) + len(planned.rejections) == len(facts)


@pytest.mark.haproxy
def test_haproxy_accepts_the_file_with_all_hostile_names(tmp_path):
    path = tmp_path / "haproxy.cfg"
    path.write_bytes(render(fact(name, host=f"10.0.0.{i}") for i, name in enumerate(NAMES, 1))[1])
    done = subprocess.run(["haproxy", "-c", "-f", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
