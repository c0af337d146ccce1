"""Runs independent pieces of work in a bounded number of processes, and keeps what was found.

A piece of work is a `msgspec.Struct` that holds all that decides its result, its seed included: equal work
has an equal result, so that an interrupted measurement goes on where it stopped.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

MOST_JOBS = 64
PENDING_PER_JOB = 4
"""Pieces of work handed to the pool ahead of time, for each process, so that results do not pile up."""

Work = TypeVar("Work", bound=msgspec.Struct)
Result = TypeVar("Result", bound=msgspec.Struct)


class Journal(Generic[Work, Result]):
    """Results by work, one JSON line each in a file that only grows; without a path, in memory alone."""

    def __init__(self, path: Path | None, result: type[Result]) -> None:
        """Read what earlier measurements left.

        Raises:
            OSError: the file cannot be read.
            ValueError: a line in it is no result of this kind (the last line may be cut off: it is ignored).
        """
        self._found: dict[str, Result] = {}
        self._path = path
        if path is None or not path.exists():
            return
        text = path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            path.write_text(whole, encoding="utf-8")
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                work, found = msgspec.json.decode(line, type=tuple[msgspec.Raw, msgspec.Raw])
                self._found[bytes(work).decode()] = msgspec.json.decode(found, type=result)
            except msgspec.ValidationError as error:
                raise ValueError(f"{path}:{number}: no result of this measurement: {error}") from None

    def get(self, work: Work) -> Result | None:
        """Return the result of `work`, None if it has not been done."""
        return self._found.get(_key(work))

    def keep(self, work: Work, found: Result) -> None:
        """Remember a result, on disk at once."""
        self._found[_key(work)] = found
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"[{_key(work)},{msgspec.json.encode(found).decode()}]\n")


def gather(
    task: Callable[[Work], Result],
    work: Iterable[Work],
    *,
    jobs: int = 1,
    journal: Journal[Work, Result] | None = None,
) -> Iterator[tuple[Work, Result]]:
    """Yield each piece of work with what `task` made of it, in order, from at most `jobs` processes.

    `task` is a function of a module, so that other processes can import it. What `journal` knows is not done
    again. With one job everything happens in this process.
    """
    if not 1 <= jobs <= MOST_JOBS:
        raise ValueError(f"jobs must be from 1 to {MOST_JOBS}, not {jobs}")
    pieces = list(work)
    known = {} if journal is None else {i: done for i, w in enumerate(pieces) if (done := journal.get(w))}
    fresh = _computed(task, [piece for i, piece in enumerate(pieces) if i not in known], jobs)
    for number, piece in enumerate(pieces):
        found = known.get(number)
        if found is None:
            found = next(fresh)
            if journal is not None:
                journal.keep(piece, found)
        yield piece, found


def _computed(task: Callable[[Work], Result], pieces: list[Work], jobs: int) -> Iterator[Result]:
    if jobs == 1:
        yield from map(task, pieces)
        return
    with ProcessPoolExecutor(jobs) as pool:
        waiting = iter(pieces)
        pending = [pool.submit(task, piece) for piece in islice(waiting, PENDING_PER_JOB * jobs)]
        while pending:
            yield pending.pop(0).result()
            pending.extend(pool.submit(task, piece) for piece in islice(waiting, 1))


def _key(work: msgspec.Struct) -> str:
    return msgspec.json.encode(work).decode()
