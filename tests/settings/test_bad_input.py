"""One bad value for every setting, from every source: one clear line on standard error, exit code 2."""

import json

import pytest

from gossip.agent.config import AgentConfig
from gossip.cli.main import run as gossip
from gossip.settings.setting import Serf, settings_of
from lb.cli import run as gossip_lb
from lb.config import LbConfig

AGENT, BALANCER = settings_of(AgentConfig), settings_of(LbConfig)
PLACES = {
    "gossip": (gossip, "agent", AGENT, "GOSSIP_"),
    "gossip-lb": (gossip_lb, "run", BALANCER, "GOSSIP_LB_"),
}
"""Each program, its command that has settings, these, and the prefix of their variables."""
DURATION = ("5x", "expected a duration such as 5s or 1m30s, got '5x'")
NUMBER = ("many", "expected a whole number, got 'many'")
SWITCH = ("maybe", "expected true or false, got 'maybe'")
BAD = {
    "node_name": ("a\x01b", "node_name 'a\\x01b' contains control or undecodable characters"),
    "bind": ("127.0.0.1:x", "'127.0.0.1:x' has the port 'x': expected 0..65535"),
    "advertise": ("a b", "'a b' is not host[:port] (IPv6 as [::1]:7946)"),
    "tags": ("novalue", "expected KEY=VALUE, got 'novalue'"),
    "tags_file": ("/dev/null", "cannot read tags_file /dev/null: not a regular file"),
    "role": ("r" * 600, "tags: encoded length of tags (610) exceeds limit of 512 bytes"),
    "encrypt_key": ("hush", "expected base64 of 16, 24 or 32 bytes, got 3 bytes"),
    "encrypt_file": ("/none/key", "cannot read encrypt_file /none/key: no such file or directory"),
    "keyring_file": ("/none/keys", "cannot read keyring_file /none/keys: no such file or directory"),
    "label": ("l" * 300, "the label is 300 bytes long: at most 255 are allowed"),
    "profile": ("moon", "expected one of lan, wan, local, got 'moon'"),
    "protocol": ("6", "expected at most 5, got 6"),
    "user_event_size_limit": ("9217", "expected at most 9216, got 9217"),
    "query_size_limit": ("0", "expected at least 1, got 0"),
    "query_response_size_limit": NUMBER,
    "start_join": (":1", "':1' names no host: expected host[:port]"),
    "discover": ("a.b", "'a.b' is not a name of at most 50 letters, digits, hyphens and underscores"),
    "retry_join": ("/a", "'/a' has an empty node name before the slash"),
    "retry_interval": ("0.5s", "expected at least 1s, got 0.5s"),
    "retry_max_attempts": ("-1", "expected at least 0, got -1"),
    "broadcast_timeout": DURATION,
    "reconnect_interval": DURATION,
    "reconnect_timeout": DURATION,
    "tombstone_timeout": ("-5s", "expected a duration such as 5s or 1m30s, got '-5s'"),
    "rpc_addr": ("unix:", "'unix:' names no path: expected unix:/path/to/socket"),
    "event_handlers": ("user=", "event handler 'user=' has no script: write [FILTER=]SCRIPT"),
    "event_handler_timeout": ("999999h", "duration '999999h' is not between 0 and ten years"),
    "log_level": ("loud", "expected one of TRACE, DEBUG, INFO, WARN, ERR, got 'LOUD'"),
    "log_format": ("xml", "expected one of logfmt, json, got 'xml'"),
    "ready_fd": ("0", "expected at least 1, got 0"),
    "template": ("/none/t.j2", "cannot read template /none/t.j2: no such file or directory"),
    "listen": ("80", "bind '80': write it like"),
    "stats_bind": ("0.0.0.0:80", "the page has no password"),
    "master_socket": ("m.sock", "master_socket 'm.sock': use an absolute path of at most 91 bytes"),
    "admin_socket": ("a.sock", "admin_socket 'a.sock'"),
    "on_foreign_edit": ("ask", "expected one of restore, hold, got 'ask'"),
    "validate_command": ("true", "validate_command 'true': it needs {file}"),
    "max_old_workers": ("0", "expected at least 1, got 0"),
    "min_backends": NUMBER,
    "backends": ("a b", "backend 'a b'"),
    "allowed_networks": ("10.0.0.1/8", "allowed network '10.0.0.1/8'"),
}
ANY_TEXT = {
    *("interface", "snapshot_path", "rpc_auth", "record_dir", "control"),
    *(
        "config_path",
        "state_file",
        "haproxy_binary",
        "role_tag",
        "role",
        "port_tag",
        "weight_tag",
        "backend_tag",
    ),
    "haproxy",
}
"""Names and paths that are used later; what is wrong with them shows when the agent starts."""


