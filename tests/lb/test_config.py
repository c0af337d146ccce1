"""The load balancer's configuration: sources, their order, and one line for every mistake."""

import shlex
from pathlib import Path

import pytest

from gossip.errors import ConfigError
from lb.config import MAX_SOCKET_PATH, LbConfig
from lb.config_sources import load_lb_config


def load(text: str = "", tmp_path: Path | None = None, environ=None, **flags: object) -> LbConfig:
    path = None
    if tmp_path is not None:
        path = tmp_path / "lb.toml"
        path.write_text(text)
    return load_lb_config(flags, path, environ or {})


def test_defaults_are_those_of_the_documentation() -> None:
    config = load()
    assert config.target == Path("/etc/haproxy/haproxy.cfg")
    assert config.sockets.state_file == Path("/etc/haproxy/.lb.state")
    assert config.validator.command == ("haproxy", "-c", "-f", "{file}")
    assert config.deployment.min_reload_interval == 5
    assert config.settle.join_wait == 15
    assert config.render.stats_bind == "127.0.0.1:8404"
    assert not config.plan(allow_loopback=False).allow_loopback
    assert config.read_template() is None


def test_later_sources_win(tmp_path: Path) -> None:
    text = """
        [lb]
        config_path = "/a/haproxy.cfg"
        min_reload_interval = "7s"
        arrive_quiet = 0.25
        backends = ["web", "api"]
        [lb.haproxy]
        timeout_connect = "100ms"
        [[lb.haproxy.frontends]]
        name = "api"
        binds = ["127.0.0.1:81"]
        backend = "api"
    """
    environ = {"GOSSIP_LB_CONFIG_PATH": "/b/haproxy.cfg", "GOSSIP_LB_MAX_OLD_WORKERS": "7", "OTHER": "x"}
    config = load(text, tmp_path, environ, config_path="/c/haproxy.cfg", template=None, listen=())
    assert config.target == Path("/c/haproxy.cfg")
    assert config.max_old_workers == 7
    assert (config.min_reload_interval, config.settle.quiet) == (7, 0.25)
    assert config.render.timeout_connect == "100ms"
    assert config.render.frontends[0].binds == ("127.0.0.1:81",)
    assert load(text, tmp_path, environ).target == Path("/b/haproxy.cfg")


def test_lists_in_the_environment_are_separated_by_commas() -> None:
    config = load(environ={"GOSSIP_LB_LISTEN": "127.0.0.1:80, [::1]:80", "GOSSIP_LB_START_HAPROXY": "true"})
    assert config.render.frontends[0].binds == ("127.0.0.1:80", "[::1]:80")
    assert config.start_haproxy


def test_listen_makes_one_frontend_for_the_first_backend() -> None:
    frontends = load(listen=("*:80",), backends=("api", "web")).render.frontends
    assert [(f.name, f.binds, f.backend) for f in frontends] == [("http", ("*:80",), "api")]


def test_sockets_and_state_file_reach_the_template(tmp_path: Path) -> None:
    config = load(admin_socket="/x/a.sock", state_file="/x/state", stats_bind="127.0.0.1:9")
    assert config.render.admin_socket == "/x/a.sock"
    assert config.render.state_file == "/x/state"
    assert config.render.stats_bind == "127.0.0.1:9"
    assert load(stats_bind="").render.stats_bind is None


def test_validation_uses_the_binary_that_is_started() -> None:
    assert load(haproxy_binary="/opt/haproxy").validator.command[0] == "/opt/haproxy"
    assert load(validate_command=("check", "{file}")).validator.command == ("check", "{file}")


@pytest.mark.parametrize("command", ["sh -c 'haproxy -c -f {file}'", "sh -c 'a, b' {file}"])
def test_validation_command_is_split_alike_from_every_source(tmp_path: Path, command: str) -> None:
    file = tmp_path / "lb.toml"
    file.write_text(f'[lb]\nvalidate_command = "{command}"\n')
    sources = (
        load(validate_command=command),
        load(environ={"GOSSIP_LB_VALIDATE_COMMAND": command}),
        load_lb_config({}, file, {}),
    )
    assert {config.validator.command for config in sources} == {tuple(shlex.split(command))}


def test_validation_command_with_an_open_quote_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"environment variable GOSSIP_LB_VALIDATE_COMMAND: .*no closing quotation"
    ):
        load(environ={"GOSSIP_LB_VALIDATE_COMMAND": "sh -c '{file}"})


