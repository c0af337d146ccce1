"""The label header, which separates clusters that share a network (memberlist `label.go`; serf-wire 1.3).

The header precedes everything else, in the clear: ``f4``, the length of the label in one byte, the label.
Encryption authenticates the label as additional data. The Serf agent has no labels, so the default is none.
"""

from gossip.errors import LocalProtocolError, RemoteProtocolError
from gossip.wire.messages import MessageType

MAX_LABEL_BYTES = 255
HAS_LABEL = MessageType.HAS_LABEL.byte
HEADER_BYTES = 2


class WrongLabelError(RemoteProtocolError):
    """A packet or stream of another cluster, or of one without labels."""


def label_header(label: bytes) -> bytes:
    """Return the header for `label`; empty for the empty label.

    Raises:
        LocalProtocolError: `label` is longer than 255 bytes.
    """
    if len(label) > MAX_LABEL_BYTES:
        raise LocalProtocolError(f"label of {len(label)} bytes: expected at most {MAX_LABEL_BYTES}")
    return HAS_LABEL + bytes((len(label),)) + label if label else b""


def label_overhead(label: bytes) -> int:
    """Return the bytes that the header of `label` takes in a packet."""
    return HEADER_BYTES + len(label) if label else 0


def strip_label(datagram: bytes, label: bytes) -> bytes:
    """Return `datagram` without its label header, which must be exactly that of `label`.

    Raises:
        WrongLabelError: it has an unexpected header, a second one or another label, or lacks the header.
    """
    header = label_header(label)
    if not datagram.startswith(header):
        raise WrongLabelError(wrong_label(label))
    if datagram.startswith(HAS_LABEL, len(header)):
        raise WrongLabelError(DOUBLE_LABEL if label else wrong_label(label))
    return datagram[len(header) :]


DOUBLE_LABEL = "more than one label header"


def wrong_label(label: bytes) -> str:
    """Return the error text for a header that is not that of `label`, without revealing the label."""
    return "wrong or missing label (see --label)" if label else "labelled, but no label is configured"
