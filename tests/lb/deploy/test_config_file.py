"""The swap of one file: old or new, never mixed; and what stops it, in words."""

import errno
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest

from gossip.errors import ConfigError
from lb.deploy.config_file import (
    GOOD_NAME,
    MAX_CONFIG_BYTES,
    ConfigFile,
    RejectedError,
    content_digest,
)
from lb.deploy.directory import SwapError
from lb.haproxy.config_check import Validator

ACCEPT = Validator(("true", "{file}"))
REFUSE = Validator(("sh", "-c", "echo '[ALERT] no good'; exit 1", "{file}"))
OLD = b"old\n"
NEW = b"new\n"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "haproxy.cfg"
    path.write_bytes(OLD)
    return path


def opened(target: Path, validator: Validator = ACCEPT) -> ConfigFile:
    file = ConfigFile(target, validator)
    file.open()
    return file


def candidates(target: Path) -> list[Path]:
    return list(target.parent.glob(".lb.*.tmp"))


def test_swap_replaces_the_content_and_tells_both_digests(target: Path) -> None:
    file = opened(target)
    done = file.swap(NEW)
    assert (done.changed, done.digest, done.previous) == (True, content_digest(NEW), content_digest(OLD))
    assert target.read_bytes() == NEW
    assert candidates(target) == []
    file.close()


def test_equal_content_is_not_written(target: Path) -> None:
    file = opened(target, REFUSE)
    before = target.stat()
    assert not file.swap(OLD).changed
    assert target.stat() == before


def test_first_file_gets_a_mode_that_strangers_cannot_read(tmp_path: Path) -> None:
    file = opened(tmp_path / "haproxy.cfg")
    assert file.read() is None
    assert file.swap(NEW).previous is None
    assert stat.S_IMODE((tmp_path / "haproxy.cfg").stat().st_mode) == 0o640


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664])
def test_swap_keeps_the_mode(target: Path, mode: int) -> None:
    target.chmod(mode)
    opened(target).swap(NEW)
    assert stat.S_IMODE(target.stat().st_mode) == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
def test_swap_keeps_the_owner(target: Path) -> None:
    os.chown(target, 12, 34)
    opened(target).swap(NEW)
    assert (target.stat().st_uid, target.stat().st_gid) == (12, 34)


