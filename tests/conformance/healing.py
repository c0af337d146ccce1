"""Faults that end a cluster of Serf agents for good, on real sockets in a network namespace of its own.

Run as `unshare --net --mount python -m tests.conformance.healing SCENARIO FOLDER`, which prints one line of
JSON: how many seconds after the end of the fault all agents agreed again. Times are scaled down: the profile
`local`, one second between retries, and members forgotten after a few seconds instead of a day. Addresses of
the namespace's loopback interface stand for hosts, packet filters for a partition, and a file of our own that
is mounted over /etc/hosts for DNS.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path

from tests.agents import OURS, Agent, Agents, agents, eventually

SEEDS = ("seed-1.cluster", "seed-2.cluster")
NAMES = ("n1", "n2", "n3", "n4", "n5", "n6")
BOUND = 60.0
"""Seconds to wait for agreement before giving up; the tests demand less."""
FORGOTTEN = 90.0
"""Seconds to wait until members are forgotten: failure detection, `reconnect_timeout`, the reaper."""
GROUPS = range(7001, 7001 + len(NAMES))
"""The group ids of the agents, by which the packet filter tells them apart: their streams use any address."""
OPTIONS = (
    "--profile=local",
    "--retry-interval=1s",
    "--reconnect-interval=1s",
    "--reconnect-timeout=5s",
    "--tombstone-timeout=5s",
    *(f"--retry-join={seed}" for seed in SEEDS),
)


def run(*command: str) -> None:
    """Run a command that must succeed."""
    subprocess.run(command, check=True, capture_output=True)


class Hosts:
    """Addresses on the loopback interface, and the names of the first two."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "hosts"
        self._file.touch()
        run("mount", "--make-rprivate", "/")
        run("mount", "--bind", str(self._file), "/etc/hosts")
        run("ip", "link", "set", "lo", "up")

    def add(self, address: str) -> None:
        run("ip", "address", "add", f"{address}/32", "dev", "lo")

    def name_seeds(self, addresses: Sequence[str]) -> None:
        """Let the seeds' names stand for `addresses`; the file stays the same one, as it is mounted."""
        lines = (f"{address} {name}\n" for address, name in zip(addresses, SEEDS, strict=False))
        self._file.write_text("".join(lines))

    def cut(self, one: Mapping[int, str], other: Mapping[int, str]) -> None:
        """Let nothing pass between the two sides, each given as addresses by group id."""
        for here, there in ((one, other), (other, one)):
            for group, address in product(here, there.values()):
                rule = ("-m", "owner", "--gid-owner", str(group), "-d", address, "-j", "DROP")
                run("iptables", "-A", "OUTPUT", *rule)

    def heal(self) -> None:
        """Let every packet pass again."""
        run("iptables", "-F", "OUTPUT")


class Site:
    """Six agents that know two seeds by name."""

    def __init__(self, cluster: Agents, hosts: Hosts) -> None:
        self._cluster = cluster
        self.hosts = hosts
        self._taken = 0
        addresses = [self._next_address() for _ in NAMES]
        hosts.name_seeds(addresses)
        self.agents = {name: self._start(name, at) for name, at in zip(NAMES, addresses, strict=True)}
        self.wait("all to meet")

    def restart(self, name: str, *, address: str = "") -> None:
        """Start `name` again, at a new address unless one is given."""
        self.agents[name] = self._start(name, address or self._next_address())

    def kill(self, names: Sequence[str]) -> None:
        for name in names:
            self.agents[name].signal(signal.SIGKILL)
            self.agents[name].wait(10)

    def wait(self, what: str) -> float:
        """Wait until every agent holds all six alive, at the addresses that they have."""
        return eventually(self._agree, BOUND, f"{what}: {self._views()}")

    def are_alone(self, names: Sequence[str]) -> bool:
        """Whether the agents `names` know each other and nobody else."""
        return all(set(self.agents[name].members()) == set(names) for name in names)

    def addresses_of(self, names: Sequence[str]) -> list[str]:
        return [self.agents[name].host for name in names]

    @staticmethod
    def group(name: str) -> int:
        return GROUPS[NAMES.index(name)]

    def _agree(self) -> bool:
        expected = {(name, f"{agent.host}:7946", "alive") for name, agent in self.agents.items()}
        return all(view == expected for view in self._views().values())

    def _views(self) -> dict[str, set[tuple[str, str, str]]]:
        return {
            name: {(other, row.address, row.status) for other, row in agent.members().items()}
            for name, agent in self.agents.items()
        }

    def _start(self, name: str, address: str) -> Agent:
        program = ("setpriv", f"--regid={self.group(name)}", "--clear-groups", *OURS)
        log_name = f"{name}-{self._taken}"
        return self._cluster.start(program, name, *OPTIONS, host=address, log_name=log_name)

    def _next_address(self) -> str:
        self._taken += 1
        address = f"10.99.0.{self._taken}"
        self.hosts.add(address)
        return address


def partition(site: Site) -> float:
    """A partition that outlasts every time-out: both sides have forgotten each other."""
    sides = (NAMES[:3], NAMES[3:])
    site.hosts.cut(*({site.group(name): site.agents[name].host for name in side} for side in sides))
    for side in sides:
        eventually(partial(site.are_alone, side), FORGOTTEN, f"{side} to be alone")
    site.hosts.heal()
    return site.wait("both sides to meet again")


def seeds_move(site: Site) -> float:
    """Every seed returns at a new address under its old name, and then a member that knew the old ones."""
    site.kill(NAMES[:2])
    for name in NAMES[:2]:
        site.restart(name)
    site.hosts.name_seeds(site.addresses_of(NAMES[:2]))
    site.kill(NAMES[5:])
    site.restart(NAMES[5], address=site.agents[NAMES[5]].host)
    return site.wait("all to follow the seeds")


def mass_restart(site: Site) -> float:
    """All members are killed at once and return where they were."""
    places = dict(zip(NAMES, site.addresses_of(NAMES), strict=True))
    site.kill(NAMES)
    for name, address in places.items():
        site.restart(name, address=address)
    return site.wait("all to return")


def member_moves(site: Site) -> float:
    """A member is killed and returns at once, at another address."""
    site.kill(NAMES[4:5])
    site.restart(NAMES[4])
    return site.wait("all to hold the member alive at its new address")


SCENARIOS: dict[str, Callable[[Site], float]] = {
    "partition": partition,
    "seeds move": seeds_move,
    "mass restart": mass_restart,
    "member moves": member_moves,
}


def main(scenario: str, folder: Path) -> None:
    hosts = Hosts(folder)
    with agents(folder) as cluster:
        sys.stdout.write(json.dumps({"seconds": round(SCENARIOS[scenario](Site(cluster, hosts)), 2)}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
