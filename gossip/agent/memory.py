"""Returns freed memory to the system.

glibc raises the size from which it maps buffers separately, up to 32 MB, as soon as such a buffer is freed.
From then on the states that peers send, compressed or not, lie between small objects, and an agent that was
attacked once, or that saw one large cluster, keeps its peak size. A fixed threshold prevents that.
"""

import ctypes
import linecache
import sys
from contextlib import suppress
from importlib import import_module

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""Parameters of glibc's mallopt (malloc.h)."""
LARGE_BYTES = 128 * 1024
"""A buffer of this size or more is mapped separately, and unmapped when freed: glibc's initial threshold."""


def return_large_buffers() -> bool:
    """Return freed buffers of `LARGE_BYTES` and more to the system; False without glibc.

    Threads share one heap from now on: the interpreter's lock lets only one of them run anyway.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        wanted = {M_ARENA_MAX: 1, M_MMAP_THRESHOLD: LARGE_BYTES, M_TRIM_THRESHOLD: LARGE_BYTES}
        return all(mallopt(parameter, value) for parameter, value in wanted.items())
    return False


def import_trio() -> None:
    """Import Trio, and drop what attrs keeps for debuggers: the source of each method that it generates.

    If this comes before the agent's own modules, they take the place of the 150 kB.
    """
    import_module("trio")
    linecache.clearcache()


def return_freed_pages() -> bool:
    """Let pages without any object go back to the system; False where there is no glibc.

    A start leaves half a megabyte of them, where the bytecode was read from files; so do the imports for the
    first IPC client. Tables that are made again when needed go first: the importers' lists of
    directories, and the declared settings.
    """
    from gossip.settings.setting import settings_of  # not before Trio: see above

    sys.path_importer_cache.clear()
    settings_of.cache_clear()
    with suppress(OSError, AttributeError):
        return bool(ctypes.CDLL(None).malloc_trim(0))
    return False
