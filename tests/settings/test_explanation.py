"""What --print-config shows: values, origins, no secrets; and it can be used as a file."""

import base64
import tomllib

from hypothesis import given
from hypothesis import strategies as st

from gossip.agent.config_sources import explained_config, load_config
from gossip.settings.duration import duration_text, parse_duration
from gossip.settings.explanation import explain
from lb.config_sources import explained_lb_config, load_lb_config

SECRET = base64.b64encode(bytes(range(32))).decode()


def lines(*args):
    return list(explain(explained_config(*args)))


def test_each_value_is_shown_with_where_it_came_from(tmp_path):
    toml, serf = tmp_path / "a.toml", tmp_path / "b.json"
    toml.write_text('profile = "wan"\ntags = { a = "1" }')
    serf.write_text('{"Retry_Interval": "45s", "tags": {"b": "2"}}')
    environ = {"GOSSIP_LOG_LEVEL": "warn"}
    shown = lines({"node_name": "n", "tags": ["c=3"], "record": True}, [toml, serf], environ)
    assert 'node_name = "n"  # --node' in shown
    assert f'profile = "wan"  # {toml}: profile' in shown
    assert f'retry_interval = "45s"  # {serf}: Retry_Interval' in shown
    assert 'log_level = "WARN"  # environment variable GOSSIP_LOG_LEVEL' in shown
    tags = 'tags = { a = "1", b = "2", c = "3" }'
    assert f"{tags}  # {toml}: tags, {serf}: tags, --tag" in shown
    assert 'bind = "0.0.0.0:7946"  # default' in shown
    assert "record = true  # --record" in shown
    assert "# ready_fd is not set" in shown


def test_a_secret_is_not_shown():
    shown = lines({"encrypt_key": SECRET}, [], {"GOSSIP_RPC_AUTH": "hush"})
    assert "# encrypt_key is set  # --encrypt" in shown
    assert "# rpc_auth is set  # environment variable GOSSIP_RPC_AUTH" in shown
    assert SECRET not in "\n".join(shown)
    assert "hush" not in "\n".join(shown)


TEXTS = st.text(max_size=20)
TAGS = st.dictionaries(TEXTS.filter(bool), TEXTS, max_size=3)


@given(tags=TAGS, interval=st.integers(1, 10**8), control=TEXTS)
def test_what_is_shown_is_a_file_that_says_the_same(tags, interval, control):
    flags = {"node_name": "n", "tags": tags, "reconnect_timeout": interval, "control": control}
    config, _ = explained_config(flags, [], {})
    shown = tomllib.loads("\n".join(lines(flags, [], {})))
    assert load_config(shown, [], {}) == config


def test_the_load_balancers_settings_may_be_used_as_a_file(tmp_path):
    path = tmp_path / "lb.toml"
    path.write_text("[lb]\nweight_tag = 'w'\n[lb.haproxy]\nbalance = 'leastconn'\n")
    flags = {"listen": ("127.0.0.1:80",), "join_wait": "20s"}
    merged = explained_lb_config(flags, path, {})
    again = tmp_path / "again.toml"
    again.write_text("\n".join(["[lb]", *explain(merged)]))
    assert load_lb_config({}, again, {}) == merged.config


@given(st.integers(0, 10**11))
def test_a_duration_in_text_is_the_same_duration(milliseconds):
    assert abs(parse_duration(duration_text(milliseconds / 1000)) - milliseconds / 1000) < 1e-4
