"""AES-GCM as memberlist uses it, and the ordered ring of keys (serf-wire 4.2, 4.3).

An encrypted payload is ``version | nonce (12) | ciphertext | tag (16)``. Version 1 encrypts the plaintext
as it is; version 0, which only old peers send, pads it to 16 bytes first. The first key encrypts; every key
may decrypt, so a cluster can change keys without interruption.

`cryptography` takes 7 MiB of memory, so it is imported only when a ring is made. Nonces come from the caller:
this module draws no random numbers.
"""

from base64 import b64decode
from collections.abc import Iterable, Sequence

from gossip.errors import ConfigError, LocalProtocolError, RemoteProtocolError

KEY_BYTES = (16, 24, 32)
NONCE_BYTES = 12
TAG_BYTES = 16
PADDED = 0
UNPADDED = 1
OVERHEAD = 1 + NONCE_BYTES + TAG_BYTES
BLOCK = 16

NO_KEYS = "cannot make a keyring of no keys"
WRONG_KEY_LENGTH = "key size must be 16, 24 or 32 bytes"
NOT_IN_KEYRING = "Requested key is not in the keyring"
PRIMARY_STAYS = "Removing the primary key is not allowed"


def decode_base64(text: str) -> bytes:
    """Return the bytes of `text` in standard base64, the only form in which people and Serf write keys.

    Raises:
        ValueError: it is not base64. The error does not repeat the text.
    """
    try:
        return b64decode(text.strip(), validate=True)
    except ValueError:
        raise ValueError("expected base64 of 16, 24 or 32 bytes, got something else") from None


def decode_key(text: str) -> bytes:
    """Return the key in `text`, which is base64.

    Raises:
        ValueError: it is not base64 of 16, 24 or 32 bytes. The error does not repeat the text.
    """
    key = decode_base64(text)
    if len(key) not in KEY_BYTES:
        raise ValueError(f"expected base64 of 16, 24 or 32 bytes, got {len(key)} bytes")
    return key


class Keyring:
    """The keys of a cluster, the primary one first."""

    __slots__ = ("_ciphers", "_invalid_tag", "_make_cipher", "opened_with")

    overhead = OVERHEAD
    """Bytes that encryption adds to what this program sends (version 1)."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Make a ring of `keys`, the first of which is primary.

        Raises:
            LocalProtocolError: there are no keys, or one is not 16, 24 or 32 bytes long.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if not keys:
            raise LocalProtocolError(NO_KEYS)
        self._invalid_tag = InvalidTag
        self._make_cipher = AESGCM
        self._ciphers: dict[bytes, AESGCM] = {}
        for key in keys:
            self.add(key)
        self.opened_with = keys[0]  # the key that opened the latest payload

    @classmethod
    def from_base64(cls, texts: Iterable[str]) -> "Keyring":
        """Make a ring of keys in standard base64, as people write them in flags and files.

        Raises:
            ConfigError: a text is not base64, or not a key of 16, 24 or 32 bytes; or there are no texts.
        """
        keys = []
        for number, text in enumerate(texts, start=1):
            try:
                keys.append(decode_key(text))
            except ValueError as error:
                raise ConfigError(f"encryption key {number}: {error}") from None
        try:
            return cls(keys)
        except LocalProtocolError as error:
            raise ConfigError(f"cannot use the encryption keys: {error}") from None

    def __repr__(self) -> str:
        """Show the number of keys, never the keys."""
        return f"<Keyring of {len(self._ciphers)}>"

    @property
    def keys(self) -> tuple[bytes, ...]:
        """All keys, the primary one first."""
        return tuple(self._ciphers)

    def add(self, key: bytes) -> None:
        """Append `key`; do nothing if the ring has it.

        Raises:
            LocalProtocolError: it is not 16, 24 or 32 bytes long; the ring is unchanged.
        """
        if len(key) not in KEY_BYTES:
            raise LocalProtocolError(WRONG_KEY_LENGTH)
        if key not in self._ciphers:
            self._ciphers[key] = self._make_cipher(key)

    def use(self, key: bytes) -> None:
        """Make `key` the primary one.

        Raises:
            LocalProtocolError: it is not in the ring.
        """
        if key not in self._ciphers:
            raise LocalProtocolError(NOT_IN_KEYRING)
        self._ciphers = {key: self._ciphers[key]} | self._ciphers

    def remove(self, key: bytes) -> None:
        """Remove `key`; do nothing if the ring does not have it.

        Raises:
            LocalProtocolError: it is the primary one; the ring is unchanged.
        """
        if key == self.keys[0]:
            raise LocalProtocolError(PRIMARY_STAYS)
        self._ciphers.pop(key, None)

    def encrypt(self, version: int, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        """Return `plaintext` encrypted with the primary key.

        Args:
            version: 1, or 0 to pad as very old peers do.
            nonce: 12 bytes that were never used with this key; draw them at random.
            plaintext: The bytes to encrypt.
            aad: Additional data, sent in the clear and authenticated.

        Raises:
            LocalProtocolError: `version` or the length of `nonce` is wrong.
        """
        if version not in (PADDED, UNPADDED) or len(nonce) != NONCE_BYTES:
            raise LocalProtocolError(
                f"cannot encrypt as version {version} with a nonce of {len(nonce)} bytes: "
                f"expected version 0 or 1 and {NONCE_BYTES} bytes"
            )
        if version == PADDED:
            missing = BLOCK - len(plaintext) % BLOCK
            plaintext += bytes((missing,)) * missing
        cipher = next(iter(self._ciphers.values()))
        return bytes((version,)) + nonce + cipher.encrypt(nonce, plaintext, aad)

    def decrypt(self, payload: bytes, aad: bytes) -> bytes:
        """Return the plaintext of `payload`, trying all keys in order.

        Raises:
            RemoteProtocolError: its version is unknown, it is too short, no key opens it, or its padding
                is broken.
        """
        version = payload[0] if payload else -1
        if version not in (PADDED, UNPADDED):
            raise RemoteProtocolError(f"unknown encryption version {payload[:1].hex() or 'missing'}")
        shortest = OVERHEAD + (BLOCK if version == PADDED else 0)
        if len(payload) < shortest:
            raise RemoteProtocolError(
                f"encrypted payload of {len(payload)} bytes: expected at least {shortest}"
            )
        nonce, sealed = nonce_of(payload), payload[1 + NONCE_BYTES :]
        for key, cipher in self._ciphers.items():
            try:
                plaintext = cipher.decrypt(nonce, sealed, aad)
            except self._invalid_tag:
                continue
            self.opened_with = key
            return _unpad(plaintext) if version == PADDED else plaintext
        installed = ", ".join(map(fingerprint, self._ciphers))
        raise RemoteProtocolError(f"no installed key could decrypt the payload (installed: {installed})")


def nonce_of(payload: bytes) -> bytes:
    """Return the nonce of an encrypted payload; less than 12 bytes if the payload is truncated."""
    return payload[1 : 1 + NONCE_BYTES]


def fingerprint(key: bytes) -> str:
    """Return a short name of `key` for logs: 32 bits of its SHA-256, useless to an attacker."""
    from hashlib import sha256  # most agents have no key

    return sha256(key).hexdigest()[:8]


def _unpad(padded: bytes) -> bytes:
    """Strip PKCS7 padding of 1 to 16 bytes, and verify it, which Go does not."""
    length = padded[-1]
    if not 1 <= length <= BLOCK or not padded.endswith(bytes((length,)) * length):
        raise RemoteProtocolError(f"encrypted payload has broken padding ({length})")
    return padded[:-length]
