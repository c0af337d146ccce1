"""Serf's own configuration files, as they are, in one file, several, or a directory."""

import json
import re
import shutil
import subprocess

import pytest

from gossip.agent.config import AgentConfig
from gossip.agent.config_sources import load_config
from gossip.errors import ConfigError
from gossip.settings.absent import absent_flag, absent_key
from gossip.settings.config_files import MAX_FILES
from gossip.settings.setting import settings_of

SERF_KEYS = [
    "node_name",
    "role",
    "disable_coordinates",
    "tags",
    "tags_file",
    "bind",
    "advertise",
    "encrypt_key",
    "keyring_file",
    "log_level",
    "rpc_addr",
    "rpc_auth",
    "protocol",
    "replay_on_join",
    "query_response_size_limit",
    "query_size_limit",
    "user_event_size_limit",
    "start_join",
    "event_handlers",
    "profile",
    "snapshot_path",
    "leave_on_terminate",
    "skip_leave_on_interrupt",
    "discover",
    "interface",
    "reconnect_interval",
    "reconnect_timeout",
    "tombstone_timeout",
    "disable_name_resolution",
    "enable_syslog",
    "syslog_facility",
    "retry_join",
    "retry_max_attempts",
    "retry_interval",
    "rejoin_after_leave",
    "enable_compression",
    "statsite_addr",
    "statsd_addr",
    "broadcast_timeout",
    "mdns",
    "validate_node_names",
]
"""serf-wire 8.2, with the two keys of Serf's development branch."""
SERF_FLAGS = [
    "bind",
    "advertise",
    "iface",
    "config-file",
    "config-dir",
    "discover",
    "encrypt",
    "keyring-file",
    "event-handler",
    "join",
    "replay",
    "log-level",
    "node",
    "profile",
    "protocol",
    "rejoin",
    "retry-join",
    "retry-interval",
    "retry-max",
    "role",
    "rpc-addr",
    "snapshot",
    "tag",
    "tags-file",
    "syslog",
    "broadcast-timeout",
    "disable-compression",
    "mdns-iface",
    "mdns-disable-ipv4",
    "mdns-disable-ipv6",
]
"""serf-wire 8.1, with those of Serf's development branch."""


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def load(tmp_path, *contents, **flags):
    files = [write(tmp_path / f"{number}.json", content) for number, content in enumerate(contents)]
    return load_config({"node_name": "a"} | flags, files, {})


def refusal(tmp_path, *contents, **flags):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, *contents, **flags)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_of_serf_with_many_keys_is_taken_as_it_is(tmp_path):
    config = load(
        tmp_path,
        {
            "Node_Name": "ignored, the flag wins",
            "role": "web",
            "tags": {"role": "overridden", "dc": "eu"},
            "bind": "127.0.0.1:7001",
            "rpc_addr": "127.0.0.1:7374",
            "rpc_auth": "secret",
            "encrypt_key": "T9jncgl9mbLus+baTTa7q7nPSUrXwbDi2dhbtqir37s=",
            "log_level": "warn",
            "protocol": 4,
            "replay_on_join": True,
            "query_response_size_limit": 2048,
            "query_size_limit": 4096,
            "user_event_size_limit": 1000,
            "start_join": ["10.0.0.1"],
            "event_handlers": ["member-join=a.sh", "b.sh"],
            "profile": "wan",
            "leave_on_terminate": False,
            "skip_leave_on_interrupt": True,
            "reconnect_interval": "1m30s",
            "reconnect_timeout": "48h",
            "tombstone_timeout": "1h",
            "disable_name_resolution": True,
            "disable_coordinates": True,
            "enable_syslog": False,
            "syslog_facility": "LOCAL0",
            "statsd_addr": "",
            "retry_join": ["10.0.0.2", "10.0.0.3"],
            "retry_max_attempts": 3,
            "retry_interval": "45s",
            "enable_compression": True,
            "broadcast_timeout": "10s",
            "interface": "lo",
            "advertise": None,
        },
    )
    assert (config.node_name, config.tags) == ("a", {"role": "web", "dc": "eu"})
    assert (config.bind, config.rpc_addr, config.rpc_auth) == ("127.0.0.1:7001", "127.0.0.1:7374", "secret")
    assert (config.log_level, config.protocol, config.replay_on_join) == ("WARN", 4, True)
    assert (config.query_response_size_limit, config.query_size_limit) == (2048, 4096)
    assert config.user_event_size_limit == 1000
    assert (config.start_join, config.retry_join) == (("10.0.0.1",), ("10.0.0.2", "10.0.0.3"))
    assert config.event_handlers == ("member-join=a.sh", "b.sh")
    assert (config.leave_on_terminate, config.skip_leave_on_interrupt) == (True, True)
    assert (config.reconnect_interval, config.reconnect_timeout) == (90, 48 * 3600)
    assert (config.tombstone_timeout, config.retry_interval, config.broadcast_timeout) == (3600, 45, 10)
    assert (config.retry_max_attempts, config.disable_name_resolution) == (3, True)
    assert config.disable_coordinates
    assert (config.disable_compression, config.interface, config.advertise) == (False, "lo", "")


