"""The agent as a process of its own: exit codes, signals, supervisors, what it imports."""

import os
import select
import signal
import socket
import subprocess
import sys

import pytest

PATIENCE = 30
HOST = "127.1.50.{}"


def command(host, *flags):
    base = ["agent", "--node=a", f"--bind={host}:0", "--profile=local", "--rpc-addr="]
    return [sys.executable, "-m", "gossip", *base, *flags]


@pytest.fixture
def start():
    """Start agents that announce their readiness; kill what is left of them."""
    started = []

    def start_agent(host, *flags, env=None):
        reading, writing = os.pipe()
        process = subprocess.Popen(
            command(host, f"--ready-fd={writing}", *flags),
            pass_fds=(writing,),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **(env or {})},
        )
        started.append(process)
        os.close(writing)
        ready, _, _ = select.select([reading], [], [], PATIENCE)
        said = os.read(reading, 10) if ready else b""
        os.close(reading)
        assert said == b"\n", process.communicate(timeout=PATIENCE)
        return process

    yield start_agent
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_gracefully_and_exits_with_zero(start, number):
    process = start(HOST.format(1))
    process.send_signal(number)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "leaving gracefully" in output
    assert "Traceback" not in output


def test_sighup_reloads_the_configuration_file(start, tmp_path):
    file = tmp_path / "gossip.toml"
    file.write_text('tags = { v = "1" }')
    process = start(HOST.format(2), f"--config-file={file}")
    file.write_text('tags = { v = "2" }\nlog_level = "debug"')
    process.send_signal(signal.SIGHUP)
    for line in process.stdout:
        if "configuration reloaded" in line:
            assert "log_level=DEBUG" in line
            break
    file.write_text("nonsense = 1")
    process.send_signal(signal.SIGHUP)
    for line in process.stdout:
        if "cannot reload the configuration" in line:
            assert "unknown key 'nonsense'" in line.replace("\\", "")
            break
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


def test_a_supervisor_hears_of_the_start_and_of_the_end(start, tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(path)
        supervisor.settimeout(PATIENCE)
        process = start(HOST.format(3), env={"NOTIFY_SOCKET": path})
        assert supervisor.recv(100) == b"READY=1"
        process.send_signal(signal.SIGTERM)
        assert supervisor.recv(100) == b"STOPPING=1"
        process.communicate(timeout=PATIENCE)


@pytest.mark.parametrize(
    ("flags", "code", "text"),
    [
        (["--profile=moon"], 2, "--profile: expected one of lan, wan, local, got 'moon'"),
        (["--config-file=/none.toml"], 2, "cannot read configuration /none.toml: no such file or directory"),
        (["--tag=x"], 2, "--tag: expected KEY=VALUE, got 'x'"),
        (["--encrypt=short"], 2, "--encrypt: expected base64 of 16, 24 or 32 bytes"),
        (["--bind=127.1.50.4:99999"], 2, "has the port '99999': expected 0..65535"),
        (["--bind=192.0.2.99:1"], 1, "not an address of this machine; try --bind"),
        (["--iface=nosuch0"], 1, "interface 'nosuch0' does not exist on this machine"),
        (["--bind=0.0.0.0:0", "--iface=nosuch0"], 1, "interface 'nosuch0' does not exist on this machine"),
        (["--advertise=0.0.0.0"], 2, "cannot advertise 0.0.0.0: peers could not reach it"),
        (["--ready-fd=5"], 2, "ready_fd 5 is not an open descriptor: the supervisor has to open it"),
    ],
)
def test_what_is_wrong_is_one_line_and_an_exit_code(flags, code, text):
    done = subprocess.run(
        command(HOST.format(4), *flags), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == code
    assert text in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_port_in_use_is_one_line_and_exit_code_one():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((HOST.format(5), 0))
        bind = "{}:{}".format(*taken.getsockname())
        done = subprocess.run(
            command(HOST.format(5), f"--bind={bind}"),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    expected = f"cannot bind udp {bind}: address already in use (another agent? try --bind)"
    assert done.returncode == 1
    assert done.stderr == f"gossip agent: {expected}\n"


def test_an_agent_without_a_key_imports_no_more_than_it_needs():
    script = "import sys, gossip.agent.service; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "trio" in loaded
    assert not loaded & {"cryptography", "asyncio", "rich", "jinja2", "h11", "click"}


AT_REST = """
import sys, trio
from gossip.agent.config import AgentConfig
from gossip.agent.service import run

async def show(agent):
    await agent.ready.wait()
    print(*sys.modules)
    agent.stop()

async def main():
    config = AgentConfig(node_name="a", bind="{host}:0", rpc_addr="{host}:0", profile="local")
    await run(config, panels=(show,))

trio.run(main)
"""


def test_an_agent_without_clients_and_handlers_does_not_load_what_these_need():
    script = AT_REST.replace("{host}", HOST.format(10))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "gossip.agent.ipc_server" in loaded
    assert not {name for name in loaded if name.startswith("gossip.ipc")}
    assert "gossip.agent.event_handlers" not in loaded


@pytest.mark.parametrize(
    ("number", "flag"),
    [(signal.SIGTERM, "--no-leave-on-terminate"), (signal.SIGINT, "--skip-leave-on-interrupt")],
)
def test_a_signal_that_is_not_to_leave_stops_at_once_with_exit_code_one(start, number, flag):
    process = start(HOST.format(9), flag)
    process.send_signal(number)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "stopping without leaving" in output
    assert "leaving gracefully" not in output


def test_a_setting_for_one_signal_leaves_the_other_as_it_was(start):
    process = start(HOST.format(9), "--no-leave-on-terminate")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "leaving gracefully" in output


def test_a_reload_of_a_bad_file_of_serf_leaves_the_agent_unharmed(start, tmp_path):
    file = tmp_path / "serf.json"
    file.write_text('{"tags": {"v": "1"}}')
    process = start(HOST.format(9), f"--config-dir={tmp_path}")
    for bad in ('{"tags":', '{"bogus": 1}', '{"log_level": "loud"}', '{"enable_syslog": true}'):
        file.write_text(bad)
        process.send_signal(signal.SIGHUP)
        assert any("cannot reload the configuration" in line for line in process.stdout)
    file.write_text('{"tags": {"v": "2"}}')
    process.send_signal(signal.SIGHUP)
    assert any("configuration reloaded" in line and "changed=tags" in line for line in process.stdout)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
