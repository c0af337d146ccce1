"""Freed buffers go back to the system."""

import platform

import pytest

from gossip.agent.memory import LARGE_BYTES, return_large_buffers


def resident_bytes():
    with open("/proc/self/statm") as file:  # noqa: PTH123 - no file of ours
        return int(file.read().split()[1]) * 4096


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="THERE IS NO GLIBC: nothing to set")
def test_a_freed_buffer_is_no_longer_resident_though_small_objects_came_after_it():
    assert return_large_buffers()
    before = resident_bytes()
    buffers, small = [], []
    for _ in range(4):
        buffers.append(bytearray(200 * LARGE_BYTES))
        small.append(bytes(2000))
    assert resident_bytes() > before + 700 * LARGE_BYTES
    buffers.clear()
    assert resident_bytes() < before + 100 * LARGE_BYTES
