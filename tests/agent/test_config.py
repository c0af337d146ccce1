import base64
import os
import re
from pathlib import Path

import pytest

from gossip.agent.config import AgentConfig, normal_level
from gossip.agent.config_check import config_warnings
from gossip.agent.config_sources import load_config
from gossip.agent.endpoint import Endpoint, Seed
from gossip.agent.key_file import read_key_file
from gossip.errors import ConfigError
from gossip.settings.conversion import parse_tag
from gossip.wire.messages import MAX_NAME_BYTES

KEY = base64.b64encode(bytes(range(32))).decode()


def load(text="", tmp_path=None, env=None, **flags):
    files = []
    if tmp_path is not None:
        files = [tmp_path / "gossip.toml"]
        files[0].write_text(text)
    return load_config(flags, files, env or {})


def refusal(*args, **kwargs):
    with pytest.raises(ConfigError) as caught:
        load(*args, **kwargs)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_the_defaults_are_serfs():
    config = load()
    assert config.node_name == os.uname().nodename
    assert config.bind_endpoint == Endpoint("0.0.0.0", 7946)
    assert config.advertise_endpoint is None
    assert config.rpc_endpoint == Endpoint("127.0.0.1", 7373)
    assert config.secret_key is None
    assert config.profile == "lan"
    assert config.retry_interval == 30
    assert config.broadcast_timeout == 5


def test_flags_win_over_the_environment_and_that_over_files(tmp_path):
    text = 'node_name = "file"\nprofile = "wan"\nlog_level = "warn"'
    env = {"GOSSIP_NODE_NAME": "env", "GOSSIP_PROFILE": "local"}
    config = load(text, tmp_path, env, node_name="flag", bind=None)
    assert (config.node_name, config.profile, config.log_level) == ("flag", "local", "WARN")


def test_lists_are_appended_and_tables_merged(tmp_path):
    text = 'retry_join = ["a"]\ntags = { role = "web", dc = "1" }'
    env = {"GOSSIP_RETRY_JOIN": "b, c", "GOSSIP_TAGS": "dc=2,port=80"}
    config = load(text, tmp_path, env, retry_join=("d:1",), tags=["port=81"])
    assert config.retry_join == ("a", "b", "c", "d:1")
    assert config.tags == {"role": "web", "dc": "2", "port": "81"}
    assert config.seeds(config.retry_join)[-1] == Seed("d", 1)


def test_tags_may_be_given_as_a_mapping():
    assert load(tags={"a": "b=c"}).tags == {"a": "b=c"}


def test_the_environment_is_text_that_becomes_numbers_and_truths():
    env = {
        "GOSSIP_RETRY_MAX_ATTEMPTS": "3",
        "GOSSIP_DISABLE_COMPRESSION": "true",
        "GOSSIP_RETRY_INTERVAL": "1m30s",
        "SERF_RPC_ADDR": "127.0.0.9:1",
        "SERF_RPC_AUTH": "secret",
    }
    config = load(env=env)
    assert (config.retry_max_attempts, config.disable_compression, config.retry_interval) == (3, True, 90)
    assert (config.rpc_addr, config.rpc_auth) == ("127.0.0.9:1", "secret")


def test_a_label_comes_from_a_flag_a_file_or_the_environment(tmp_path):
    longest = "é" * 127 + "x"
    assert load(label=longest).label_bytes == longest.encode()
    assert load('label = "blue"', tmp_path).label == "blue"
    env = {"GOSSIP_LABEL": "blue", "GOSSIP_SKIP_INBOUND_LABEL_CHECK": "true"}
    assert load(env=env).label == "blue"
    assert load(env=env).skip_inbound_label_check


def test_our_own_variable_wins_over_serfs():
    assert load(env={"SERF_RPC_ADDR": "a:1", "GOSSIP_RPC_ADDR": "b:2"}).rpc_addr == "b:2"


