"""Freed buffers go back to the system."""

import platform

import pytest

from gossip.agent.memory import LARGE_BYTES, return_freed_pages, return_large_buffers


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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="THERE IS NO GLIBC: nothing to return")
def test_pages_of_freed_objects_go_back_to_the_system_though_objects_around_them_stay():
    objects = [bytes(8192) for _ in range(4000)]
    before = resident_bytes()
    del objects[:-1]  # the last one keeps the heap from shrinking by itself
    assert return_freed_pages()
    assert resident_bytes() < before - 2000 * 8192
