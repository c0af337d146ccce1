"""LZW streams that Go's writer would not choose: any codes; and runs of zeros that cost little to make."""

from gossip.wire.lzw import CLEAR, END

LONGEST_RUN = 4094 - 256


def written(codes):
    """Return `codes` as bits, each as wide as a reader expects it there."""
    bits, size, width, known = 0, 0, 9, 257
    for code in codes:
        bits |= code << size
        size += width
        if code == CLEAR:
            width, known = 9, 257
        elif known < 2**12:
            known += 1
            width += width < 12 and known == 1 << width
    return bits.to_bytes((size + 7) // 8, "little")


def zeros(length, prefix=b""):
    """Return `prefix` and `length` zeros, compressed."""
    codes = [CLEAR, *prefix]
    while length:
        codes.append(CLEAR)
        for run in range(1, LONGEST_RUN + 1):
            run = min(run, length)
            if run:
                codes.append(256 + run if run > 1 else 0)
            length -= run
    return written([*codes, END])