@pytest.mark.parametrize(
    ("variable", "problem"),
    [
        ("GOSSIP_TAGZ", "environment variable GOSSIP_TAGZ sets nothing (did you mean GOSSIP_TAGS?)"),
        ("GOSSIP_X", "environment variable GOSSIP_X sets nothing"),
    ],
)
def test_a_variable_of_ours_that_sets_nothing_is_refused(variable, problem):
    with pytest.raises(ConfigError, match=re.escape(problem) + "$"):
        load(env={"GOSSIP_BIND": "127.0.0.1", variable: "1"})


def test_a_variable_of_the_load_balancer_is_its_own_business():
    load(env={"GOSSIP_LB_LISTENN": ":80"})


def test_variables_that_an_orchestrator_sets_for_a_service_are_let_through():
    services = ("GOSSIP", "GOSSIP_LB", "GOSSIP_WEB_1")
    links = ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_80_TCP", "PORT_7946_UDP_ADDR")
    load(env={f"{service}_{link}": "10.0.0.1" for service in services for link in links} | {"HOME": "/"})


def test_an_advertised_host_takes_the_bound_port():
    assert load(bind="0.0.0.0:99", advertise="10.0.0.1").advertise_endpoint == Endpoint("10.0.0.1", 99)


def test_an_empty_rpc_address_switches_the_rpc_off():
    assert load(rpc_addr="").rpc_endpoint is None


@pytest.mark.parametrize("size", [16, 24, 32])
def test_keys_of_all_three_sizes_are_taken(size):
    assert load(encrypt_key=base64.b64encode(bytes(size)).decode()).secret_key == bytes(size)


def test_a_key_may_stand_in_a_file(tmp_path):
    path = tmp_path / "key"
    path.write_text(KEY + "\n")
    assert load(encrypt_file=str(path)).secret_key == bytes(range(32))


def test_a_file_with_a_key_has_at_most_1_kib_and_one_with_a_ring_64(tmp_path):
    path = tmp_path / "key"
    for limit, content, read in (
        (1024, KEY, lambda: load(encrypt_file=str(path)).secret_key),
        (64 * 1024, f'["{KEY}"]', lambda: read_key_file(path).keys[0]),
    ):
        path.write_text(content.rjust(limit))
        assert read() == bytes(range(32))
        path.write_text(content.rjust(limit + 1))
        with pytest.raises(ConfigError, match=f"longer than {limit} bytes"):
            read()


def test_the_environment_has_one_event_handler_a_line():
    handlers = "member-join,member-leave=a.sh\n\n user=b.sh x=y\n"
    config = load_config({"node_name": "a"}, [], {"GOSSIP_EVENT_HANDLERS": handlers})
    assert config.event_handlers == ("member-join,member-leave=a.sh", "user=b.sh x=y")


def test_a_name_of_exactly_the_limit_is_taken():
    assert load(node_name="n" * MAX_NAME_BYTES).node_name == "n" * MAX_NAME_BYTES


@pytest.mark.parametrize(
    ("given", "level"), [("err", "ERR"), ("Error", "ERR"), ("warning", "WARN"), ("x", "X")]
)
def test_log_levels_have_one_spelling(given, level):
    assert normal_level(given) == level


def test_recording_may_be_switched_on_in_a_file_and_in_the_environment(tmp_path):
    path = tmp_path / "gossip.toml"
    path.write_text(f"record = true\nrecord_dir = {str(tmp_path)!r}\ncontrol = '/run/c'\n")
    config = load_config({"node_name": "a"}, [path], {})
    assert (config.record, config.record_dir, config.control) == (True, str(tmp_path), "/run/c")
    config = load_config({"node_name": "a"}, [], {"GOSSIP_RECORD": "1", "GOSSIP_CONTROL": "/run/c"})
    assert (config.record, config.record_dir, config.control) == (True, ".", "/run/c")
    assert not load_config({"node_name": "a"}, [], {}).record


