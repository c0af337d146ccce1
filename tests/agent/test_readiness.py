import logging
import os
import socket

import pytest

from gossip.agent.readiness import STOPPING, announce_ready, check_ready_fd, notify
from gossip.errors import ConfigError


def test_readiness_is_a_newline_and_then_the_end_of_the_file():
    reading, writing = os.pipe()
    announce_ready(writing, {})
    assert os.read(reading, 10) == b"\n"
    assert os.read(reading, 10) == b""
    os.close(reading)


def test_a_closed_descriptor_is_a_warning(caplog):
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    announce_ready(writing, {})
    assert caplog.records[0].getMessage() == "cannot announce readiness"


def test_the_supervisor_is_told_over_its_socket(tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(path)
        supervisor.settimeout(5)
        announce_ready(None, {"NOTIFY_SOCKET": path})
        notify(STOPPING, {"NOTIFY_SOCKET": path})
        assert supervisor.recv(100) == b"READY=1"
        assert supervisor.recv(100) == b"STOPPING=1"


def test_an_abstract_socket_works_as_well():
    name = f"gossip-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(f"\0{name}")
        supervisor.settimeout(5)
        notify(b"READY=1", {"NOTIFY_SOCKET": f"@{name}"})
        assert supervisor.recv(100) == b"READY=1"


def test_a_supervisor_that_is_gone_is_a_warning(caplog, tmp_path):
    with caplog.at_level(logging.WARNING):
        notify(b"READY=1", {"NOTIFY_SOCKET": str(tmp_path / "gone")})
    assert caplog.records[0].getMessage() == "cannot notify the supervisor"


def test_without_a_supervisor_nothing_is_said(caplog):
    notify(b"READY=1", {})
    announce_ready(None, {})
    assert not caplog.records


def test_a_descriptor_has_to_be_open_before_anything_else_is():
    reading, writing = os.pipe()
    check_ready_fd(writing)
    check_ready_fd(None)
    os.close(reading)
    os.close(writing)
    for closed in (writing, 2**40):
        with pytest.raises(ConfigError, match=f"ready_fd {closed} is not an open descriptor"):
            check_ready_fd(closed)
