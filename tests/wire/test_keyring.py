import subprocess
import sys
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import ConfigError, LocalProtocolError, RemoteProtocolError
from gossip.wire.keyring import OVERHEAD, PADDED, UNPADDED, Keyring, fingerprint
from tests.wire.recorded import load, parametrized

K16, K24, K32 = b"a" * 16, b"b" * 24, b"c" * 32
NONCE = bytes(range(12))
VERSIONS = (PADDED, UNPADDED)


@pytest.mark.parametrize("entry", **parametrized(load("encryption")))
def test_what_go_encrypted_is_decrypted_and_encrypted_alike(entry):
    ring = Keyring([bytes.fromhex(entry["key_hex"])])
    payload, aad = bytes.fromhex(entry["hex"]), bytes.fromhex(entry["aad_hex"])
    plaintext = bytes.fromhex(entry["decoded"]["plaintext_hex"])
    assert ring.decrypt(payload, aad) == plaintext
    assert ring.encrypt(payload[0], payload[1:13], plaintext, aad) == payload


@given(
    st.sampled_from([K16, K24, K32]),
    st.sampled_from(VERSIONS),
    st.binary(max_size=100),
    st.binary(max_size=20),
)
def test_what_was_encrypted_comes_back(key, version, plaintext, aad):
    ring = Keyring([key])
    assert ring.decrypt(ring.encrypt(version, NONCE, plaintext, aad), aad) == plaintext


def test_overhead_is_what_encryption_adds():
    assert len(Keyring([K16]).encrypt(UNPADDED, NONCE, b"", b"")) == OVERHEAD == Keyring.overhead
    assert len(Keyring([K16]).encrypt(PADDED, NONCE, b"", b"")) == 45


def test_the_first_key_encrypts_and_every_key_decrypts():
    both = Keyring([K16, K32])
    assert Keyring([K16]).decrypt(both.encrypt(UNPADDED, NONCE, b"x", b""), b"") == b"x"
    assert both.decrypt(Keyring([K32]).encrypt(UNPADDED, NONCE, b"y", b""), b"") == b"y"


def test_adding_appends_once():
    ring = Keyring([K16])
    ring.add(K32)
    ring.add(K16)
    assert ring.keys == (K16, K32)


def test_using_a_key_moves_it_to_the_front():
    ring = Keyring([K16, K24, K32])
    ring.use(K32)
    assert ring.keys == (K32, K16, K24)
    assert Keyring([K32]).decrypt(ring.encrypt(UNPADDED, NONCE, b"x", b""), b"") == b"x"


def test_using_a_key_that_is_not_there_is_refused():
    with pytest.raises(LocalProtocolError, match=r"^Requested key is not in the keyring$"):
        Keyring([K16]).use(K32)


def test_removing_forgets_a_key_and_tolerates_an_absent_one():
    ring = Keyring([K16, K24])
    ring.remove(K24)
    ring.remove(K32)
    assert ring.keys == (K16,)


def test_removing_the_primary_key_is_refused():
    ring = Keyring([K16, K24])
    with pytest.raises(LocalProtocolError, match=r"^Removing the primary key is not allowed$"):
        ring.remove(K16)
    assert ring.keys == (K16, K24)


@pytest.mark.parametrize("length", [0, 15, 17, 31, 33])
def test_keys_have_16_24_or_32_bytes(length):
    with pytest.raises(LocalProtocolError, match=r"^key size must be 16, 24 or 32 bytes$"):
        Keyring([b"k" * length])


def test_a_ring_has_at_least_one_key():
    with pytest.raises(LocalProtocolError, match="no keys"):
        Keyring([])


def test_keys_are_read_from_base64():
    texts = [b64encode(key).decode() for key in (K32, K16)]
    assert Keyring.from_base64([texts[0] + "\n", texts[1]]).keys == (K32, K16)


@pytest.mark.parametrize("text", ["not base64", "YQ", "schlüssel", "YWJj"])
def test_a_key_that_is_not_base64_of_a_keys_length_names_its_place(text):
    with pytest.raises(ConfigError, match=r"^encryption key 2: expected base64 of 16, 24 or 32 bytes, got "):
        Keyring.from_base64([b64encode(K16).decode(), text])


