"""A nonce is taken once: what an attacker without the key repeats, and what the network duplicates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import RemoteProtocolError
from gossip.wire.codec import encode
from gossip.wire.keyring import NONCE_BYTES, Keyring
from gossip.wire.messages import Ping
from gossip.wire.packet import seal, unseal
from gossip.wire.replay import MAX_NONCES, REPLAY_SECONDS, ReplayError, ReplayWindow
from gossip.wire.stream import StreamReader, seal_stream

KEYS = Keyring([b"k" * 16])
PING = Ping(1, "n")


def nonce(number):
    return number.to_bytes(NONCE_BYTES, "big")


def packet(number=1):
    return seal([encode(PING)], compress=False, crc=False, encryption=KEYS, nonce=nonce(number))


def is_known(window, number):
    try:
        window.refuse_known(nonce(number))
    except ReplayError:
        return True
    return False


def test_a_packet_is_opened_once():
    window = ReplayWindow()
    assert unseal(packet(), encryption=KEYS, replays=window, now=1.0) == [encode(PING)]
    with pytest.raises(ReplayError, match="its nonce was seen before"):
        unseal(packet(), encryption=KEYS, replays=window, now=1.0 + REPLAY_SECONDS)
    assert unseal(packet(2), encryption=KEYS, replays=window, now=1.0) == [encode(PING)]


def test_a_forged_packet_does_not_spend_the_nonce_of_a_genuine_one():
    window = ReplayWindow()
    forged = packet()[:-1] + bytes((packet()[-1] ^ 1,))
    with pytest.raises(RemoteProtocolError, match="no installed key"):
        unseal(forged, encryption=KEYS, replays=window, now=1.0)
    assert len(window) == 0
    assert unseal(packet(), encryption=KEYS, replays=window, now=1.0) == [encode(PING)]


def test_a_frame_is_read_once():
    window = ReplayWindow()
    data = seal_stream(encode(PING), compress=True, encryption=KEYS, nonce=nonce(1))

    def read():
        reader = StreamReader(encryption=KEYS, replays=window)
        reader.receive_data(data)
        return reader.next_event(), reader.nonce

    assert read() == (PING, nonce(1))
    assert read() == (PING, nonce(1))  # the caller did not take it
    window.remember(nonce(1), 0.0)
    with pytest.raises(ReplayError):
        read()


def test_of_two_copies_opened_at_the_same_time_the_second_is_refused():
    window = ReplayWindow()
    window.remember(nonce(1), 0.0)
    with pytest.raises(ReplayError):
        window.remember(nonce(1), 0.0)


@given(st.floats(0, 1e6), st.lists(st.floats(0, REPLAY_SECONDS - 0.001), max_size=20))
def test_a_nonce_is_known_for_the_whole_window(start, gaps):
    window = ReplayWindow()
    window.remember(nonce(0), start)
    latest = start
    for number, gap in enumerate(sorted(gaps), start=1):
        latest = start + gap
        window.remember(nonce(number), latest)
        assert is_known(window, 0)
        assert is_known(window, number)


def test_a_nonce_is_forgotten_after_two_windows():
    window = ReplayWindow()
    window.remember(nonce(1), 100.0)
    window.remember(nonce(2), 100.0 + REPLAY_SECONDS)
    assert is_known(window, 1)
    window.remember(nonce(3), 100.0 + 2 * REPLAY_SECONDS)
    assert not is_known(window, 1)
    assert is_known(window, 2)


def test_a_silent_window_is_forgotten_at_once():
    window = ReplayWindow()
    window.remember(nonce(1), 100.0)
    window.remember(nonce(2), 100.0 + 2 * REPLAY_SECONDS)
    assert len(window) == 1


def test_the_window_holds_two_generations_of_nonces_and_not_one_more():
    window = ReplayWindow()
    for number in range(2 * MAX_NONCES):
        window.remember(nonce(number), 1.0)
    assert len(window) == 2 * MAX_NONCES
    assert is_known(window, 0)
    window.remember(nonce(2 * MAX_NONCES), 1.0)
    assert len(window) == MAX_NONCES + 1
    assert not is_known(window, 0)
    assert is_known(window, MAX_NONCES)
