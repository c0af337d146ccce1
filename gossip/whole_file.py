"""Small files that are replaced as a whole: a reader, or a crash, finds the old one or the new one.

The new content is written beside the file, under an unguessable name that did not exist before: a link
planted in its place is not followed.
"""

import os
from contextlib import suppress
from pathlib import Path

OWNER_ONLY = 0o600


def replace_file(
    path: Path, data: bytes, *, prefix: str, mode: int = OWNER_ONLY, durable: bool = False
) -> None:
    """Replace the file at `path` by one with `data`; blocks.

    Args:
        path: The file, which need not exist.
        data: Its whole content.
        prefix: The start of the name of the temporary file in the same directory; it ends in ``.tmp``.
        mode: Permissions of the new file.
        durable: Wait until the content is on the disk.

    Raises:
        OSError: it cannot be written; the old file stays.
    """
    import tempfile  # most programs never write such a file

    fd, name = tempfile.mkstemp(".tmp", prefix, path.parent)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            if mode != OWNER_ONLY:
                os.fchmod(file.fileno(), mode)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
