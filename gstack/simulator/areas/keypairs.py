"""SSH key pairs, and the sealing of a machine's password with an RSA key.

Apart, because it is the only place that knows cryptography. Surprising: the comment of a registered key is
dropped, and one public key cannot be registered under two names.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ..call import Call
from ..errors import ApiError, invalid
from ..lists import ID_FILTERS, Filters, check_page, name_is, page, same_name, select, visible_accounts
from ..model import Account, KeyPair, Row
from ..registry import command

PREFIXES = (
    "ssh-rsa ",
    "ssh-ed25519 ",
    "ecdsa-sha2-nistp256 ",
    "ecdsa-sha2-nistp384 ",
    "ecdsa-sha2-nistp521 ",
)


def bare(public_key: str) -> str:
    """Type and key without the comment; raises for what is no OpenSSH key."""
    text = public_key.strip()
    parts = text.split()
    if not text.startswith(PREFIXES) or len(parts) < 2:
        raise invalid("Public key is invalid")
    try:
        serialization.load_ssh_public_key(f"{parts[0]} {parts[1]}".encode())
    except (ValueError, UnsupportedAlgorithm):
        raise invalid("Public key is invalid") from None
    return f"{parts[0]} {parts[1]}"


def fingerprint(public_key: str) -> str:
    try:
        blob = base64.b64decode(public_key.split()[1])
    except (IndexError, binascii.Error):
        raise invalid("Public key is invalid") from None
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[i : i + 2] for i in range(0, 32, 2))


def seal(public_keys: str, password: str) -> str | None:
    """The password under the first RSA key, as getVMPassword answers it."""
    for line in public_keys.splitlines():
        if line.startswith("ssh-rsa "):
            key = serialization.load_ssh_public_key(line.encode())
            assert isinstance(key, rsa.RSAPublicKey)
            return base64.b64encode(key.encrypt(password.encode(), padding.PKCS1v15())).decode()
    return None


def view(call: Call, pair: KeyPair) -> Row:
    owner = call.world.owner(pair.account)
    owner.pop("domainpath")
    return {
        "id": pair.id,
        "name": pair.name,
        **owner,
        "fingerprint": pair.fingerprint,
        "hasannotations": False,
    }


def mine(call: Call, owner: Account) -> list[KeyPair]:
    return [pair for pair in call.world.keypair if pair.account == owner.id]


def add(call: Call, owner: Account, public_key: str) -> KeyPair:
    world = call.world
    name = call.text("name") or ""
    number = world.keypair.take_number()
    return world.keypair.add(KeyPair(world.uuid(), number, name, owner.id, public_key, fingerprint(public_key)))


@command("createSSHKeyPair")
def create(call: Call) -> Row:
    owner, name = call.owner(), call.text("name") or ""
    if any(same_name(pair.name, name) for pair in mine(call, owner)):
        raise invalid(f"A key pair with name '{name}' already exists.")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    pair = add(call, owner, key.public_key().public_bytes(*form).decode())
    plain = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, *plain).decode()
    return {"keypair": {"privatekey": private, **view(call, pair)}}


@command("registerSSHKeyPair")
def register(call: Call) -> Row:
    owner, name, given = call.owner(), call.text("name") or "", call.text("publickey") or ""
    pairs = mine(call, owner)
    if any(same_name(pair.name, name) for pair in pairs):
        raise invalid(f"A key pair with name '{name}' already exists for this account.")
    public_key = bare(given)
    if any(pair.public_key == public_key for pair in pairs):
        raise invalid(f"A key pair with key '{given}' already exists for this account.")
    return {"keypair": view(call, add(call, owner, public_key))}


FILTERS: Filters = {
    **ID_FILTERS,
    "name": name_is,
    "fingerprint": lambda pair, wanted: pair.fingerprint == wanted,
}


@command("listSSHKeyPairs", "keypair")
def list_pairs(call: Call) -> Row:
    check_page(call)
    seen = visible_accounts(call)
    newest_first = reversed([pair for pair in call.world.keypair if seen(pair.account)])
    rows = select(call, newest_first, FILTERS, lambda pair: (pair.name, pair.fingerprint))
    return page(call, "sshkeypair", rows, lambda pair: view(call, pair))


@command("deleteSSHKeyPair")
def delete(call: Call) -> Row:
    owner, name = call.owner(), call.text("name") or ""
    for pair in mine(call, owner):
        if same_name(pair.name, name):
            call.world.keypair.remove(pair, leave_trace=False)
            return {"success": True}
    text = f"A key pair with name '{name}' does not exist for account {owner.name} in specified domain id"
    raise ApiError(431, text, uuids=((owner.domain, "domainId"),))
