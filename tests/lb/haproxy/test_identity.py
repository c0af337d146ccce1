"""As whom and where HAProxy runs."""

import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

from lb.haproxy import identity
from lb.haproxy.identity import unprivileged, working_directory
from tests.real_haproxy import Site

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change its user")


@AS_ROOT
@pytest.mark.haproxy
def test_haproxy_that_root_starts_runs_as_the_user_of_the_package(tmp_path: Path) -> None:
    assert unprivileged(tmp_path / "m.sock", is_started_by_us=True) == ("haproxy", "haproxy")


def test_without_such_a_user_nothing_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "NAME", "no-such-user")
    assert unprivileged(tmp_path / "m.sock", is_started_by_us=True) is None


@AS_ROOT
def test_running_master_that_is_not_root_keeps_its_user(tmp_path: Path) -> None:
    path = tmp_path / "m.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        os.seteuid(65534)
        try:
            listener.listen()  # the kernel remembers who did this
        finally:
            os.seteuid(0)
        assert unprivileged(path, is_started_by_us=False) is None
        assert unprivileged(path, is_started_by_us=True) is not None


@pytest.mark.haproxy
def test_running_master_tells_its_directory_and_a_stranger_does_not(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.config.write_bytes(site.content({}))
    site.haproxy.forget_state()
    assert working_directory(site.sockets.master) == Path.cwd()
    command = ["haproxy", "-W", "-S", str(site.sockets.master), "-f", str(site.config)]
    with subprocess.Popen(command, cwd="/usr", stderr=subprocess.DEVNULL) as running:
        try:
            deadline = time.monotonic() + 20
            while working_directory(site.sockets.master) != Path("/usr"):
                assert time.monotonic() < deadline
                time.sleep(0.05)
        finally:
            running.terminate()
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(tmp_path / "s.sock"))
        stranger.listen()
        assert working_directory(tmp_path / "s.sock") == Path.cwd()
