"""What an operator does: key files that clients accept, listing, revoking, replacing the sealing key."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from google.oauth2 import service_account

from gstack.auth import credentials, keyfiles
from gstack.auth.identity import Refused
from gstack.auth.keyring import Keyring
from gstack.errors import GceError
from gstack.store.credentials import Credential
from gstack.store.db import own_session
from gstack.store.sealing import Sealer

from .conftest import HOST, SEAL_KEY, Room, assertion


def test_the_key_file_is_one_that_googles_library_loads(room: Room) -> None:
    made = room.service_account(name="ci")
    content = made.content
    assert content["client_email"] == made.email == "ci@tenant.iam.gserviceaccount.com"
    assert (content["type"], content["project_id"], made.project) == ("service_account", "tenant", "tenant")
    assert content["token_uri"] == f"https://{HOST}/token"
    assert content["universe_domain"] == "googleapis.com"
    assert content["client_id"].isdigit() and len(content["client_id"]) == 21
    loaded = service_account.Credentials.from_service_account_info(content)
    assert (loaded.project_id, loaded.service_account_email) == ("tenant", made.email)
    key: Any = load_pem_private_key(content["private_key"].encode(), None)
    assert key.key_size == 2048


def test_libcloud_takes_the_address_for_a_service_account(room: Room) -> None:
    from libcloud.common.google import GoogleAuthType

    assert GoogleAuthType.guess_type(room.service_account().email) == GoogleAuthType.SA


def test_a_pair_that_cloudstack_refuses_is_never_stored(room: Room) -> None:
    with pytest.raises(Refused):
        credentials.create(room.guard.keyring, room.keys()[0], "wrong", name="x", project=None, url="https://x")
    assert credentials.listing() == []


def test_the_default_project_may_be_a_cloudstack_project(room: Room) -> None:
    made = room.service_account(name="shop", project="web-shop")
    assert made.content["project_id"] == "web-shop"
    assert made.email == "shop@web-shop.iam.gserviceaccount.com"


def test_a_project_out_of_reach_is_refused_with_what_is_in_reach(room: Room) -> None:
    with pytest.raises(GceError, match="It reaches: tenant, web-shop") as caught:
        room.service_account(project="other")
    assert caught.value.kind == "notFound" and credentials.listing() == []


@pytest.mark.parametrize("name", ["Big", "1st", "a_b", "-", "a" * 64, "a-", "é", "a\n", "a@b"])
def test_a_name_that_is_no_label_is_refused(room: Room, name: str) -> None:
    with pytest.raises(GceError) as caught:
        room.service_account(name=name)
    assert caught.value.kind == "invalid" and room.calls == []


def test_a_name_is_free_again_once_its_credential_is_revoked(room: Room) -> None:
    first = room.service_account(name="ci")
    with pytest.raises(GceError) as caught:
        room.service_account(name="ci")
    assert caught.value.kind == "alreadyExists"
    credentials.revoke(room.guard.keyring, first.credential_id)
    assert room.service_account(name="ci").email == first.email
    with pytest.raises(GceError) as caught:
        credentials.restore(first.credential_id)
    assert caught.value.kind == "alreadyExists"


def test_revoking_one_key_file_leaves_others_of_the_same_pair_alone(room: Room) -> None:
    one, two = room.service_account(name="one"), room.service_account(name="two")
    credentials.revoke(room.guard.keyring, one.email)
    grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert room.post(grant_type=grant_type, assertion=assertion(two.content)).status_code == 200


@pytest.mark.parametrize("reference", ["nobody@x", "", "%", "11111111-2222-3333-4444-555555555555"])
def test_an_unknown_credential_is_not_found(room: Room, reference: str) -> None:
    room.service_account()
    with pytest.raises(GceError) as caught:
        credentials.revoke(room.guard.keyring, reference)
    assert caught.value.kind == "notFound"


def test_a_direct_pair_has_no_key_file_to_rotate(room: Room) -> None:
    credential_id = room.bearer(room.pair_token()).credential_id
    with pytest.raises(GceError) as caught:
        credentials.rotate(room.guard.keyring, credential_id, url="https://x")
    assert caught.value.kind == "failedPrecondition"


def test_after_resealing_the_old_sealing_key_may_go(room: Room) -> None:
    token = room.pair_token()
    made = room.service_account()
    room.post(
        grant_type="urn:ietf:params:oauth:grant-type:jwt-bearer",
        assertion=assertion(made.content, target_audience="x"),
    )
    new_key = Fernet.generate_key().decode()
    endpoint = room.guard.keyring.endpoint
    both = Sealer(keys=[new_key, SEAL_KEY])
    assert credentials.reseal(Keyring(endpoint, both, room.clock), both) == 3
    later = Keyring(endpoint, Sealer(keys=[new_key]), room.clock)
    assert later.admit(*room.keys(), "127.0.0.1").credential_id == room.bearer(token).credential_id
    assert len(credentials.listing()) == 2


def test_a_pair_is_known_again_under_a_new_sealing_key_before_resealing(room: Room) -> None:
    credential_id = room.bearer(room.pair_token()).credential_id
    both = Sealer(keys=[Fernet.generate_key().decode(), SEAL_KEY])
    keyring = Keyring(room.guard.keyring.endpoint, both, room.clock)
    assert keyring.admit(*room.keys(), "127.0.0.1").credential_id == credential_id


def test_a_seal_moved_to_another_row_does_not_open(room: Room) -> None:
    mine, victim = room.service_account("other", name="mine"), room.service_account("tenant", name="victim")
    with own_session() as session:
        stolen = session.get_one(Credential, victim.credential_id).sealed_keys
        session.get_one(Credential, mine.credential_id).sealed_keys = stolen
        session.commit()
    with pytest.raises(Refused):
        room.guard.keyring.keys(mine.credential_id, stolen)


def test_a_key_file_is_for_its_owner_only_and_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    path.write_text("older")
    path.chmod(0o644)
    with keyfiles.writing(path) as write:
        write({"type": "service_account"})
    assert json.loads(path.read_text()) == {"type": "service_account"}
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(TypeError), keyfiles.writing(path) as write:
        write({"type": object()})
    assert [file.name for file in tmp_path.iterdir()] == ["key.json"]


def test_a_new_key_pair_does_not_print_its_private_half() -> None:
    assert "PRIVATE" not in repr(keyfiles.KeyPair("id", "PRIVATE", "public"))


def test_in_another_universe_googles_library_signs_its_tokens_itself(room: Room) -> None:
    room.clock.value = time.time()  # the library has its own
    made = room.service_account(name="ci", universe="cloud.example")
    scopes = ["https://www.googleapis.com/auth/cloud-platform"]
    client = service_account.Credentials.from_service_account_info(made.content, scopes=scopes)
    assert client.universe_domain == "cloud.example"
    client.refresh(None)  # no request is made
    assert room.bearer(client.token, "compute.cloud.example").credential_id == made.credential_id


def test_a_universe_may_have_a_port(room: Room) -> None:
    assert room.service_account(name="ci", universe="gce.test:9443").content["universe_domain"] == "gce.test:9443"


@pytest.mark.parametrize(
    "universe",
    [
        "",
        "example",
        "gce.test:",
        "gce.test:x",
        "gce.test:0",
        "gce.test:123456",
        "x y.z",
        "https://x.test",
        "-a.b",
        "A.b",
    ],
)
def test_a_universe_that_is_no_domain_is_refused(room: Room, universe: str) -> None:
    with pytest.raises(GceError, match="domain"):
        room.service_account(name="ci", universe=universe)