@pytest.mark.parametrize("key", SERF_KEYS)
def test_every_key_of_serf_is_taken_or_left_out_on_purpose(tmp_path, key):
    if key in {item.serf_key for item in settings_of(AgentConfig).values()}:
        return
    assert load(tmp_path, {key: ""})
    if key != "syslog_facility":  # it means nothing while syslog is off
        text = refusal(tmp_path, {key: "x"})
        assert text == f"{tmp_path}/0.json: {key} is left out on purpose: {absent_key(key)}"


@pytest.mark.parametrize("flag", SERF_FLAGS)
def test_every_flag_of_serf_agent_is_taken_or_left_out_on_purpose(flag):
    import click

    from gossip.cli.agent import agent

    ours = {
        opt
        for param in agent.get_params(click.Context(agent, help_option_names=["-h", "--help"]))
        for opt in param.opts
    }
    assert (f"--{flag}" in ours) != bool(absent_flag(f"--{flag}"))


def test_later_files_add_to_lists_and_tables_and_win_elsewhere(tmp_path):
    first = {"tags": {"a": "1", "b": "1"}, "retry_join": ["x"], "profile": "wan", "log_level": "warn"}
    second = {"tags": {"b": "2"}, "retry_join": ["y"], "profile": "local"}
    config = load(tmp_path, first, second)
    assert config.tags == {"a": "1", "b": "2"}
    assert config.retry_join == ("x", "y")
    assert (config.profile, config.log_level) == ("local", "WARN")


def test_what_is_empty_zero_or_false_takes_nothing_back(tmp_path):
    first = {"replay_on_join": True, "retry_max_attempts": 3, "profile": "wan", "retry_interval": "40s"}
    second = {"replay_on_join": False, "retry_max_attempts": 0, "profile": "", "retry_interval": "0s"}
    config = load(tmp_path, first, second)
    assert (config.replay_on_join, config.retry_max_attempts, config.profile) == (True, 3, "wan")
    assert config.retry_interval == 40


def test_compression_may_be_switched_off_in_a_file_and_on_again_by_a_flag(tmp_path):
    assert load(tmp_path, {"enable_compression": False}).disable_compression
    assert not load(tmp_path, {"enable_compression": False}, disable_compression=False).disable_compression


def test_the_role_is_stronger_than_the_tag_from_any_source(tmp_path):
    assert load(tmp_path, {"role": "a"}, {"tags": {"role": "b"}}).tags == {"role": "a"}
    assert load(tmp_path, {"role": "a"}, tags=["role=c"]).tags == {"role": "a"}
    assert load(tmp_path, {"role": "a"}, role="d").tags == {"role": "d"}


def test_serf_and_our_own_files_may_be_mixed(tmp_path):
    serf = write(tmp_path / "serf.conf", '\n {"replay_on_join": true, "tags": {"a": "1"}}')
    ours = write(tmp_path / "ours.toml", 'replay_on_join = false\ntags = { b = "2" }')
    config = load_config({"node_name": "a"}, [serf, ours], {})
    assert (config.replay_on_join, config.tags) == (False, {"a": "1", "b": "2"})


def test_a_directory_is_read_in_the_order_of_names_and_only_what_is_a_configuration(tmp_path):
    write(tmp_path / "b.json", {"tags": {"x": "b", "y": "b"}})
    write(tmp_path / "a.json", {"tags": {"x": "a", "z": "a"}})
    write(tmp_path / "c.toml", 'tags = { y = "c" }')
    write(tmp_path / "notes.txt", "nonsense")
    write(tmp_path / "json", "nonsense")
    (tmp_path / "sub.json").mkdir()
    assert load_config({"node_name": "a"}, [tmp_path], {}).tags == {"x": "b", "y": "c", "z": "a"}


