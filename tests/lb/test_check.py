"""`gossip-lb check`: one line for everything that must be right."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from lb.cli import run as gossip_lb
from lb.config_sources import load_lb_config
from lb.deploy.config_file import ConfigFile
from lb.haproxy.config_check import Validator
from lb.render.renderer import default_template
from tests.real_haproxy import HOST, Site, eventually, free_port

pytestmark = pytest.mark.haproxy


def check_command(site: Site, *more: str) -> list[str]:
    sockets = ["--master-socket", str(site.sockets.master), "--admin-socket", str(site.sockets.admin)]
    where = ["--listen", f"{HOST}:{site.port}", "--stats-bind", ""]
    return ["check", "--config-path", str(site.config), *where, *sockets, *more]


def check(site: Site, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, list[str]]:
    code = gossip_lb(check_command(site, *more))
    return code, capsys.readouterr().out.splitlines()


def failures(lines: list[str]) -> list[str]:
    return [line.removeprefix("FAIL  ") for line in lines if line.startswith("FAIL")]


def test_nothing_is_wrong_before_haproxy_is_started(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = check(site, capsys, "--start-haproxy")
    assert (code, failures(lines)) == (0, [])
    assert lines[0] == "ok    haproxy is installed"
    assert f"ok    {site.config} is not there yet" in lines
    assert not site.config.exists()


def test_silent_haproxy_is_named(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = check(site, capsys)
    assert code == 1
    [problem] = failures(lines)
    assert problem.startswith("haproxy's master answers: cannot ask haproxy")
    assert "no such socket" in problem


def test_directory_that_does_not_exist_is_named(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = check(site, capsys, "--config-path", "/no/such/haproxy.cfg", "--start-haproxy")
    assert code == 1
    assert failures(lines)[0].startswith("files can be swapped in /no/such: cannot write")


def test_missing_haproxy_is_named(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = check(site, capsys, "--start-haproxy", "--haproxy-binary", "haproxie")
    assert code == 1
    assert failures(lines) == [
        "haproxie is installed: no such program (apt-get install haproxie, or see --haproxy-binary)"
    ]


def test_port_that_is_taken_is_named(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, site.port))
        taken.listen()
        code, lines = check(site, capsys, "--start-haproxy")
    assert code == 1
    where = f"{HOST}:{site.port}"
    assert failures(lines) == [
        f"haproxy can listen on the configured addresses: cannot listen on {where}: address already in use"
    ]


def test_run_directory_that_is_missing_is_named(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = check(site, capsys, "--start-haproxy", "--master-socket", "/no/such/m.sock")
    assert code == 1
    assert failures(lines) == ["sockets and state can be created in /no/such: no such directory (create it)"]


def test_run_directory_without_permission_is_named(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = site.directory / "run"
    run.mkdir()
    real_access = os.access  # root may write anywhere
    monkeypatch.setattr(os, "access", lambda path, mode: path != run and real_access(path, mode))
    code, lines = check(site, capsys, "--start-haproxy", "--admin-socket", str(run / "a.sock"))
    assert code == 1
    [problem] = failures(lines)
    assert problem.startswith(f"sockets and state can be created in {run}: permission denied")


@pytest.mark.parametrize(
    ("template", "words"),
    [("{{ nonsense }}", "is undefined"), (default_template() + "{{ backends[0].servers | length }}", "line")],
)
def test_template_that_does_not_work_is_named(
    site: Site, capsys: pytest.CaptureFixture[str], template: str, words: str
) -> None:
    path = site.directory / "t.j2"
    path.write_text(template)
    code, lines = check(site, capsys, "--start-haproxy", "--template", str(path))
    assert code == 1
    [problem] = failures(lines)
    assert problem.startswith("the template renders")
    assert words in problem


def test_backend_tag_is_used(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    config = site.directory / "lb.toml"
    config.write_text('[lb]\nbackend_tag = "pool"\n')
    assert check(site, capsys, "--start-haproxy", "--lb-config", str(config))[0] == 0


FOREIGN = "global\n    user www-data\n    daemon\ndefaults\n    timeout client 9s\nfrontend f\n    bind :80\n"


def test_foreign_file_is_named_with_what_a_take_over_would_lose(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.config.write_text(FOREIGN)
    code, lines = check(site, capsys, "--start-haproxy")
    assert code == 1
    assert failures(lines)[0].startswith(f"{site.config} is a file of gossip-lb: cannot use {site.config}")
    notes = [line.strip() for line in lines if line.startswith("      ")]
    assert notes == [
        "a take-over carries over 2 lines of global and defaults",
        "a take-over loses line 3: daemon "
        "(HAProxy stays in the foreground, or it would outlive its supervisor)",
        "a take-over loses frontend f, 1 line (write it into a template of your own: --template)",
    ]
    code, lines = check(site, capsys, "--start-haproxy", "--take-over")
    assert (code, failures(lines)) == (0, [])
    assert site.config.read_text() == FOREIGN
    assert list(site.directory.glob("*.bak-*")) == []


@pytest.mark.parametrize(
    ("policy", "fate"),
    [("restore", "our version is restored"), ("hold", "the edit stays, so nothing is swapped")],
)
def test_edited_file_is_no_failure_but_its_fate_is_told(
    site: Site, capsys: pytest.CaptureFixture[str], policy: str, fate: str
) -> None:
    site.config.write_bytes(site.content({}) + b"# edited\n")
    code, lines = check(site, capsys, "--start-haproxy", "--on-foreign-edit", policy)
    assert code == 0
    assert any(fate in line for line in lines)


@contextmanager
def haproxy(site: Site, config: Path) -> Iterator[None]:
    command = ["haproxy", "-W", "-S", str(site.sockets.master), "-f", str(config)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as running:
        try:
            trio.run(eventually, site.haproxy.wait_ready)
            yield
        finally:
            running.terminate()


def test_running_haproxy_is_asked(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.config.write_bytes(site.content({}))
    site.haproxy.forget_state()
    with haproxy(site, site.config):
        code, lines = check(site, capsys)
    assert (code, failures(lines)) == (0, [])
    assert f"ok    haproxy reads {site.config}" in lines


def test_haproxy_that_reads_another_file_is_named(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    other = site.directory / "other.cfg"
    other.write_bytes(site.content({}))
    site.haproxy.forget_state()
    with haproxy(site, other):
        code, lines = check(site, capsys, "--listen", f"{HOST}:{free_port()}")
    assert code == 1
    problem = f"haproxy reads {site.config}: it reads {other} (see --config-path and --master-socket)"
    assert problem in failures(lines)


def test_beside_a_running_load_balancer_it_says_that_one_runs(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.config.write_bytes(site.content({}))
    file = ConfigFile(load_lb_config({"config_path": str(site.config)}, None, {}).target, Validator())
    file.open()
    try:
        code, lines = check(site, capsys, "--start-haproxy")
    finally:
        file.close()
    assert (code, failures(lines)) == (0, [])
    assert f"ok    gossip-lb is already running here (process {os.getpid()})" in lines


def test_wrong_configuration_of_a_check_is_exit_2(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert gossip_lb(check_command(site, "--backend", "a b")) == 2
    assert capsys.readouterr().err.startswith("gossip-lb: backend 'a b'")


@pytest.mark.parametrize("network", ["10.0.0.1/32", "2001:db8::1/128"])
def test_a_single_address_is_a_network_too(
    site: Site, network: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, lines = check(site, capsys, "--start-haproxy", "--allow-network", network)
    assert "ok    the template renders, and only its server lines depend on members" in lines