def test_a_tag_may_hold_an_equals_sign():
    assert parse_tag("a=b=c") == ("a", "b=c")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nodename = 'a'", "unknown key 'nodename' (did you mean node_name?)"),
        ("zzz = 1", "unknown key 'zzz'"),
        ("node_name = 3", "node_name: expected a text, got 3"),
        ("start_join = 'a'", "start_join: expected a list of texts, got 'a'"),
        ("start_join = ['a', 3]", "start_join: expected a list of texts, got ['a', 3]"),
        ("tags = []", "tags: expected a table of texts, got []"),
        ("tags = { a = 1 }", "tags: expected a table of texts, got {'a': 1}"),
        ("retry_interval = '5x'", "retry_interval: expected a duration such as 5s or 1m30s, got '5x'"),
        ("retry_interval = []", "retry_interval: expected a duration such as 5s or 1m30s, got []"),
        ("disable_compression = 'true'", "disable_compression: expected true or false, got 'true'"),
        ("a = ", "is not valid TOML: invalid value (at end of document)"),
    ],
)
def test_an_error_in_a_file_names_the_file_the_key_and_the_value(tmp_path, text, expected):
    message = refusal(text, tmp_path)
    assert message.startswith(str(tmp_path / "gossip.toml"))
    assert message.endswith(expected)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"node_name": ""}, "node_name is empty: give this agent a name that is unique in the cluster"),
        ({"node_name": "n" * 129}, "node_name is 129 bytes long: at most 128 are allowed"),
        ({"node_name": "a\nb"}, "node_name 'a\\nb' contains control or undecodable characters"),
        ({"bind": "127.0.0.1:99999"}, "--bind: '127.0.0.1:99999' has the port '99999': expected 0..65535"),
        ({"advertise": "a b"}, "--advertise: 'a b' is not host[:port] (IPv6 as [::1]:7946)"),
        ({"rpc_addr": "unix:"}, "--rpc-addr: 'unix:' names no path: expected unix:/path/to/socket"),
        ({"start_join": ["/a"]}, "--join: '/a' has an empty node name before the slash"),
        ({"retry_join": [":1"]}, "--retry-join: ':1' names no host: expected host[:port]"),
        ({"tags": ["novalue"]}, "--tag: expected KEY=VALUE, got 'novalue'"),
        ({"tags": ["=x"]}, "--tag: expected KEY=VALUE, got '=x'"),
        ({"event_handlers": ["user="]}, "event handler 'user=' has no script: write [FILTER=]SCRIPT"),
        ({"event_handler_timeout": 0.5}, "--event-handler-timeout: expected at least 1s, got 0.5s"),
        ({"tags": {"": "x"}}, "tags: a tag needs a name"),
        ({"tags": {"k": "v" * 600}}, "tags: encoded length of tags (607) exceeds limit of 512 bytes"),
        ({"label": "x" * 256}, "--label: the label is 256 bytes long: at most 255 are allowed"),
        ({"label": "a\n"}, "--label: the label 'a\\n' contains control or undecodable characters"),
        (
            {"skip_inbound_label_check": True},
            "skip_inbound_label_check is given without a label: give a label, or leave it out",
        ),
        ({"encrypt_key": "###"}, "--encrypt: expected base64 of 16, 24 or 32 bytes, got something else"),
        ({"encrypt_key": "c2hvcnQ="}, "--encrypt: expected base64 of 16, 24 or 32 bytes, got 5 bytes"),
        (
            {"encrypt_key": KEY, "encrypt_file": "/x"},
            "encrypt_key and encrypt_file are both given: choose one",
        ),
        ({"encrypt_file": "/none"}, "cannot read encrypt_file /none: no such file or directory"),
        ({"profile": "moon"}, "--profile: expected one of lan, wan, local, got 'moon'"),
        ({"log_format": "xml"}, "--log-format: expected one of logfmt, json, got 'xml'"),
        ({"log_level": "loud"}, "--log-level: expected one of TRACE, DEBUG, INFO, WARN, ERR, got 'LOUD'"),
        ({"retry_interval": "0.5s"}, "--retry-interval: expected at least 1s, got 0.5s"),
        ({"broadcast_timeout": 0}, "--broadcast-timeout: expected at least 1s, got 0s"),
        ({"retry_max_attempts": -1}, "--retry-max: expected at least 0, got -1"),
        ({"ready_fd": 0}, "--ready-fd: expected at least 1, got 0"),
        ({"ready_fd": "x"}, "--ready-fd: expected a whole number, got 'x'"),
        (
            {"record": True, "record_dir": "/none"},
            "record_dir '/none' is not a directory: create it, or name another",
        ),
    ],
)
def test_each_wrong_value_has_its_message(flags, expected):
    assert refusal(**flags) == expected


