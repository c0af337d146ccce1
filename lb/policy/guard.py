"""Fail-static: reasons to keep a server in the file although its failure is certain.

A held server stays with its checks on, so that HAProxy decides by health. Each reason is a predicate over
one backend in `_RULES`; it holds *all* failures that are pending there at that moment, so that two load
balancers hold the same ones. Leaves, arrivals and replacements are never asked about.
"""

from collections.abc import Callable
from enum import StrEnum

from msgspec import Struct


class HoldReason(StrEnum):
    """Why a failed server stays in the file."""

    MIN_BACKENDS = "min_backends"


class Case(Struct, frozen=True):
    """One backend from which failed members would be removed now."""

    failures: frozenset[str]  # members that would be removed
    staying: frozenset[str]  # members in the file that are alive and mean to stay
    up: frozenset[str]  # of the staying ones, those whose server answers
    is_held: bool  # some of `failures` are held already
    min_backends: int


def hold_reason(case: Case) -> HoldReason | None:
    """Return why the failures of this case are held, or None if they may be removed."""
    return next((reason for reason, holds in _RULES if holds(case)), None)


def _leaves_too_few(case: Case) -> bool:
    # it starts by number and ends by health: a newcomer that nobody has checked yet ends no hold
    others = case.up if case.is_held else case.staying
    return len(others) < case.min_backends


_RULES: tuple[tuple[HoldReason, Callable[[Case], bool]], ...] = ((HoldReason.MIN_BACKENDS, _leaves_too_few),)
