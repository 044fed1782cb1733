"""The password that CloudStack gave a machine, told as GCE tells those of Windows: encrypted, on the serial port.

Apart because it is a protocol of its own. A client puts a public key into the metadata item ``windows-keys`` and reads
port 4 of the serial port until an answer for that key appears. The surprising thing: CloudStack says a password once,
in the job that first starts a machine of a password-enabled template, so gstack keeps it sealed until it was asked for.

Source: https://cloud.google.com/compute/docs/instances/windows/automate-pw-generation
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

KIND = "passwords"  # of the store's rows, by machine
MEMBER = "password"
ITEM = "windows-keys"
PORT = 4
FEWEST_BITS = 2048


def answer(metadata: Iterable[Mapping[str, Any]], password: str) -> str | None:
    """The line for the newest key of the metadata; None where no key may have the password."""
    text = next((str(item.get("value", "")) for item in metadata if item.get("key") == ITEM), "")
    asked = _newest(text)
    if asked is None:
        return None
    try:
        numbers = (int.from_bytes(base64.b64decode(asked[name], validate=True)) for name in ("exponent", "modulus"))
        key = rsa.RSAPublicNumbers(*numbers).public_key()
    except (KeyError, TypeError, ValueError, binascii.Error):
        return None
    if key.key_size < FEWEST_BITS:
        return None
    # Google's clients decrypt by this padding and no other.
    oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)  # noqa: S303 - as said
    said = {
        "userName": asked.get("userName"),
        "passwordFound": True,
        "encryptedPassword": base64.b64encode(key.encrypt(password.encode(), oaep)).decode(),
        "modulus": asked["modulus"],
        "exponent": asked["exponent"],
    }
    return json.dumps(said) + "\n"


def _newest(text: str) -> dict[str, Any] | None:
    """The last line's request, unless it has expired."""
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        asked = json.loads(lines[-1]) if lines else None
        until = datetime.fromisoformat(asked["expireOn"]) if asked and asked.get("expireOn") else None
    except (ValueError, TypeError, AttributeError):
        return None
    if not isinstance(asked, dict) or (until is not None and until.astimezone(UTC) < datetime.now(UTC)):
        return None
    return asked
