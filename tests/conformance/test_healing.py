"""What ends a cluster of Serf agents for good heals here within half a minute, on real sockets."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.healing import SCENARIOS

pytestmark = [
    pytest.mark.timeout(200),
    pytest.mark.skipif(
        os.geteuid() != 0 or not all(map(shutil.which, ("iptables", "ip", "unshare"))),
        reason="NEEDS ROOT, iproute2 AND iptables, for a network namespace",
    ),
]
LONGEST = 30.0
"""Seconds from the end of the fault until all agree; the same bound as in the simulator."""


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_whole_cluster_agrees_again(
    scenario: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-m", "tests.conformance.healing", scenario, str(tmp_path)]
    done = subprocess.run(
        ["unshare", "--net", "--mount", *command], capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr
    seconds = json.loads(done.stdout)["seconds"]
    with capsys.disabled():
        print(f"\n    {scenario}: all agree after {seconds:.1f} s")  # noqa: T201 - a figure for people
    assert seconds <= LONGEST