def test_misspelt_variable_is_refused_with_the_right_one() -> None:
    with pytest.raises(
        ConfigError, match=r"GOSSIP_LB_LISTENN sets nothing \(did you mean GOSSIP_LB_LISTEN\?\)"
    ):
        load(environ={"GOSSIP_LB_LISTENN": ":80"})
    load(
        environ={"GOSSIP_LB_PORT": "tcp://10.0.0.1:80", "GOSSIP_LB_PORT_80_TCP": "x"}
    )  # Kubernetes sets such


def test_policy_for_foreign_edits_is_one_of_two() -> None:
    assert load(on_foreign_edit="hold").deployment.on_foreign_edit == "hold"
    with pytest.raises(ConfigError, match="--on-foreign-edit: expected one of restore, hold, got 'ask'"):
        load(on_foreign_edit="ask")


def test_template_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.j2").write_text("hello")
    assert load(template=str(tmp_path / "t.j2")).read_template() == "hello"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[lb]\nconfig_pat = 1", "unknown key 'config_pat' in [lb] (did you mean config_path?)"),
        ("[lb]\nconfig_path = 1", "lb.config_path: expected a text, got 1"),
        ("[lb]\nmin_backends = 'x'", "lb.min_backends: expected a whole number, got 'x'"),
        ("[lb]\nreload_timeout = 'soon'", "expected a duration such as 5s or 1m30s, got 'soon'"),
        ("[lb.haproxy]\nbalanc = 'x'", "lb.haproxy: unknown key 'balanc'"),
        ("[lb.haproxy]\nbalance = 'source'", "balance 'source': use one of"),
        ("[lb.haproxy]\nadmin_socket = '/x'", "set admin_socket in [lb], not in [lb.haproxy]"),
        ("node_name = 'x'\n[lb]", "unexpected node_name: only [lb] is read from this file"),
        ("lb = 1", "lb must be a table: write [lb]"),
        ("[lb", "is not valid TOML"),
    ],
)
def test_mistake_in_a_file_is_one_line_that_names_file_and_key(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text, tmp_path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read configuration .*lb.toml: no such file"):
        load_lb_config({}, tmp_path / "lb.toml", {})


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"master_socket": "m.sock"}, "master_socket 'm.sock': use an absolute path"),
        ({"master_socket": "/" + "m" * MAX_SOCKET_PATH}, "of at most 91 bytes"),
        ({"admin_socket": "a.sock"}, "admin_socket 'a.sock'"),
        ({"admin_socket": "/a b"}, "admin_socket '/a b'"),
        ({"validate_command": ("true",)}, "it needs {file}"),
        ({"runtime_timeout": "0s"}, "runtime_timeout: expected more than 0s, got 0s"),
        ({"max_old_workers": 0}, "max_old_workers: expected at least 1, got 0"),
        ({"min_backends": 0}, "min_backends: expected at least 1, got 0"),
        ({"template": "/no/such/template"}, "cannot read template /no/such/template: no such file"),
        ({"listen": ("80",)}, "bind '80': write it like"),
        ({"stats_bind": "0.0.0.0:80"}, "the page has no password"),
        ({"backends": ("a b",)}, "backend 'a b'"),
        ({"backends": ("api",)}, "frontend http wants backend 'web': configured are api"),
        ({"allowed_networks": ("10.0.0.1/8",)}, "allowed network '10.0.0.1/8'"),
    ],
)
def test_wrong_value_is_refused(flags: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(**flags)
    assert words in str(caught.value)


def test_longest_socket_path_is_accepted() -> None:
    load(master_socket="/" + "m" * (MAX_SOCKET_PATH - 1))


def test_template_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.j2").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load(template=str(tmp_path / "t.j2"))


def test_frontend_without_binds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="frontend x has no binds"):
        load("[[lb.haproxy.frontends]]\nname = 'x'\nbinds = []", tmp_path)


def test_wrong_value_in_the_environment_names_the_environment() -> None:
    with pytest.raises(
        ConfigError, match=r"^environment variable GOSSIP_LB_MIN_BACKENDS: expected a whole number, got 'x'$"
    ):
        load(environ={"GOSSIP_LB_MIN_BACKENDS": "x"})
