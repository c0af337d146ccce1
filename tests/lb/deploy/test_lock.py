"""One writer per directory."""

import subprocess
import sys
from pathlib import Path

import pytest

from gossip.errors import ConfigError
from lb.deploy.lock import LOCK_NAME, DirectoryLock

HOLD = """
import sys
from pathlib import Path
from lb.deploy.lock import DirectoryLock
DirectoryLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_second_holder_is_refused_and_told_the_pid_of_the_first(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(ConfigError, match=f"process {holder.pid} holds it"):
            DirectoryLock(tmp_path).acquire()
        holder.kill()
    lock = DirectoryLock(tmp_path)
    lock.acquire()  # a killed holder holds nothing
    lock.release()


def test_released_lock_can_be_taken_again(tmp_path: Path) -> None:
    first, second = DirectoryLock(tmp_path), DirectoryLock(tmp_path)
    first.acquire()
    first.release()
    first.release()
    second.acquire()
    second.release()
    assert (tmp_path / LOCK_NAME).exists()


def test_lock_that_cannot_be_created_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot create the lock .*: No such file or directory"):
        DirectoryLock(tmp_path / "missing").acquire()
