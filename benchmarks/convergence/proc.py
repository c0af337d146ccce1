"""What the kernel counts: CPU time and memory of processes, traffic of this network namespace (proc(5))."""

from dataclasses import dataclass
from pathlib import Path

NANOSECONDS = 1e9


@dataclass(frozen=True)
class Memory:
    """Memory of one process in bytes."""

    resident: int
    private_dirty: int
    anonymous: int


@dataclass(frozen=True)
class Traffic:
    """What this network namespace has carried since it exists."""

    datagrams: int
    ip_bytes: int
    """Bytes of all IP packets that arrived, with headers and TCP; on loopback all that is sent arrives."""

    def since(self, earlier: "Traffic") -> "Traffic":
        """Return the difference."""
        return Traffic(self.datagrams - earlier.datagrams, self.ip_bytes - earlier.ip_bytes)


def cpu_seconds(pid: int) -> float:
    """Return the time that all threads of a process have run, in seconds; the kernel counts nanoseconds."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / NANOSECONDS


def memory(pid: int) -> Memory:
    """Return what a process occupies."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kilobytes = {key: int(rest.split()[0]) for key, rest in (line.split(":", 1) for line in lines)}
    return Memory(
        resident=kilobytes["Rss"] * 1024,
        private_dirty=kilobytes["Private_Dirty"] * 1024,
        anonymous=kilobytes["Anonymous"] * 1024,
    )


def traffic() -> Traffic:
    """Return the counters of the namespace in which this process lives."""
    datagrams = _counter("/proc/self/net/snmp", "Udp", "OutDatagrams")
    return Traffic(datagrams, _counter("/proc/self/net/netstat", "IpExt", "InOctets"))


def _counter(path: str, section: str, name: str) -> int:
    """Return one counter of a file that has, per section, a line of names and a line of values."""
    names, values = (
        line.split() for line in Path(path).read_text().splitlines() if line.startswith(f"{section}:")
    )
    return int(values[names.index(name)])