def test_a_directory_of_the_most_files_is_read_and_one_more_is_refused(tmp_path):
    for number in range(MAX_FILES):
        (tmp_path / f"{number}.json").write_text("{}")
    load_config({"node_name": "a"}, [tmp_path], {})
    (tmp_path / "more.json").write_text("{}")
    with pytest.raises(ConfigError, match=f"{MAX_FILES + 1} files, at most {MAX_FILES} are read"):
        load_config({"node_name": "a"}, [tmp_path], {})


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"bogus": 1}, "unknown key 'bogus': Serf has no such key (our own keys go into a TOML file)"),
        ({"record": True}, "unknown key 'record': Serf has no such key (our own keys go into a TOML file)"),
        ({"Enable_Syslog": True}, f"Enable_Syslog is left out on purpose: {absent_key('enable_syslog')}"),
        ({"node_name": 3}, "node_name: expected a text, got 3"),
        ({"Bind": ["x"]}, "Bind: expected a text, got ['x']"),
        ({"retry_max_attempts": "3"}, "retry_max_attempts: expected a whole number, got '3'"),
        ({"retry_max_attempts": 3.5}, "retry_max_attempts: expected a whole number, got 3.5"),
        ({"retry_interval": "5x"}, "retry_interval: expected a duration such as 5s or 1m30s, got '5x'"),
        ({"leave_on_terminate": "x"}, "leave_on_terminate: expected true or false, got 'x'"),
        ({"user_event_size_limit": 9217}, "user_event_size_limit: expected at most 9216, got 9217"),
        ({"protocol": 2}, "protocol: expected at least 3, got 2"),
        ({"tags": {"a": 1}}, "tags: expected a table of texts, got {'a': 1}"),
        ({"start_join": "a"}, "start_join: expected a list of texts, got 'a'"),
    ],
)
def test_a_wrong_key_or_value_is_named_as_the_file_spells_it(tmp_path, content, problem):
    assert refusal(tmp_path, content) == f"{tmp_path}/0.json: {problem}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not valid JSON: expecting value (line 1, column 1)"),
        ('{"a":', "is not valid JSON: expecting value (line 1, column 6)"),
        ("{} x", "is not valid JSON: extra data (line 1, column 4)"),
        ("[]", "is not a configuration: expected an object in braces"),
        ('{"a":' + "[" * 100_000, "is not valid JSON: nested too deeply"),
        ('{"a":' + "9" * 5000 + "}", "is not valid JSON: a number has too many digits"),
    ],
)
def test_what_is_no_json_object_is_one_line(tmp_path, text, problem):
    assert refusal(tmp_path, text) == f"{tmp_path}/0.json {problem}"


def ask_serf(*words):
    """Start a real agent that reads its configuration and then stops at a profile it does not know."""
    done = subprocess.run(
        ["serf", "agent", *words, "-profile=none"], capture_output=True, text=True, timeout=30, check=False
    )
    return "Unknown profile: none" in done.stdout, done.stdout


@pytest.mark.serf
@pytest.mark.parametrize(
    ("content", "is_taken"),
    [
        ({"Node_Name": "a"}, True),
        ({"node-name": "a"}, False),
        ({"bogus": 1}, False),
        ({"node_name": 3}, False),
        ({"advertise": None, "tags": None, "start_join": None}, True),
        ({"retry_max_attempts": "3"}, False),
        ({"retry_interval": "1h2m3.5s"}, True),
        ({"retry_interval": "5x"}, False),
        ({"leave_on_terminate": "x"}, False),
        ({"tags": {"a": 1}}, False),
        ({"syslog_facility": "LOCAL7", "statsd_addr": ""}, True),
        ("[]", False),
        ("", False),
        ('{"a":', False),
    ],
)
def test_a_real_serf_takes_and_refuses_the_same_files(tmp_path, content, is_taken):
    file = write(tmp_path / "0.json", content)
    assert ask_serf(f"-config-file={file}")[0] is is_taken
    if is_taken:
        load(tmp_path, content)
    else:
        refusal(tmp_path, content)


@pytest.mark.serf
def test_every_flag_in_the_help_of_the_real_serf_is_in_our_list():
    done = subprocess.run(
        [shutil.which("serf"), "agent", "-help"], capture_output=True, text=True, timeout=30
    )
    flags = re.findall(r"^  -([a-z-]+)", done.stdout + done.stderr, re.MULTILINE)
    assert len(flags) > 20
    assert set(flags) <= set(SERF_FLAGS)