def test_no_keys_at_all_are_a_mistake_in_the_configuration():
    with pytest.raises(ConfigError, match=r"^cannot use the encryption keys: .*no keys"):
        Keyring.from_base64([])


def test_a_ring_never_shows_its_keys():
    assert repr(Keyring([K16, K24])) == "<Keyring of 2>"


@pytest.mark.parametrize(
    ("version", "nonce"), [(2, NONCE), (-1, NONCE), (UNPADDED, NONCE[1:]), (PADDED, NONCE + b"x")]
)
def test_encrypting_wants_a_known_version_and_a_whole_nonce(version, nonce):
    with pytest.raises(
        LocalProtocolError, match=f"cannot encrypt as version {version} with a nonce of {len(nonce)}"
    ):
        Keyring([K16]).encrypt(version, nonce, b"x", b"")


@pytest.mark.parametrize("payload", [b"", b"\x02" + bytes(44)])
def test_an_unknown_version_is_refused(payload):
    with pytest.raises(
        RemoteProtocolError, match=f"unknown encryption version {payload[:1].hex() or 'missing'}"
    ):
        Keyring([K16]).decrypt(payload, b"")


@pytest.mark.parametrize(("version", "shortest"), [(UNPADDED, 29), (PADDED, 45)])
def test_a_payload_shorter_than_its_overhead_is_refused(version, shortest):
    ring = Keyring([K16])
    assert ring.decrypt(ring.encrypt(version, NONCE, b"", b""), b"") == b""
    with pytest.raises(
        RemoteProtocolError, match=f"payload of {shortest - 1} bytes: expected at least {shortest}"
    ):
        ring.decrypt(bytes((version,)) + bytes(shortest - 2), b"")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_changed_payload_or_label_or_key_is_refused(version):
    ring = Keyring([K16])
    payload = ring.encrypt(version, NONCE, b"hello", b"label")
    changed = [
        payload[:place] + bytes((payload[place] ^ 4,)) + payload[place + 1 :] for place in range(len(payload))
    ]
    for attempt in changed[1:]:
        with pytest.raises(RemoteProtocolError, match="no installed key could decrypt"):
            ring.decrypt(attempt, b"label")
    with pytest.raises(RemoteProtocolError, match="unknown encryption version"):
        ring.decrypt(changed[0], b"label")
    for keys, aad in ((ring, b"other"), (Keyring([K24, K32]), b"label")):
        with pytest.raises(RemoteProtocolError, match="no installed key could decrypt"):
            keys.decrypt(payload, aad)


def test_what_no_key_opens_names_the_keys_that_were_tried():
    payload = Keyring([K16]).encrypt(UNPADDED, NONCE, b"hello", b"")
    tried = f"{fingerprint(K24)}, {fingerprint(K32)}"
    with pytest.raises(RemoteProtocolError, match=rf"\(installed: {tried}\)"):
        Keyring([K24, K32]).decrypt(payload, b"")


def test_the_ring_says_which_key_opened_the_latest_payload():
    ring = Keyring([K24, K16])
    assert ring.opened_with == K24
    ring.decrypt(Keyring([K16]).encrypt(UNPADDED, NONCE, b"hello", b""), b"")
    assert ring.opened_with == K16
    ring.decrypt(ring.encrypt(UNPADDED, NONCE, b"hello", b""), b"")
    assert ring.opened_with == K24


def test_a_fingerprint_is_short_and_tells_keys_apart():
    names = {fingerprint(key) for key in (K16, K24, K32)}
    assert len(names) == 3
    assert all(len(name) == 8 for name in names)


@pytest.mark.parametrize("end", [b"\x00", b"\x11", b"\xff", b"\x02\x01\x02"])
def test_broken_padding_is_refused(end):
    ring = Keyring([K16])
    block = bytes(16 - len(end)) + end
    unpadded = ring.encrypt(UNPADDED, NONCE, block, b"")
    with pytest.raises(RemoteProtocolError, match="broken padding"):
        ring.decrypt(b"\x00" + unpadded[1:], b"")


def test_cryptography_is_imported_when_a_ring_is_made_and_not_before():
    program = """
import sys
from gossip.wire import codec, packet, serf_codec, stream
from gossip.wire.keyring import Keyring

before = "cryptography" in sys.modules
Keyring([bytes(16)])
print(before, "cryptography" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "False True\n"
