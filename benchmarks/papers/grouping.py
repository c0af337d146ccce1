"""Results of one kind of run beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

R = TypeVar("R")
F = TypeVar("F")
K = TypeVar("K")


def grouped(results: Iterable[tuple[R, F]], kind: Callable[[R], K]) -> dict[K, list[F]]:
    """Return what was found in the runs of each `kind`, in the order of the first run of each."""
    groups: dict[K, list[F]] = {}
    for run, found in results:
        groups.setdefault(kind(run), []).append(found)
    return groups
