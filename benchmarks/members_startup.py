"""What `gossip members` costs, as a ratio to a bare `python -c pass` of the same interpreter.

Both run in alternation, so that whatever else the machine does hits both; the medians are compared. Run as a
script: prints the figures, and exits 1 when the ratio is above `LIMIT`. Asks the agent named by the argument,
or one of its own that it starts for the purpose.
"""

import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

LIMIT = 6.0
ROUNDS = 40
ADDRESS = "127.2.90.1"
START_TIMEOUT = 20.0

BARE = [sys.executable, "-c", "pass"]


def console_script() -> list[str]:
    """Return the installed command, or its equal if there is none."""
    script = shutil.which("gossip", path=sysconfig.get_path("scripts"))
    return [script] if script else [sys.executable, "-m", "gossip"]


def seconds(command: list[str]) -> float:
    """Run `command` and return its wall time."""
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


@contextmanager
def running_agent() -> Iterator[str]:
    """Run an agent of ours; yields the address of its IPC."""
    command = [*console_script(), "agent", "--node=bench", f"--bind={ADDRESS}", f"--rpc-addr={ADDRESS}:7373"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as agent:
        try:
            wait_for(f"{ADDRESS}:7373")
            yield f"{ADDRESS}:7373"
        finally:
            agent.terminate()


def wait_for(address: str) -> None:
    """Wait until the agent at `address` answers."""
    deadline = time.monotonic() + START_TIMEOUT
    probe = [*console_script(), "members", f"--rpc-addr={address}"]
    while subprocess.run(probe, capture_output=True, check=False).returncode:
        if time.monotonic() > deadline:
            sys.exit(f"members_startup: no agent answered at {address} within {START_TIMEOUT:g} s")


def measure(address: str) -> float:
    """Print both medians and return their ratio."""
    members = [*console_script(), "members", f"--rpc-addr={address}"]
    for command in (BARE, members):
        seconds(command)  # fill the caches
    times = [(seconds(BARE), seconds(members)) for _ in range(ROUNDS)]
    bare, asked = median(pair[0] for pair in times), median(pair[1] for pair in times)
    print(f"python -c pass   {bare * 1000:6.1f} ms  (median of {ROUNDS}, {Path(sys.executable).name})")
    print(f"gossip members   {asked * 1000:6.1f} ms")
    print(f"ratio            {asked / bare:6.2f}     (limit {LIMIT:g})")
    return asked / bare


def main() -> int:
    """Measure against the agent named on the command line, or one of our own."""
    if len(sys.argv) > 1:
        ratio = measure(sys.argv[1])
    else:
        with running_agent() as address:
            ratio = measure(address)
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
