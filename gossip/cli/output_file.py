"""A file to be written, as a parameter of a command: an obstacle shows before the work, not after it."""

import os
from pathlib import Path

import click


class OutputFile(click.Path):
    """The path of a file that can be written: it is there and may be changed, or may be made."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, writable=True, path_type=Path)

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        """Return `value` as a path."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        try:
            if path.exists():
                return path
        except OSError as error:
            self.fail(f"File '{path}' cannot be written: {error.strerror}.", param, ctx)
        if not path.parent.is_dir():
            self.fail(f"Directory '{path.parent}' does not exist.", param, ctx)
        if not os.access(path.parent, os.W_OK | os.X_OK):
            self.fail(f"Directory '{path.parent}' is not writable.", param, ctx)
        return path
