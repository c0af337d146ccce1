"""What a short command costs, in modules; the time itself is in benchmarks/members_startup.py."""

import subprocess
import sys

import pytest

from gossip.ipc.bodies import MemberList
from gossip.ipc.protocol import encode_response
from tests.ipc.scripted_agent import handshaking, scripted_agent

HEAVY = (
    "trio",
    "asyncio",
    "msgspec",
    "rich",
    "cryptography",
    "jinja2",
    "logging",
    "ssl",
    "json",
)
PROBE = f"""
import sys
from gossip.cli.main import run
code = run(sys.argv[1:])
print(*[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
sys.exit(code)
"""


def heavy_modules(*words):
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *words], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stderr.split()


def test_members_imports_neither_trio_nor_anything_else_that_is_heavy():
    empty = handshaking(lambda request: encode_response(request, body=MemberList(())))
    with scripted_agent(empty) as address:
        assert heavy_modules("members", f"-rpc-addr={address}") == []


@pytest.mark.parametrize("words", [("members", "--help"), ("--help",), ("version",)])
def test_help_and_version_import_neither(words):
    assert heavy_modules(*words) == []


def test_the_help_of_the_agent_imports_what_declares_its_settings_and_nothing_else_that_is_heavy():
    assert heavy_modules("agent", "--help") == ["msgspec"]


def test_python_m_gossip_is_gossip():
    done = subprocess.run(
        [sys.executable, "-m", "gossip", "bogus"], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (2, "gossip: no such command 'bogus' (see 'gossip --help')\n")


def test_names_reach_a_pipe_in_an_old_locale():
    from tests.cli.test_commands import member

    odd = handshaking(lambda request: encode_response(request, body=MemberList((member("日本", {}),))))
    with scripted_agent(odd) as address:
        done = subprocess.run(
            [sys.executable, "-m", "gossip", "members", f"-rpc-addr={address}"],
            env={"PYTHONIOENCODING": "latin-1"},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert (done.returncode, done.stdout.split()[0], done.stderr) == (0, "\\u65e5\\u672c", "")
