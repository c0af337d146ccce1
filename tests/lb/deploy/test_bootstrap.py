"""What a former life left on disk."""

from pathlib import Path

import pytest

from gossip.serf.members import MemberStatus
from lb.deploy.bootstrap import Inheritance, Origin, inherit, listed_claims
from lb.deploy.config_file import GOOD_NAME, ConfigFile
from lb.haproxy.config_check import Validator
from lb.policy.plan import Claim, MemberFact, PlanConfig, plan_members
from lb.render.renderer import RenderConfig, Renderer

PLAN = PlanConfig(weight_tag="weight")


def render(*servers: tuple[str, str, int, int]) -> bytes:
    facts = [
        MemberFact(
            name, MemberStatus.ALIVE, host, {"role": "backend", "port": str(port), "weight": str(weight)}
        )
        for name, host, port, weight in servers
    ]
    return Renderer(RenderConfig()).render(plan_members(facts, PLAN).plan).content


CONTENT = render(("a", "10.0.0.1", 80, 100), ("b", "fd00::1", 81, 7))
CLAIMS = (Claim("web", "a", "10.0.0.1", 80, 100), Claim("web", "b", "fd00::1", 81, 7))


def left(tmp_path: Path, content: bytes | None, good: bytes | None = None) -> Inheritance:
    for name, data in (("haproxy.cfg", content), (GOOD_NAME, good)):
        if data is not None:
            (tmp_path / name).write_bytes(data)
    return inherit(ConfigFile(tmp_path / "haproxy.cfg", Validator()), ["web"])


def test_file_of_ours_tells_the_servers(tmp_path: Path) -> None:
    assert left(tmp_path, CONTENT) == Inheritance(Origin.OURS, CLAIMS)


def test_no_file_is_a_new_start(tmp_path: Path) -> None:
    assert left(tmp_path, None) == Inheritance(Origin.NOWHERE)


@pytest.mark.parametrize("damaged", [None, b"", CONTENT[:400], CONTENT + b"# edited\n"])
def test_damaged_or_missing_file_gives_way_to_the_last_known_good_one(
    tmp_path: Path, damaged: bytes | None
) -> None:
    assert left(tmp_path, damaged, CONTENT) == Inheritance(Origin.REPAIRED, CLAIMS)


def test_file_of_somebody_else_is_recognised(tmp_path: Path) -> None:
    assert left(tmp_path, b"global\n", b"also foreign\n") == Inheritance(Origin.FOREIGN)


def test_servers_of_forgotten_backends_and_by_name_are_left_out() -> None:
    config = b"backend web\n    server a example.org:80 id 1\n    server b 10.0.0.1:80 check\nbackend old\n"
    config += b"    server c 10.0.0.2:80\n"
    assert listed_claims(config, ["web"]) == (Claim("web", "b", "10.0.0.1", 80, 100),)


@pytest.mark.parametrize(
    "line",
    [
        "server",
        "server a",
        "server a 10.0.0.1",
        "server a 10.0.0.1:0",
        "server ${A} 10.0.0.1:80",
        "option a 10.0.0.1:80",
        "frontend web\n server a 10.0.0.1:80",
        "backend\n server a 10.0.0.1:80",
    ],
)
def test_what_cannot_be_a_member_is_no_claim(line: str) -> None:
    assert listed_claims(f"backend web\n {line}\n".encode(), ["web"]) == ()
