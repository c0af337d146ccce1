"""A reader of the log that stalls for a minute, as real Serf members see it."""

import fcntl
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gossip.ipc.client import Client
from tests.agents import SERF, agents, eventually

F_SETPIPE_SZ = 1031
STALL = 60.0


@pytest.mark.serf
@pytest.mark.soak
@pytest.mark.timeout(300)
def test_serf_never_doubts_an_agent_whose_log_nobody_reads_for_a_minute(tmp_path: Path) -> None:
    with agents(tmp_path) as cluster:
        watchers = [cluster.start(SERF, f"serf-{number}") for number in (1, 2)]
        assert watchers[1].run("join", f"{watchers[0].host}:7946").returncode == 0
        block = watchers[0].host.rpartition(".")[0]
        host = f"{block}.99"
        reading, writing = os.pipe()
        fcntl.fcntl(writing, F_SETPIPE_SZ, 4096)
        flags = [
            f"--bind={host}",
            f"--rpc-addr={host}:7373",
            f"--join={watchers[0].host}",
            "--log-level=debug",
        ]
        command = [sys.executable, "-m", "gossip", "agent", "--node=stalled", *flags]
        process = subprocess.Popen(command, stderr=writing)
        os.close(writing)
        try:
            eventually(lambda: all(w.statuses().get("stalled") == "alive" for w in watchers), 20, "the join")
            seen = set()
            end = time.monotonic() + STALL
            while time.monotonic() < end:
                for number in range(200):
                    rubbish(host, f"{block.rpartition('.')[0]}.{number}.200")
                seen.update(w.statuses()["stalled"] for w in watchers)
            assert seen == {"alive"}
            told = threading.Thread(target=read_all, args=(reading, lines := []))
            told.start()
            with Client(f"{host}:7373") as client:
                dropped = int(client.stats()["log"]["dropped_lines"])
                client.leave()
            assert process.wait(20) == 0
            told.join(20)
            assert (dropped > 0) == any(b"log lines dropped" in line for line in lines)
        finally:
            process.kill()
            process.wait(10)
            os.close(reading)


def rubbish(host: str, source: str) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind((source, 0))
        sock.sendto(b"\xff", (host, 7946))


def read_all(fd: int, lines: list[bytes]) -> None:
    with os.fdopen(fd, "rb", closefd=False) as stream:
        lines.extend(stream)
