"""Survivors that no test can kill, because they behave as the original does; each with the reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Equivalent:
    """A change of one line, in any module of the core, that changes nothing."""

    before: str
    after: str
    why: str


EQUIVALENTS = (
    Equivalent(
        "for _ in range(TRIES_PER_CHOICE * k if ring else 0):",
        "for _ in []:",
        "the search of the whole ring, which follows, is as random; it only costs more",
    ),
    Equivalent(
        "for _ in range(TRIES_PER_CHOICE * k if ring else 0):",
        "for _ in range(TRIES_PER_CHOICE << k if ring else 0):",
        "more or fewer tries before the search of the whole ring, which is as random",
    ),
    Equivalent(
        "NO_BYTE = -1",
        "NO_BYTE = +1",
        "any number serves that is neither of the two with which it is compared",
    ),
    Equivalent(
        "ceiling = min((versions[high] for versions in alive), default=255)",
        "ceiling = min((versions[high] for versions in alive), default= 256)",
        "no byte is greater than either",
    ),
    Equivalent(
        "self.limit = 0  # transmissions per broadcast; the owner follows the size of the cluster",
        "self.limit = -1  # transmissions per broadcast; the owner follows the size of the cluster",
        "its owner sets it before anything is sent",
    ),
    Equivalent(
        "return any(m is not me and not m.is_gone for m in self._ring)",
        "return any(m != me and not m.is_gone for m in self._ring)",
        "members are compared by identity either way",
    ),
    Equivalent(
        "self._serial = 0",
        "self._serial = -1",
        "serial numbers are only compared with each other",
    ),
    Equivalent(
        "if len(self._heap) > 2 * len(self._at) + LEFTOVERS_TOLERATED:",
        "if len(self._heap) > 1 * len(self._at) + LEFTOVERS_TOLERATED:",
        "the heap is rebuilt earlier, to the same effect; it only costs more",
    ),
)


def why_equivalent(before: str, after: str) -> str | None:
    """Return why the change makes no difference, None if it is not known to make none."""
    return next((e.why for e in EQUIVALENTS if (e.before, e.after) == (before, after)), None)
