"""Keys that sign packages: Ed25519, kept as PEM.

source  RFC 8032
"""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from twin.errors import OptionsError


def new_key(path: Path) -> str:
    """Write a fresh private key that its owner alone can read; the public key, 64 hex digits.

    raises  OptionsError where the file is there already
    """
    key = Ed25519PrivateKey.generate()
    data = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        place = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise OptionsError(f"{path}: no key can be written there ({error.strerror}); choose another name") from error
    with os.fdopen(place, "wb") as stream:
        stream.write(data)
    return public_key(key)


def read_key(path: Path) -> Ed25519PrivateKey:
    """The private key of a file; OptionsError where it holds none."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise OptionsError(f"{path}: no private key ({error}); `twin package DIR --new-key FILE` makes one") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise OptionsError(f"{path}: is a key of another kind; packages are signed with Ed25519")
    return key


def public_key(key: Ed25519PrivateKey) -> str:
    """The public half, 64 hex digits."""
    return key.public_key().public_bytes_raw().hex()


def is_signed(data: bytes, signature: str, key: str) -> bool:
    """Whether the signature (hex) of `data` was made by the private half of `key` (hex)."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(bytes.fromhex(signature), data)
    except (InvalidSignature, ValueError):
        return False
    return True
