"""A hand-written file, sorted into what a take-over carries over and what it loses."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from lb.deploy.adoption import Adoption, adopt
from lb.deploy.take_over import with_carried
from lb.haproxy.config_text import sections
from lb.policy.plan import PlanConfig, make_plan
from lb.render.renderer import MAX_CARRIED_LINES, RenderConfig, Renderer

SOCKET = "/run/haproxy/admin.sock"
PACKAGE_LIST = Path("/var/lib/dpkg/info/haproxy.list")


def adopted(text: str) -> Adoption:
    return adopt(text.encode(), SOCKET)


def lost(text: str) -> list[str]:
    return [str(loss) for loss in adopted(text).lost]


def render(adoption: Adoption) -> bytes:
    return (
        Renderer(with_carried(RenderConfig(), adoption.carried))
        .render(make_plan([], PlanConfig()).plan)
        .content
    )


def words_of(content: bytes, keyword: str) -> set[tuple[str, ...]]:
    return {
        line.words for section in sections(content) if section.keyword == keyword for line in section.lines
    }


def debian_file() -> bytes:
    """The file as Debian's package brings it, untouched or not installed: from the package itself."""
    path = Path("/etc/haproxy/haproxy.cfg")
    if not PACKAGE_LIST.exists() or not path.exists():
        pytest.skip("Debian's haproxy package is not installed")
    known = subprocess.run(
        ["dpkg-query", "-W", "-f=${Conffiles}", "haproxy"], capture_output=True, check=True
    )
    if hashlib.md5(path.read_bytes()).hexdigest().encode() not in known.stdout:
        pytest.skip("/etc/haproxy/haproxy.cfg is not the package's any more")
    return path.read_bytes()


@pytest.mark.haproxy
def test_every_line_of_debians_file_is_carried_over_or_named_as_lost(tmp_path: Path) -> None:
    original = debian_file()
    adoption = adopt(original, SOCKET)
    assert [loss.what.split()[0] for loss in adoption.lost] == ["stats", "daemon"]
    content = render(adoption)
    for keyword in ("global", "defaults"):
        missing = words_of(original, keyword) - words_of(content, keyword)
        missing = {words for words in missing if words[0] not in ("daemon", "timeout")}
        assert missing <= {("stats", "socket", SOCKET, "mode", "660", "level", "admin")}
    assert {("user", "haproxy"), ("group", "haproxy"), ("chroot", "/var/lib/haproxy")} <= words_of(
        content, "global"
    )
    assert ("log", "stdout", "format", "raw", "local0", "notice") not in words_of(content, "global")
    assert ("timeout", "client", "50000ms") in words_of(content, "defaults")
    path = tmp_path / "haproxy.cfg"
    path.write_bytes(content.replace(SOCKET.encode(), str(tmp_path / "a.sock").encode()))
    done = subprocess.run(["haproxy", "-c", "-f", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_own_socket_is_replaced_and_others_stay() -> None:
    adoption = adopted(
        f"global\n stats socket {SOCKET} level user\n stats socket /run/other.sock\n stats timeout 9s\n"
    )
    assert adoption.carried.global_lines == ("stats socket /run/other.sock", "stats timeout 9s")
    assert [str(loss) for loss in adoption.lost] == [
        f"line 2: stats socket {SOCKET} level user (gossip-lb sets it)"
    ]


def test_what_the_template_has_a_setting_for_becomes_that_setting() -> None:
    text = "global\n user www\n hard-stop-after 9s\ndefaults\n timeout connect 700\n"
    text += " timeout http-request 3s\n timeout queue 1s\n"
    carried = adopted(text).carried
    assert carried.settings == {
        "user": "www",
        "hard_stop_after": "9s",
        "timeout_connect": "700ms",
        "timeout_http_request": "3s",
    }
    assert carried.defaults_lines == ("timeout queue 1s",)
    assert lost("defaults\n timeout connect\n timeout client soon\n") == []


def test_settings_that_a_person_gave_win_over_those_carried_over() -> None:
    carried = adopted("global\n user www\n log /dev/log local0\ndefaults\n timeout client 9s\n").carried
    config = with_carried(RenderConfig(user="web", global_lines=("nbthread 2",)), carried)
    assert (config.user, config.timeout_client, config.log) == ("web", "9s", "")
    assert config.global_lines == ("log /dev/log local0", "nbthread 2")


@pytest.mark.parametrize(
    ("text", "loss"),
    [
        (
            "global\n daemon\n",
            "line 2: daemon (HAProxy stays in the foreground, or it would outlive its supervisor)",
        ),
        ("defaults\n mode tcp\n", "line 2: mode tcp (the template's proxies are HTTP)"),
        ("defaults\n mode http\n retries 9\n", "line 3: retries 9 (gossip-lb sets it)"),
        ("defaults\n no option redispatch\n", "line 2: no option redispatch (gossip-lb sets it)"),
        (
            "defaults\ndefaults\n log x\n",
            "defaults, 1 line (write it into a template of your own: --template)",
        ),
        ("defaults a\n log x\n", "defaults a, 1 line (write it into a template of your own: --template)"),
        (
            "frontend f\n bind :1\n default_backend b\n",
            "frontend f, 2 lines (write it into a template of your own: --template)",
        ),
        ("global\n .if 1\n log x\n .endif\n", "global, 3 lines (conditional blocks cannot be carried over)"),
        (
            "log x\n",
            "the lines above the first section, 1 line (write it into a template of your own: --template)",
        ),
    ],
)
def test_what_is_lost_is_named_with_its_reason(text: str, loss: str) -> None:
    assert lost(text) == [loss]


@pytest.mark.parametrize("excess", [0, 1])
def test_carried_lines_are_bounded(excess: int) -> None:
    text = "global\n" + "".join(f" setenv A{number} x\n" for number in range(MAX_CARRIED_LINES + excess))
    adoption = adopted(text)
    assert len(adoption.carried.global_lines) == MAX_CARRIED_LINES
    assert len(adoption.lost) == excess
    with_carried(RenderConfig(), adoption.carried)