def test_a_wrong_variable_is_named_as_from_the_environment():
    message = refusal(env={"GOSSIP_RETRY_MAX_ATTEMPTS": "many"})
    assert message == "environment variable GOSSIP_RETRY_MAX_ATTEMPTS: expected a whole number, got 'many'"


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(
        ConfigError, match=r"cannot read configuration .*/none\.toml: no such file or directory"
    ):
        load_config({}, [tmp_path / "none.toml"], {})


def test_a_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "gossip.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load_config({}, [path], {})


def test_a_key_file_without_a_key_is_refused_without_repeating_it(tmp_path):
    path = tmp_path / "key"
    path.write_text("topsecret")
    message = refusal(encrypt_file=str(path))
    assert message == f"encrypt_file {path}: expected base64 of 16, 24 or 32 bytes"


def test_secrets_that_others_can_read_are_warned_of(tmp_path):
    path = tmp_path / "key"
    path.write_text(KEY)
    path.chmod(0o640)
    private = {"encrypt_file": str(path)}
    assert config_warnings(private, load(**private)) == []
    path.chmod(0o644)
    assert config_warnings(private, load(**private)) == [
        f"every user of this machine can read the key in {path} (chmod o-r)"
    ]
    path.unlink()
    assert config_warnings({}, AgentConfig(encrypt_file=str(path))) == []
    flags = {"encrypt_key": KEY, "rpc_auth": "secret"}
    for warning, flag in zip(config_warnings(flags, load(**flags)), ("--encrypt", "--rpc-auth"), strict=True):
        assert warning.startswith(f"{flag} stands on the command line, where other users")
        assert KEY not in warning
    env = {"GOSSIP_ENCRYPT_KEY": KEY, "GOSSIP_RPC_AUTH": "secret"}
    assert config_warnings({}, load(env=env)) == []


def test_numbers_and_truths_that_are_off_win_over_the_environment():
    env = {"GOSSIP_DISABLE_COMPRESSION": "true", "GOSSIP_RETRY_MAX_ATTEMPTS": "7"}
    config = load(env=env, disable_compression=False, retry_max_attempts=0)
    assert (config.disable_compression, config.retry_max_attempts) == (False, 0)


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/full"])
def test_a_device_is_neither_a_configuration_nor_a_key(path):
    with pytest.raises(ConfigError, match=f"cannot read configuration {path}: not a regular file"):
        load_config({}, [Path(path)], {})
    with pytest.raises(ConfigError, match=f"cannot read encrypt_file {path}: not a regular file"):
        load_config({"encrypt_file": path}, [], {})


def test_a_config_made_in_code_needs_no_files():
    assert AgentConfig(node_name="a", bind="[::1]:0").bind_endpoint == Endpoint("::1", 0)


def test_a_rejoin_without_a_snapshot_is_warned_of():
    vain = "rejoin_after_leave has no effect without snapshot_path"
    assert config_warnings({}, load(rejoin_after_leave=True)) == [vain]
    assert config_warnings({}, load(rejoin_after_leave=True, snapshot_path="s")) == []


def test_a_name_that_is_announced_by_dns_has_at_most_63_bytes():
    pytest.importorskip("zeroconf")
    assert load(discover="web", node_name="n" * 63).discover == "web"
    expected = "node_name is 64 bytes long: with discover at most 63 are allowed"
    assert refusal(discover="web", node_name="n" * 64) == expected


def test_discovery_without_its_library_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert refusal(discover="web") == "discover needs the package zeroconf: pip install 'gossip-agent[mdns]'"
