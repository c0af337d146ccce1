"""The LZW of Go's `compress/lzw`: least significant bit first, 8-bit literals, codes of 9 to 12 bits.

It is the variant of GIF: code 256 clears the table, 257 ends the stream, 258 is the first entry, and codes
grow by a bit as soon as the next entry needs it. `compress` chooses exactly what Go's writer chooses, so
its outputs are equal byte for byte. See serf-wire 4.1.

Both loops run for every compressed packet in plain Python, so they keep their state in local names, and
process codes in blocks of bits instead of single bytes.
"""

from gossip.errors import RemoteProtocolError

CLEAR = 256
END = 257
FIRST_WIDTH = 9
MAX_WIDTH = 12
TABLE_SIZE = 2**MAX_WIDTH

BLOCK_CODES = 64
"""Codes taken from one block: longer blocks make each shift slower, shorter ones mean more blocks."""

BLOCK_BITS = 512
"""Bits collected before they are written out as bytes, for the same reason."""

MAX_EARLY_CLEARS = 16
"""Clears of a table that is not full. Go makes one, at the start; endless ones would only waste our time."""

_LITERALS = [bytes((value,)) for value in range(256)] + [b""]


def compress(data: bytes) -> bytes:
    """Return `data` compressed; the result may be longer than `data`."""
    if not data:
        return b"\x00\x03\x02"  # clear, end
    output = bytearray()
    bits, size, width = CLEAR, FIRST_WIDTH, FIRST_WIDTH
    table: dict[int, int] = {}
    newest = END
    code = data[0]
    for literal in data[1:]:
        key = code << 8 | literal
        longer = table.get(key)
        if longer is not None:
            code = longer
            continue
        bits |= code << size
        size += width
        code = literal
        newest += 1
        if newest == TABLE_SIZE - 1:
            # Go leaves the last code unused and starts again, without an entry for this step.
            bits |= CLEAR << size
            size += width
            table.clear()
            newest, width = END, FIRST_WIDTH
        else:
            table[key] = newest
            width += newest == 1 << width
        if size >= BLOCK_BITS:
            whole = size >> 3
            output += (bits & (1 << (whole << 3)) - 1).to_bytes(whole, "little")
            bits >>= whole << 3
            size &= 7
    return bytes(output) + _close(bits | code << size, size + width, newest + 1, width)


def _close(bits: int, size: int, newest: int, width: int) -> bytes:
    """Return the last bytes: the rest of `bits`, possibly a last clear, and the end code."""
    if newest == TABLE_SIZE - 1:
        bits |= CLEAR << size
        size += width
        width = FIRST_WIDTH
    width += newest == 1 << width
    bits |= END << size
    return bits.to_bytes((size + width + 7) >> 3, "little")


def decompress(data: bytes, limit: int) -> bytes:
    """Return the data that `data` was compressed from; bytes after the end code are ignored, as in Go.

    Args:
        data: The output of `compress`, or of Go's writer.
        limit: The most bytes to return. Memory use is hardly higher: one block of codes, 256 KiB.

    Raises:
        RemoteProtocolError: a code is not in the table, the end code is missing, the table is cleared too
            often, or `limit` is exceeded.
    """
    whole = bytearray()
    output: list[bytes] = []  # the expansion of the latest codes
    table = _LITERALS.copy()
    early_clears = 0
    room, width, position, end = limit, FIRST_WIDTH, 0, 8 * len(data)
    while True:
        # The width cannot change before the table is full for it; a full table of 12 bits keeps its width.
        count = min((end - position) // width, BLOCK_CODES, ((1 << width) - len(table)) or BLOCK_CODES)
        if count == 0:
            raise RemoteProtocolError(f"compressed data of {len(data)} bytes ends without its end code")
        stop = position + count * width
        bits = int.from_bytes(data[position >> 3 : (stop + 7) >> 3], "little") >> (position & 7)
        held = len(output)
        done = _expand(bits, width, count, table, output)
        room -= sum(map(len, output[held:]))
        if held > TABLE_SIZE:  # each piece on its own takes several times its length
            whole += b"".join(output[:held])
            del output[:held]
        if room < 0:
            raise RemoteProtocolError(f"decompressing {len(data)} bytes gives more than {limit} bytes")
        if done == count:
            position = stop
            width += len(table) == 1 << width and width < MAX_WIDTH
        elif bits >> done * width & 1:  # the end code is odd, the clear code even
            return b"".join((whole, *output)) if whole else b"".join(output)
        else:
            early_clears += len(table) < TABLE_SIZE - 1
            if early_clears > MAX_EARLY_CLEARS:
                raise RemoteProtocolError("compressed data clears its table again and again")
            position += (done + 1) * width
            width = FIRST_WIDTH
            del table[END:]


def _expand(bits: int, width: int, count: int, table: list[bytes], output: list[bytes]) -> int:
    """Append the expansion of the next `count` codes to `output`, and add the new entries to `table`.

    The entry after the literals and the clear code, in the place of the end code, is never looked up; it
    makes the first code after a clear an ordinary one.

    Returns:
        The number of codes before a clear or end code: `count` if there was none.
    """
    mask = (1 << width) - 1
    size = len(table)
    grows = size < TABLE_SIZE
    previous = output[-1] if output else b""
    for done in range(count):
        code = bits & mask
        bits >>= width
        if code < CLEAR or END < code < size:
            entry = table[code]
        elif code <= END:
            return done
        elif code == size:
            entry = previous + previous[:1]
        else:
            raise RemoteProtocolError(f"compressed data has code {code}, the table only {size}")
        if grows:
            table.append(previous + entry[:1])
            size += 1
        output.append(entry)
        previous = entry
    return count
