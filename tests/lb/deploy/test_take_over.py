"""A file that somebody else wrote: refused, or kept as a copy and replaced."""

import os
import stat
from pathlib import Path

import pytest

from gossip.errors import ConfigError
from lb.deploy.adoption import Carried
from lb.deploy.config_file import MAX_COPIES, ConfigFile
from lb.deploy.directory import SwapError
from lb.deploy.take_over import CARRIED_NAME, read_carried, take_over
from lb.haproxy.config_check import Validator
from lb.haproxy.config_text import BLANK_DIGEST, set_digest

SOCKET = "/run/haproxy/admin.sock"
FOREIGN = b"# hand-written by ops\nglobal\n    user www\n    daemon\nfrontend f\n    bind :80\n\xff\n"
OURS, _ = set_digest(f"global\n    setenv LB_DIGEST {BLANK_DIGEST}\n".encode())


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "haproxy.cfg"
    path.write_bytes(FOREIGN)
    path.chmod(0o604)
    return path


@pytest.fixture
def file(target: Path):
    file = ConfigFile(target, Validator(("true", "{file}")))
    file.open()
    yield file
    file.close()


def test_foreign_file_is_refused_with_what_to_do(file: ConfigFile, target: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"gossip-lb did not write it \(--take-over keeps it as haproxy.cfg.bak-TIME"
    ):
        take_over(file, SOCKET, allowed=False)
    assert target.read_bytes() == FOREIGN
    assert list(target.parent.glob("*.bak-*")) == []


def test_original_is_kept_byte_for_byte_before_anything_is_replaced(
    file: ConfigFile, target: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if os.geteuid() == 0:
        os.chown(target, 12, 34)
    done = take_over(file, SOCKET, allowed=True)
    assert done is not None
    assert target.read_bytes() == FOREIGN
    file.swap(OURS)
    assert done.backup.parent == target.parent
    assert done.backup.read_bytes() == FOREIGN
    status, wanted = done.backup.stat(), target.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (
        0o604,
        wanted.st_uid,
        wanted.st_gid,
    )
    assert [r.what for r in caplog.records if r.getMessage() == "not carried over"] == [
        "line 4: daemon (HAProxy stays in the foreground, or it would outlive its supervisor)",
        "frontend f, 2 lines (write it into a template of your own: --template)",
    ]
    assert read_carried(target.parent) == Carried(settings={"user": "www"})


@pytest.mark.parametrize(("lost", "logged"), [(50, 50), (51, 50)])
def test_log_names_fifty_losses_and_the_summary_counts_all(
    file: ConfigFile, target: Path, caplog: pytest.LogCaptureFixture, lost: int, logged: int
) -> None:
    target.write_text("".join(f"frontend f{number}\n    bind :80\n" for number in range(lost)))
    assert take_over(file, SOCKET, allowed=True) is not None
    assert [record.getMessage() for record in caplog.records].count("not carried over") == logged
    assert caplog.records[-1].lost == lost


def test_second_look_at_the_same_file_makes_no_second_copy(file: ConfigFile, target: Path) -> None:
    first = take_over(file, SOCKET, allowed=True)
    second = take_over(file, SOCKET, allowed=True)
    assert first is not None
    assert second is not None
    assert first.backup == second.backup


@pytest.mark.parametrize("content", [None, OURS, OURS + b"# edited\n"])
def test_own_file_edited_or_not_and_no_file_need_no_take_over(
    file: ConfigFile, target: Path, content: bytes | None
) -> None:
    target.unlink()
    if content is not None:
        target.write_bytes(content)
    assert take_over(file, SOCKET, allowed=False) is None


def test_copies_are_never_overwritten(file: ConfigFile, target: Path) -> None:
    paths = [file.keep_copy(str(number).encode(), "bak") for number in range(5)]
    assert [path.read_bytes() for path in paths] == [b"0", b"1", b"2", b"3", b"4"]
    assert len(set(paths)) == 5


@pytest.mark.parametrize("excess", [0, 1])
def test_nothing_is_replaced_once_there_are_too_many_copies(
    file: ConfigFile, target: Path, excess: int
) -> None:
    for number in range(MAX_COPIES - 1 + excess):
        (target.parent / f"haproxy.cfg.bak-2{number:03}").write_bytes(b"")
    if excess:
        with pytest.raises(SwapError, match="delete those no longer needed"):
            take_over(file, SOCKET, allowed=True)
    else:
        assert take_over(file, SOCKET, allowed=True) is not None
    assert target.read_bytes() == FOREIGN


def test_list_of_carried_lines_may_have_256_kib_and_no_more(target: Path) -> None:
    path = target.parent / CARRIED_NAME
    path.write_bytes(b"{}".rjust(256 * 1024))
    assert read_carried(target.parent) == Carried()
    path.write_bytes(b"{}".rjust(256 * 1024 + 1))
    with pytest.raises(ConfigError, match="repair it"):
        read_carried(target.parent)


@pytest.mark.parametrize(("content", "words"), [(b"{", "repair it"), (b'{"settings": 1}', "repair it")])
def test_damaged_list_of_carried_lines_is_a_clear_error(target: Path, content: bytes, words: str) -> None:
    (target.parent / CARRIED_NAME).write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        read_carried(target.parent)
