"""Addresses of members from one life of the balancer to the next."""

from pathlib import Path

import pytest

from gossip.serf.members import MemberStatus, SerfMember
from gossip.wire.messages import Alive
from lb.deploy.last_view import (
    MAX_REMEMBERED,
    MAX_SEEDS,
    VIEW_NAME,
    addresses_of,
    read_view,
    seeds,
    write_view,
)
from lb.policy.plan import Claim


def member(name: str, last: int, status: MemberStatus = MemberStatus.ALIVE, since: float = 0.0) -> SerfMember:
    return SerfMember(
        Alive(1, name, bytes((10, 0, 0, last)), 7946, b"", (1, 5, 2, 2, 5, 4)), status, 1, since
    )


def test_what_was_kept_is_read(tmp_path: Path) -> None:
    path = tmp_path / VIEW_NAME
    assert read_view(path) == ()
    write_view(path, ("10.0.0.1:7946", "[fd00::1]:7947"))
    assert read_view(path) == ("10.0.0.1:7946", "[fd00::1]:7947")
    assert [p.name for p in tmp_path.iterdir()] == [VIEW_NAME]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'["10.0.0.1:79', b"\xff\xfe"])
def test_a_damaged_file_is_no_seed_and_a_warning(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / VIEW_NAME).write_bytes(content)
    assert read_view(tmp_path / VIEW_NAME) == ()
    assert "cannot read the members of the last run" in caplog.text


@pytest.mark.parametrize(("length", "read"), [(64 * 1024, ("10.0.0.1:7946",)), (64 * 1024 + 1, ())])
def test_a_file_of_64_kib_is_read_and_none_longer(tmp_path: Path, length: int, read: tuple[str, ...]) -> None:
    (tmp_path / VIEW_NAME).write_bytes(b'["10.0.0.1:7946"]'.rjust(length))
    assert read_view(tmp_path / VIEW_NAME) == read


def test_what_is_no_address_is_left_out(tmp_path: Path) -> None:
    bad = ("example.org:1", "10.0.0.1", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:x", "x/10.0.0.1:7")
    write_view(tmp_path / VIEW_NAME, (*bad, "10.0.0.1:" + "9" * 5000, "10.0.0.1:65535"))
    assert read_view(tmp_path / VIEW_NAME) == ("10.0.0.1:65535",)


def test_a_link_in_place_of_the_file_is_replaced_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "other"
    target.write_text("precious")
    (tmp_path / VIEW_NAME).symlink_to(target)
    write_view(tmp_path / VIEW_NAME, ("10.0.0.1:1",))
    assert target.read_text() == "precious"
    assert read_view(tmp_path / VIEW_NAME) == ("10.0.0.1:1",)


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / VIEW_NAME).mkdir()
    with pytest.raises(OSError, match="directory"):
        write_view(tmp_path / VIEW_NAME, ("10.0.0.1:1",))
    assert [p.name for p in tmp_path.iterdir()] == [VIEW_NAME]


def test_others_that_are_alive_are_kept_the_longest_alive_first() -> None:
    members = [
        member("me", 1),
        member("late", 2, since=9.0),
        member("gone", 3, MemberStatus.FAILED),
        member("early", 4, since=1.0),
    ]
    assert addresses_of(members, "me") == ("10.0.0.4:7946", "10.0.0.2:7946")
    many = [member(f"n{i}", i % 250) for i in range(MAX_REMEMBERED + 1)]
    assert len(addresses_of(many, "me")) == MAX_REMEMBERED


def claims(*hosts: str) -> list[Claim]:
    return [Claim("web", f"w{i}", host, 80, 1) for i, host in enumerate(hosts)]


def test_seeds_are_the_view_and_the_hosts_of_the_file_each_once_and_not_too_many() -> None:
    old = claims("10.0.0.1", "fd00::1", "10.0.0.1")
    assert seeds(("10.0.0.9:7946",), old) == ("10.0.0.9:7946", "10.0.0.1", "[fd00::1]")
    assert len(seeds((), claims(*(f"10.0.1.{i}" for i in range(MAX_SEEDS + 1))))) == MAX_SEEDS
