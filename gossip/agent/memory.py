"""Memory that is freed goes back to the system.

glibc raises the size from which it maps a buffer of its own, up to 32 MB, as soon as one is freed. From then
on the states that peers send, compressed and not, lie between small objects, and an agent that was attacked
once, or that saw one large cluster, keeps the peak. A fixed size keeps that from happening.
"""

import ctypes
from contextlib import suppress

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt (malloc.h)."""
LARGE_BYTES = 128 * 1024
"""A buffer from this size on is mapped alone, and unmapped when it is freed: glibc's own first value."""


def return_large_buffers() -> bool:
    """Let freed buffers of `LARGE_BYTES` and more go back to the system; False where there is no glibc."""
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        return bool(mallopt(M_MMAP_THRESHOLD, LARGE_BYTES) and mallopt(M_TRIM_THRESHOLD, LARGE_BYTES))
    return False
