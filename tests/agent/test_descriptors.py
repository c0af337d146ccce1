"""An agent that runs out of file descriptors: it says so, gossips on, and is there again afterwards."""

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from gossip.ipc.client import Client
from tests.agents import eventually, free_block

DESCRIPTORS = 32


def answers(address):
    with contextlib.suppress(Exception), Client(address) as client:
        return bool(client.members())
    return False


def connect_all(stack, *addresses):
    for address in addresses:
        for _ in range(2 * DESCRIPTORS):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sock.connect(address)


def test_lack_of_descriptors_is_a_line_and_costs_nothing_else(tmp_path):
    host = f"{free_block()}.1"
    flags = ["--node=a", f"--bind={host}", f"--rpc-addr={host}:7373"]
    log = tmp_path / "log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "gossip", "agent", *flags],
            stderr=sink,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS)),
        )
    try:
        eventually(lambda: answers(f"{host}:7373"), 20, "the agent to answer")
        with contextlib.ExitStack() as stack:
            connect_all(stack, (host, 7373), (host, 7946))
            eventually(lambda: "too many open files" in log.read_text(), 20, "the line")
            cpu = cpu_seconds(process.pid)
            start = time.monotonic()
            time.sleep(1)
            assert process.poll() is None
            assert cpu_seconds(process.pid) - cpu < (time.monotonic() - start) / 2
        eventually(lambda: answers(f"{host}:7373"), 20, "the agent to answer again")
        assert log.read_text().count("too many open files") <= 2  # for commands and for streams
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait(10)


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
