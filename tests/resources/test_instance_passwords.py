"""The password of a machine of a password-enabled template: told once, to who has the key, and to nobody else."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from gstack.store.db import db
from gstack.translate import passwords

WEB = "zones/{zone}/instances/web"
UBUNTU = "projects/ubuntu-os-cloud/global/images/linux-ubuntu-24-04-lts-64-bit"  # password-enabled
KEY = rsa.generate_private_key(65537, 2048)


def asked(key: rsa.RSAPrivateKey = KEY, **more: Any) -> list[dict[str, str]]:
    """Metadata with a request for the password."""
    numbers = key.public_key().public_numbers()
    said = {
        "userName": "admin",
        "modulus": base64.b64encode(numbers.n.to_bytes(key.key_size // 8)).decode(),
        "exponent": base64.b64encode(numbers.e.to_bytes(3)).decode(),
        "expireOn": "2999-01-01T00:00:00Z",
    }
    return [{"key": "windows-keys", "value": "{}\n" + json.dumps(said | more)}]


def told(text: str) -> str:
    oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)
    return KEY.decrypt(base64.b64decode(json.loads(text)["encryptedPassword"]), oaep).decode()


def make(gateway: Any, metadata: list[dict[str, str]]) -> None:
    disk = {"boot": True, "initializeParams": {"sourceImage": UBUNTU}}
    body = {"name": "web", "machineType": "tiny", "disks": [disk], "networkInterfaces": [{}]}
    gateway.run("POST", "zones/{zone}/instances", body | {"metadata": {"items": metadata}})


def test_a_password_is_told_once_to_who_has_the_key(gateway: Any) -> None:
    make(gateway, asked())
    assert gateway.get(f"{WEB}/serialPort")["contents"] == ""
    first = gateway.get(f"{WEB}/serialPort", port=4)
    assert (len(told(first["contents"])), first["next"]) == (6, str(len(first["contents"])))
    assert json.loads(first["contents"])["userName"] == "admin"
    assert gateway.get(f"{WEB}/serialPort", port=4)["contents"] == ""


def test_a_password_that_comes_with_the_first_start_is_told_as_well(gateway: Any) -> None:
    """A machine with a disk of another image is deployed stopped."""
    debian = "projects/debian-cloud/global/images/family/debian-12"
    disks = [{"boot": True, "initializeParams": {"sourceImage": UBUNTU}}, {"initializeParams": {"sourceImage": debian}}]
    body = {"name": "web", "machineType": "tiny", "disks": disks, "networkInterfaces": [{}]}
    gateway.run("POST", "zones/{zone}/instances", body | {"metadata": {"items": asked()}})
    assert len(told(gateway.get(f"{WEB}/serialPort", port=4)["contents"])) == 6


def test_a_password_waits_until_there_is_a_key_and_lies_sealed(gateway: Any) -> None:
    make(gateway, [])
    assert gateway.get(f"{WEB}/serialPort", port=4)["contents"] == ""
    seen = gateway.get(WEB)["metadata"]["fingerprint"]
    with gateway.app.app_context():
        connection = db.session.connection()
        tables = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").all()
        rows = str([connection.exec_driver_sql(f'SELECT * FROM "{table}"').all() for (table,) in tables])
    gateway.run("POST", f"{WEB}/setMetadata", {"items": asked(), "fingerprint": seen})
    password = told(gateway.get(f"{WEB}/serialPort", port=4)["contents"])
    assert password and f'"{password}"' not in rows


@pytest.mark.parametrize(
    "items",
    [
        [],
        asked(expireOn="2001-01-01T00:00:00Z"),
        asked(modulus="%"),
        asked(exponent="AQ=="),
        asked(expireOn="soon"),
        asked(rsa.generate_private_key(65537, 1024)),
        [{"key": "windows-keys", "value": "[1]"}],
        [{"key": "windows-keys", "value": "no json"}],
    ],
)
def test_a_request_that_is_none_gets_nothing(items: list[dict[str, str]]) -> None:
    assert passwords.answer(items, "secret") is None


def test_a_machine_without_a_password_has_none_to_tell(gateway: Any) -> None:
    gateway.deploy("web")
    assert gateway.get(f"{WEB}/serialPort", port=4)["contents"] == ""
