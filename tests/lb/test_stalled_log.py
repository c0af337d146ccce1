"""gossip-lb whose log nobody reads goes on, and ends when it is told to."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from gossip.ipc.client import Client
from tests.agents import eventually, free_block

F_SETPIPE_SZ = 1031


def answers(address: str) -> bool:
    with suppress(Exception), Client(address) as client:
        return bool(client.members())
    return False


@pytest.mark.haproxy
def test_load_balancer_whose_log_nobody_reads_answers_and_leaves(tmp_path: Path) -> None:
    block = free_block()
    host = f"{block}.1"
    reading, writing = os.pipe()
    fcntl.fcntl(writing, F_SETPIPE_SZ, 4096)
    flags = [
        f"--bind={host}",
        f"--rpc-addr={host}:7373",
        f"--config-path={tmp_path}/haproxy.cfg",
        f"--master-socket={tmp_path}/m.sock",
        f"--admin-socket={tmp_path}/a.sock",
        f"--listen={host}:8080",
        f"--stats-bind={host}:8404",
        "--log-level=debug",
    ]
    process = subprocess.Popen([sys.executable, "-m", "lb", "run", "--node=lb", *flags], stderr=writing)
    os.close(writing)
    try:
        eventually(lambda: answers(f"{host}:7373"), 30, "the agent to answer")
        for number in range(2, 200):  # a line for each
            with socket.socket(type=socket.SOCK_DGRAM) as sock:
                sock.bind((f"{block}.{number}", 0))
                sock.sendto(b"\xff", (host, 7946))
        for _ in range(5):
            assert answers(f"{host}:7373")
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0
    finally:
        process.kill()
        process.wait(10)
        os.close(reading)