def bad(item):
    """Return a bad value of a setting, and what is to be said of it."""
    if item.is_switch:
        return SWITCH
    return BAD.get(item.name, DURATION if item.is_duration else NUMBER)


def has_bad_text(items, name):
    return name not in ANY_TEXT or (name == "role" and items is AGENT)


def agent_names(wanted=lambda item: True):
    return [name for name, item in AGENT.items() if has_bad_text(AGENT, name) and wanted(item)]


def balancer_names(wanted=lambda item: True):
    return [name for name, item in BALANCER.items() if has_bad_text(BALANCER, name) and wanted(item)]


@pytest.fixture(autouse=True)
def private(monkeypatch):
    for variable in ("GOSSIP_NODE_NAME", "SERF_RPC_ADDR", "SERF_RPC_AUTH"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("trio.run", lambda *_args: pytest.fail("an agent was started"))


def check(capsys, program, words, *expected):
    code = program(words)
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if not line.startswith("Deprecation warning")]
    assert (code, out, len(lines)) == (2, "", 1)
    assert lines[0].startswith(("gossip agent: ", "gossip-lb run: ", "gossip-lb: "))
    assert lines[0].isprintable()
    for text in expected:
        assert text in lines[0]


def test_every_setting_has_a_bad_value_here_or_takes_any_text():
    assert (BAD.keys() | ANY_TEXT) - {"role_tag"} <= AGENT.keys() | BALANCER.keys()
    for items in (AGENT, BALANCER):
        for name, item in items.items():
            if not (item.is_switch or item.is_duration or item.is_number or name in ANY_TEXT):
                assert name in BAD


def everywhere(wanted=lambda item: True):
    """Return each setting of the agent and of the load balancer of which `wanted` holds."""
    agent = [("gossip", name) for name in agent_names(wanted)]
    return pytest.mark.parametrize(
        ("program", "name"), [*agent, *(("gossip-lb", name) for name in balancer_names(wanted))]
    )


@everywhere(lambda item: item.setting.flag)
def test_a_bad_flag(program, name, capsys):
    run, command, items, _ = PLACES[program]
    item = items[name]
    value, problem = bad(item)
    if item.is_switch:
        problem = f"{item.setting.flag}=maybe is neither true nor false"
    check(capsys, run, [command, f"{item.setting.flag}={value}"], problem)


@everywhere()
def test_a_bad_variable(program, name, capsys, monkeypatch):
    run, command, items, prefix = PLACES[program]
    value, problem = bad(items[name])
    monkeypatch.setenv(f"{prefix}{name.upper()}", value)
    check(capsys, run, [command], problem)


@pytest.mark.parametrize("name", AGENT)
def test_a_value_of_another_type_in_toml(name, capsys, tmp_path):
    path = tmp_path / "a.toml"
    path.write_text(f"{name} = [[]]")
    check(capsys, gossip, ["agent", f"--config-file={path}"], f"{path}: {name}: expected ", "got [[]]"[:3])


@pytest.mark.parametrize("name", agent_names(lambda item: item.setting.serf is not Serf.NOT))
def test_a_bad_value_in_a_file_of_serf(name, capsys, tmp_path):
    item = AGENT[name]
    path = tmp_path / "a.json"
    value, problem = bad(item)
    given = [value] if item.is_list else value
    if item.is_map or (item.is_number and value.lstrip("-").isdigit()):
        given, problem = {"a": 1}, "expected "
    if item.is_switch:
        given, problem = "maybe", SWITCH[1]
    path.write_text(json.dumps({item.serf_key: given}))
    check(capsys, gossip, ["agent", f"--config-file={path}"], problem)


@pytest.mark.parametrize("name", [name for name in BALANCER if name != "haproxy"])
def test_a_value_of_another_type_in_the_table_of_the_load_balancer(name, capsys, tmp_path):
    path = tmp_path / "lb.toml"
    path.write_text(f"[lb]\n{name} = [[]]")
    check(capsys, gossip_lb, ["run", f"--lb-config={path}"], f"{path}: lb.{name}: expected ")


@pytest.mark.parametrize("flag", ["--nod", "-nod=x", "--retry", "-x", "--config"])
@pytest.mark.parametrize(("program", "command"), [(gossip, "agent"), (gossip_lb, "run")])
def test_an_unknown_flag_is_named_and_no_other_is_guessed(program, command, flag, capsys):
    check(capsys, program, [command, flag], "unknown flag -", "--help')")
    program([command, flag])
    err = capsys.readouterr().err
    assert "mean" not in err
    assert "possible" not in err
