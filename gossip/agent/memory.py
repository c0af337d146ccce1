"""Returns freed memory to the system.

glibc raises the size from which it maps buffers separately, up to 32 MB, as soon as such a buffer is freed.
From then on the states that peers send, compressed or not, lie between small objects, and an agent that was
attacked once, or that saw one large cluster, keeps its peak size. A fixed threshold prevents that.
"""

import ctypes
from contextlib import suppress

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt (malloc.h)."""
LARGE_BYTES = 128 * 1024
"""A buffer of this size or more is mapped separately, and unmapped when freed: glibc's initial threshold."""


def return_large_buffers() -> bool:
    """Return freed buffers of `LARGE_BYTES` and more to the system; False without glibc."""
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        return bool(mallopt(M_MMAP_THRESHOLD, LARGE_BYTES) and mallopt(M_TRIM_THRESHOLD, LARGE_BYTES))
    return False
