"""The label header, which keeps clusters apart that share a network (memberlist `label.go`; serf-wire 1.3).

It stands in the clear before everything else, and is part of what encryption authenticates. Serf 0.9.4
knows none, so no label is the default.
"""

from gossip.errors import LocalProtocolError, RemoteProtocolError

MAX_LABEL_BYTES = 255


def label_header(label: bytes) -> bytes:
    """Return the header for `label`; nothing for the empty label.

    Raises:
        LocalProtocolError: `label` is longer than 255 bytes.
    """
    if len(label) > MAX_LABEL_BYTES:
        raise LocalProtocolError(f"label of {len(label)} bytes: expected at most {MAX_LABEL_BYTES}")
    return b"\xf4" + bytes((len(label),)) + label if label else b""


def strip_label(datagram: bytes, label: bytes) -> bytes:
    """Return `datagram` without its label header, which must be exactly that of `label`.

    Raises:
        RemoteProtocolError: it has a header and should not, has none and should, or has another.
    """
    header = label_header(label)
    if not datagram.startswith(header) or (not label and datagram.startswith(b"\xf4")):
        raise RemoteProtocolError(wrong_label(label))
    return datagram[len(header) :]


def wrong_label(label: bytes) -> str:
    """Return the complaint about a header that is not that of `label`."""
    return f"wrong or missing label: expected {label!r}" if label else "labelled, but no label is configured"
