"""Log lines leave the program in a thread of their own; a reader that stalls costs lines and nothing else."""

import fcntl
import io
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gossip.agent import log_writer
from gossip.agent.log_writer import FLUSH_TIMEOUT, MAX_QUEUED_BYTES, LineWriter
from gossip.ipc.client import Client
from tests.agents import eventually, free_block

F_SETPIPE_SZ = 1031
SMALL_PIPE = 4096


@pytest.fixture
def pipe():
    """A pipe that is soon full, as descriptors for reading and writing."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, F_SETPIPE_SZ, SMALL_PIPE)
    yield reading, writing
    for fd in (reading, writing):
        os.close(fd)


def report(lines):
    return f"dropped {lines}"


def writer_to(fd):
    # A descriptor of its own: the thread of a writer that a test leaves stalled would otherwise go on writing
    # to whatever file of a later test is given the same number.
    return LineWriter(os.fdopen(os.dup(fd), "w", closefd=False), report)


def read_until(fd, last):
    data = b""
    while last not in data:
        data += os.read(fd, 65536)
    return data.decode().splitlines()


def test_lines_arrive_in_order(pipe):
    reading, writing = pipe
    writer = writer_to(writing)
    for number in range(500):
        writer.put(f"line {number}")
    assert read_until(reading, b"line 499\n") == [f"line {number}" for number in range(500)]
    writer.close()
    assert writer.dropped == 0


def test_a_reader_that_stalls_costs_lines_and_is_told_how_many(pipe):
    reading, writing = pipe
    os.write(writing, b"f" * (SMALL_PIPE - 1) + b"\n")  # full: the first chunk is not written, and counts
    writer = writer_to(writing)
    line = "x" * 1023
    fitting = MAX_QUEUED_BYTES // 1024
    for _ in range(fitting):
        writer.put(line)
    assert writer.dropped == 0  # at the limit
    for _ in range(3):
        writer.put(line)  # and above
    assert writer.dropped == 3
    lines = read_until(reading, b"dropped 3\n")
    assert lines.count("dropped 3") == 1
    while len(lines) < fitting + 2:
        lines += read_until(reading, b"\n")
    writer.put("after")
    lines += read_until(reading, b"after\n")
    assert lines[-1] == "after"
    assert lines.count("dropped 3") == 1
    writer.close()


def test_the_end_waits_for_a_stalled_reader_for_a_bounded_time(pipe, monkeypatch):
    monkeypatch.setattr(log_writer, "FLUSH_TIMEOUT", 0.05)
    _, writing = pipe
    writer = writer_to(writing)
    for _ in range(100):
        writer.put("x" * 1000)
    start = time.monotonic()
    writer.close()
    assert time.monotonic() - start < FLUSH_TIMEOUT
    writer.put("late")
    assert writer.dropped == 1


def test_the_end_waits_until_everything_is_written(pipe):
    reading, writing = pipe
    writer = writer_to(writing)
    for _ in range(3):
        writer.put("x")
    writer.close()
    assert os.read(reading, 100) == b"x\n" * 3


def test_a_pipe_that_somebody_made_non_blocking_loses_nothing(pipe):
    reading, writing = pipe
    os.set_blocking(writing, False)
    writer = writer_to(writing)
    for number in range(2000):
        writer.put(f"line {number}")
    assert len(read_until(reading, b"line 1999\n")) == 2000
    writer.close()


def test_lines_that_nobody_can_read_are_counted(pipe):
    with Path("/dev/full").open("w") as full:
        writer = LineWriter(full, report)
        writer.put("lost")
        writer.close()
    assert writer.dropped == 1


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_a_stream_without_a_descriptor_will_do(stream):
    writer = LineWriter(stream, report)
    writer.put("line \udcff")
    writer.close()
    assert stream is None or stream.getvalue() == "line \\udcff\n"


# --- the agent as a process -------------------------------------------------------------------------------


@pytest.fixture
def stalled():
    """An agent whose stderr nobody reads: the process, its host, and the end to read from."""
    host = f"{free_block()}.1"
    reading, writing = os.pipe()
    fcntl.fcntl(writing, F_SETPIPE_SZ, SMALL_PIPE)
    command = ["agent", "--node=a", f"--bind={host}", f"--rpc-addr={host}:7373", "--log-level=debug"]
    process = subprocess.Popen([sys.executable, "-m", "gossip", *command], stderr=writing)
    os.close(writing)
    try:
        eventually(lambda: answers(host), 20, "the agent to answer")
        yield process, host, reading
    finally:
        process.kill()
        process.wait(10)
        os.close(reading)


def answers(host):
    try:
        with Client(f"{host}:7373") as client:
            return client.members()[0].name == "a"
    except Exception:
        return False


def complain_about_many(host, many):
    """Send rubbish from `many` hosts: a line of the log for each."""
    block = free_block()
    for number in range(many):
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.bind((f"{block}.{number + 1}", 0))
            sock.sendto(b"\xff", (host, 7946))


def test_an_agent_whose_log_nobody_reads_answers_and_leaves(stalled):
    process, host, _ = stalled
    complain_about_many(host, 100)
    with Client(f"{host}:7373") as client:
        for _ in range(10):
            assert client.stats()["log"]["dropped_lines"] == "0"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_an_agent_whose_log_nobody_reads_loses_nothing_that_fits(stalled):
    process, host, reading = stalled
    complain_about_many(host, 100)
    assert answers(host)
    process.send_signal(signal.SIGTERM)
    data = b""
    while chunk := os.read(reading, 65536):
        data += chunk
    assert process.wait(20) == 0
    assert len(re.findall(rb"peer violated the protocol", data)) == 100
    assert b"leaving gracefully" in data
