"""What has been found so far, a line of JSON each: a long run can be stopped and taken up again."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Finding:
    """What became of one bug or mutant."""

    commit: str
    name: str
    before: str
    after: str
    caught: dict[str, tuple[str, ...]]  # by witness: by what; nothing if it was not noticed
    seconds: float

    @property
    def killer(self) -> str | None:
        """The first witness who noticed it."""
        return next((witness for witness, by in self.caught.items() if by), None)


class Journal:
    """Findings in a file, or in memory alone."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._by_key: dict[tuple[str, str], Finding] = {}
        if path is not None and path.exists():
            for line in path.read_text().splitlines():
                self._keep(Finding(**json.loads(line)))

    def get(self, commit: str, name: str) -> Finding | None:
        """Return what is known of `name` at `commit`."""
        return self._by_key.get((commit, name))

    def add(self, finding: Finding) -> None:
        """Write down a finding at once."""
        self._keep(finding)
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps(asdict(finding)) + "\n")

    def _keep(self, finding: Finding) -> None:
        self._by_key[finding.commit, finding.name] = finding
