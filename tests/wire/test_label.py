import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import LocalProtocolError, RemoteProtocolError
from gossip.wire.codec import decode, encode
from gossip.wire.keyring import Keyring
from gossip.wire.label import MAX_LABEL_BYTES, WrongLabelError, label_header, label_overhead, strip_label
from gossip.wire.messages import Ping
from gossip.wire.packet import seal, unseal
from gossip.wire.stream import StreamReader, seal_stream
from tests.wire.recorded import keyring_of, load, parametrized

ENTRIES = load("labels")
PACKETS = [entry for entry in ENTRIES if "(UDP" in entry["name"]]
(STREAM,) = [entry for entry in ENTRIES if "(TCP" in entry["name"]]
BAD = [entry for entry in ENTRIES if "error" in entry["decoded"]]
PING = Ping(1, "n")


@pytest.mark.parametrize("entry", **parametrized(PACKETS))
def test_a_labelled_packet_is_read_and_written_alike(entry):
    datagram, keys = bytes.fromhex(entry["hex"]), keyring_of(entry)
    (part,) = unseal(datagram, encryption=keys, label=b"blue")
    assert decode(part) == PING
    crc = entry["decoded"]["message"]["name"] == "hasCrc"
    again = seal([part], compress=False, crc=crc, encryption=keys, nonce=bytes(range(12)), label=b"blue")
    assert again == datagram


def test_a_labelled_stream_is_read_and_written_alike():
    data, keys = bytes.fromhex(STREAM["hex"]), keyring_of(STREAM)
    reader = StreamReader(encryption=keys, label=b"blue")
    reader.receive_data(data)
    assert reader.next_event() == PING
    message = bytes.fromhex(STREAM["decoded"]["plaintext_hex"])
    nonce = bytes(range(12))
    assert seal_stream(message, compress=False, encryption=keys, nonce=nonce, label=b"blue") == data


@pytest.mark.parametrize("label", [b"", b"blue", b"a"])
@pytest.mark.parametrize("entry", **parametrized(BAD))
def test_a_broken_label_is_refused(entry, label):
    data = bytes.fromhex(entry["hex"])
    with pytest.raises(RemoteProtocolError):
        unseal(data, encryption=None, label=label)
    reader = StreamReader(encryption=None, label=label)
    reader.receive_data(data)
    reader.receive_eof()
    with pytest.raises(RemoteProtocolError):
        reader.next_event()


@pytest.mark.parametrize("entry", **parametrized([*PACKETS, STREAM]))
def test_a_labelled_message_is_refused_by_members_without_or_with_another_label(entry):
    data, keys = bytes.fromhex(entry["hex"]), keyring_of(entry)
    for label, complaint in (
        (b"", "labelled, but no label is configured"),
        (b"blu", "wrong or missing label"),
    ):
        with pytest.raises(RemoteProtocolError, match=complaint):
            strip_label(data, label)
        reader = StreamReader(encryption=keys, label=label)
        reader.receive_data(data)
        with pytest.raises(RemoteProtocolError, match=complaint):
            reader.next_event()


def test_an_unlabelled_message_is_refused_by_members_with_a_label():
    plain = bytes.fromhex("0082a44e6f6465a16ea55365714e6f01")
    with pytest.raises(RemoteProtocolError, match="wrong or missing label"):
        unseal(plain, encryption=None, label=b"blue")
    reader = StreamReader(encryption=None, label=b"blue")
    reader.receive_data(plain)
    with pytest.raises(RemoteProtocolError, match="wrong or missing label"):
        reader.next_event()


def test_a_label_has_at_most_255_bytes():
    longest = b"x" * MAX_LABEL_BYTES
    assert strip_label(label_header(longest) + b"rest", longest) == b"rest"
    with pytest.raises(LocalProtocolError, match="label of 256 bytes: expected at most 255"):
        label_header(longest + b"x")


def test_no_label_has_no_header():
    assert label_header(b"") == b""


def test_the_answer_on_a_labelled_stream_authenticates_the_label_without_repeating_it():
    keys = Keyring([b"k" * 16])
    answer = seal_stream(
        b"\x02\x80", compress=False, encryption=keys, nonce=bytes(12), label=b"blue", reply=True
    )
    assert answer[0] == 0x0A
    reader = StreamReader(encryption=keys, label=b"blue", header=b"")
    reader.receive_data(answer)
    assert reader.next_event() is not None
    other = StreamReader(encryption=keys, label=b"red", header=b"")
    other.receive_data(answer)
    with pytest.raises(RemoteProtocolError, match="no installed key"):
        other.next_event()


@pytest.mark.parametrize("inner", [b"\xf4\x04blue", b"\xf4\x03red", b"\xf4"])
def test_two_label_headers_are_refused(inner):
    data = label_header(b"blue") + inner + bytes.fromhex("0082a44e6f6465a16ea55365714e6f01")
    with pytest.raises(WrongLabelError, match="more than one label header"):
        unseal(data, encryption=None, label=b"blue")
    reader = StreamReader(encryption=None, label=b"blue")
    reader.receive_data(data)
    with pytest.raises(WrongLabelError, match="more than one label header"):
        reader.next_event()


def test_complaints_do_not_tell_strangers_the_label():
    with pytest.raises(WrongLabelError) as refusal:
        strip_label(b"\xf4\x01xrest", b"secret")
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("keys", [None, Keyring([b"k" * 16])], ids=["plain", "encrypted"])
def test_without_the_inbound_check_the_label_must_be_gone_and_is_still_authenticated(keys):
    datagram = seal(
        [encode(PING)], compress=False, crc=False, encryption=keys, nonce=bytes(12), label=b"blue"
    )
    stripped = datagram.removeprefix(label_header(b"blue"))
    (part,) = unseal(stripped, encryption=keys, label=b"blue", header=b"")
    assert decode(part) == PING
    with pytest.raises(WrongLabelError):
        unseal(datagram, encryption=keys, label=b"blue", header=b"")
    if keys is not None:
        with pytest.raises(RemoteProtocolError, match="no installed key"):
            unseal(stripped, encryption=keys, label=b"red", header=b"")


@given(st.binary(max_size=MAX_LABEL_BYTES))
def test_the_overhead_of_a_label_is_the_length_of_its_header(label):
    assert label_overhead(label) == len(label_header(label))