def test_swap_follows_a_symbolic_link_and_keeps_it(target: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link.cfg"
    link.symlink_to(target)
    opened(link).swap(NEW)
    assert link.is_symlink()
    assert target.read_bytes() == NEW


def test_refused_candidate_leaves_the_old_file_and_no_trace(target: Path) -> None:
    file = opened(target, REFUSE)
    before = target.stat()
    with pytest.raises(RejectedError, match="no good") as caught:
        file.swap(NEW)
    assert caught.value.step == "validate"
    assert target.stat() == before
    assert candidates(target) == []


def test_validate_touches_nothing(target: Path) -> None:
    file = opened(target)
    before = target.stat()
    file.validate(NEW)
    assert target.stat() == before
    assert candidates(target) == []


def test_candidate_that_somebody_changed_after_validation_is_not_used(target: Path) -> None:
    meddler = Validator(("sh", "-c", 'echo more >> "$0"', "{file}"))
    with pytest.raises(SwapError, match="somebody else is changing it") as caught:
        opened(target, meddler).swap(NEW)
    assert caught.value.step == "rehash"
    assert target.read_bytes() == OLD
    assert candidates(target) == []


def test_content_at_the_limit_is_swapped_and_one_above_refused(target: Path) -> None:
    file = opened(target)
    file.swap(b"x" * MAX_CONFIG_BYTES)
    with pytest.raises(RejectedError, match=f"exceeds the limit of {MAX_CONFIG_BYTES}"):
        file.swap(b"x" * (MAX_CONFIG_BYTES + 1))
    assert target.stat().st_size == MAX_CONFIG_BYTES


def test_present_file_above_the_limit_is_reported(target: Path) -> None:
    target.write_bytes(b"x" * (MAX_CONFIG_BYTES + 1))
    with pytest.raises(SwapError, match="larger than the limit"):
        opened(target).swap(NEW)


def test_last_known_good_survives_swaps_until_it_is_replaced(target: Path) -> None:
    file = opened(target)
    assert file.read_good() is None
    file.keep_good(OLD)
    file.keep_good(OLD)
    file.swap(NEW)
    assert file.read_good() == OLD
    file.keep_good(NEW)
    assert file.read_good() == NEW
    assert candidates(target) == []


def failing(number: int) -> Callable[..., NoReturn]:
    def fail(*_: object, **_more: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize(
    ("call", "number", "step", "words"),
    [
        ("fsync", errno.ENOSPC, "write", "No space left on device"),
        ("fchmod", errno.EPERM, "write", "Operation not permitted"),
        ("replace", errno.EBUSY, "replace", "Device or resource busy"),
        ("replace", errno.EXDEV, "replace", "Invalid cross-device link"),
    ],
)
def test_failing_system_call_leaves_the_old_file_and_is_named(
    target: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, step: str, words: str
) -> None:
    file = opened(target)
    monkeypatch.setattr(os, call, failing(number))
    with pytest.raises(SwapError, match=words) as caught:
        file.swap(NEW)
    assert caught.value.step == step
    assert target.read_bytes() == OLD
    assert candidates(target) == []


def test_candidate_that_cannot_be_created_is_reported(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = opened(target)
    real_open = os.open

    def open_existing(path: str, flags: int, *more: int, **named: int) -> int:
        return failing(errno.EROFS)() if flags & os.O_CREAT else real_open(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", open_existing)
    with pytest.raises(SwapError, match=r"cannot create a candidate in .*Read-only file system"):
        file.swap(NEW)
    with pytest.raises(ConfigError, match="must be writable"):
        ConfigFile(target, ACCEPT)._probe()


def test_last_known_good_that_cannot_be_written_is_reported(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = opened(target)
    monkeypatch.setattr(os, "replace", failing(errno.EIO))
    with pytest.raises(SwapError, match=r"cannot write .*Input/output error") as caught:
        file.keep_good(NEW)
    assert caught.value.step == "keep"
    assert candidates(target) == []


def test_unreadable_file_is_reported(target: Path) -> None:
    file = opened(target)
    target.unlink()
    target.mkdir()
    with pytest.raises(SwapError, match=r"cannot read .*Is a directory"):
        file.swap(NEW)


def test_start_removes_candidates_that_a_killed_writer_left(target: Path) -> None:
    (target.parent / ".lb.abc.tmp").write_bytes(b"half")
    (target.parent / GOOD_NAME).write_bytes(OLD)
    file = opened(target)
    assert candidates(target) == []
    assert file.read_good() == OLD


@pytest.mark.parametrize(
    ("prepare", "complaint"),
    [
        (lambda d: d.rmdir(), "is not a directory"),
        (lambda d: (d / "haproxy.cfg").mkdir(), "not a regular file"),
        (lambda d: os.mkfifo(d / "haproxy.cfg"), "not a regular file"),
    ],
)
def test_start_refuses_what_cannot_work(
    tmp_path: Path, prepare: Callable[[Path], object], complaint: str
) -> None:
    directory = tmp_path / "etc"
    directory.mkdir()
    prepare(directory)
    with pytest.raises(ConfigError, match=complaint):
        ConfigFile(directory / "haproxy.cfg", ACCEPT).open()


def test_start_refuses_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="file name too long"):
        ConfigFile(tmp_path / ("x" * 300), ACCEPT).open()


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "haproxy.cfg")
    with pytest.raises(SwapError, match="not a regular file"):
        ConfigFile(tmp_path / "haproxy.cfg", ACCEPT).read()


def test_start_refuses_a_directory_where_renaming_fails(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "replace", failing(errno.EACCES))
    with pytest.raises(ConfigError, match=r"cannot rename within .*Permission denied"):
        ConfigFile(target, ACCEPT).open()
    monkeypatch.undo()
    opened(target)  # and the lock was given back


def test_start_refuses_a_second_writer(target: Path) -> None:
    opened_first = opened(target)
    with pytest.raises(ConfigError, match=f"process {os.getpid()} holds it"):
        ConfigFile(target, ACCEPT).open()
    opened_first.close()
    opened(target)


def test_mount_table_that_cannot_be_read_is_no_obstacle(
    target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lb.deploy.config_file.MOUNTINFO", tmp_path / "missing")
    opened(target).swap(NEW)
    assert target.read_bytes() == NEW


def test_directory_replaced_by_a_symbolic_link_gets_nothing(target: Path, tmp_path: Path) -> None:
    directory = tmp_path / "etc"
    directory.mkdir()
    file = opened(directory / "haproxy.cfg")
    file.swap(OLD)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    directory.rename(tmp_path / "moved")
    directory.symlink_to(elsewhere)
    for write in (file.swap, file.keep_good, partial(file.keep_copy, kind="bak")):
        with pytest.raises(SwapError, match="was replaced by a symbolic link: nothing is written") as caught:
            write(NEW)
        assert caught.value.step == "directory"
    with pytest.raises(SwapError, match="was replaced by a symbolic link"):
        file.read()
    assert list(elsewhere.iterdir()) == []
    assert (tmp_path / "moved" / "haproxy.cfg").read_bytes() == OLD


def test_directory_that_was_removed_and_made_again_is_locked_again(tmp_path: Path) -> None:
    directory = tmp_path / "etc"
    directory.mkdir()
    file = opened(directory / "haproxy.cfg")
    shutil.rmtree(directory)
    with pytest.raises(SwapError, match="No such file or directory"):
        file.swap(NEW)
    directory.mkdir()
    file.swap(NEW)
    assert (directory / "haproxy.cfg").read_bytes() == NEW
    with pytest.raises(ConfigError, match="holds it"):
        ConfigFile(directory / "haproxy.cfg", ACCEPT).open()


def test_planted_symbolic_link_is_never_followed(target: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious\n")
    file = opened(target)
    (tmp_path / GOOD_NAME).symlink_to(victim)
    file.write_beside(GOOD_NAME, NEW)
    assert victim.read_bytes() == b"precious\n"
    assert not (tmp_path / GOOD_NAME).is_symlink()


OPEN_ONLY = """
import sys
from pathlib import Path
from lb.deploy.config_file import ConfigFile
from lb.haproxy.config_check import Validator
from gossip.errors import ConfigError
try:
    ConfigFile(Path(sys.argv[1]), Validator(("true", "{file}"))).open()
except ConfigError as error:
    sys.exit(str(error))
"""


def in_mount_namespace(prepare: str, target: Path) -> subprocess.CompletedProcess[str]:
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-m", "true"], capture_output=True).returncode:
        pytest.skip("THIS USER MAY NOT MOUNT: run as root")
    script = f'{prepare}; exec "{sys.executable}" -c "$OPEN_ONLY" "$TARGET"'
    return subprocess.run(
        [unshare, "-m", "sh", "-e", "-c", script],
        env={**os.environ, "OPEN_ONLY": OPEN_ONLY, "TARGET": str(target)},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("name", ["haproxy.cfg", "ha proxy.cfg"])
def test_start_refuses_a_target_that_is_a_bind_mount(tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    target.write_bytes(OLD)
    done = in_mount_namespace('mount --bind "$TARGET" "$TARGET"', target)
    assert done.returncode == 1
    assert "is a mount point" in done.stderr
    assert f"mount the directory {tmp_path} instead" in done.stderr


def test_start_refuses_a_target_mounted_from_another_file_system(target: Path) -> None:
    other = 'mkdir "$TARGET.d"; mount -t tmpfs none "$TARGET.d"; touch "$TARGET.d/f"'
    done = in_mount_namespace(f'{other}; mount --bind "$TARGET.d/f" "$TARGET"', target)
    assert done.returncode == 1
    assert "is a mount point" in done.stderr


def test_start_refuses_a_read_only_directory(tmp_path: Path) -> None:
    directory = tmp_path / "etc"
    directory.mkdir()
    prepare = 'D="${TARGET%/*}"; mount --bind "$D" "$D"; mount -o remount,ro,bind "$D"'
    done = in_mount_namespace(prepare, directory / "haproxy.cfg")
    assert done.returncode == 1
    assert "Read-only file system" in done.stderr


def test_start_accepts_a_bind_mounted_directory(tmp_path: Path) -> None:
    directory = tmp_path / "etc"
    directory.mkdir()
    done = in_mount_namespace(
        'D="${TARGET%/*}"; mount -t tmpfs none "$D"; touch "$TARGET"', directory / "haproxy.cfg"
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_readers_never_see_a_torn_file_over_a_thousand_swaps(target: Path) -> None:
    versions = [bytes([letter]) * 20_000 for letter in b"ab"]
    whole = {content_digest(version) for version in versions} | {content_digest(OLD)}
    stop = threading.Event()
    torn: list[bytes] = []
    reads = [0, 0]

    def read(slot: int) -> None:
        while not stop.is_set():
            content = target.read_bytes()
            reads[slot] += 1
            if content_digest(content) not in whole:
                torn.append(content)

    readers = [threading.Thread(target=read, args=(slot,)) for slot in range(2)]
    for reader in readers:
        reader.start()
    file = opened(target)
    try:
        for swap in range(1000):
            assert file.swap(versions[swap % 2]).changed
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert torn == []
    assert sum(reads) >= 1000


SWAP_ONCE = """
import sys
from pathlib import Path
from lb.deploy.config_file import ConfigFile
from lb.haproxy.config_check import Validator
file = ConfigFile(Path(sys.argv[1]), Validator(("true", "{file}")))
file.open()
file.keep_good(file.read())
file.swap(b"new\\n")
"""

# The calls that write, in the order of `SWAP_ONCE`: the probe, the last known good, then the swap itself.
KILLS = [
    ("rename,renameat,renameat2", 1, OLD),
    ("rename,renameat,renameat2", 2, OLD),
    ("rename,renameat,renameat2", 3, OLD),
    ("fsync", 1, OLD),
    ("fsync", 2, OLD),
    ("fsync", 4, OLD),
    ("fsync", 5, NEW),
    ("fchmod", 1, OLD),
    ("fchmod", 3, OLD),
    ("unlink,unlinkat", 1, OLD),
]


@pytest.mark.skipif(not shutil.which("strace"), reason="strace IS NOT INSTALLED: apt-get install strace")
@pytest.mark.parametrize(("call", "nth", "left"), KILLS)
def test_writer_killed_before_a_system_call_leaves_the_whole_old_or_new_file(
    target: Path, call: str, nth: int, left: bytes
) -> None:
    traced = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"inject={call}:signal=KILL:when={nth}"]
    done = subprocess.run(
        [*traced, sys.executable, "-B", "-c", SWAP_ONCE, str(target)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -9, done.stderr
    assert target.read_bytes() == left
    file = opened(target)
    assert candidates(target) == []
    file.swap(b"next\n")
    assert target.read_bytes() == b"next\n"
