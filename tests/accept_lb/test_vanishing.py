"""A host that vanishes without a word costs its requests two seconds, and none of them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.accept_lb.vanishing import HOSTS, VANISHING

pytestmark = [
    pytest.mark.soak,
    pytest.mark.haproxy,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("iptables") is None,
        reason="needs root and iptables, for a network namespace",
    ),
]
LONGEST = 4.0
"""Seconds: TCP gives up after 2.0 to 2.4 s, then another server answers."""


def test_hosts_that_vanish_in_silence_fail_no_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["unshare", "-n", sys.executable, "-m", "tests.accept_lb.vanishing", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    with capsys.disabled():
        print(f"\n    {VANISHING} of {HOSTS} hosts vanish: {found}")  # noqa: T201 - a figure for people
    assert found["failures"] == {}
    assert found["slowest"] <= LONGEST
