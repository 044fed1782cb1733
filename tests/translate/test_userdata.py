"""What a guest reads, taken apart again by Python's own MIME parser as cloud-init does."""

from __future__ import annotations

import base64
import email
import gzip
import json
import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gstack.errors import GceError
from gstack.translate.guest import MARK
from gstack.translate.userdata import LONGEST, compose


def item(key: str, value: str) -> dict[str, str]:
    return {"key": key, "value": value}


def read(userdata: str | None) -> bytes:
    data = base64.b64decode(userdata or "")
    return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data


def parts(userdata: str | None) -> dict[str, bytes]:
    document = email.message_from_bytes(read(userdata))
    assert document.is_multipart()
    return {
        part.get_content_type(): part.get_payload(decode=True) for part in document.walk() if not part.is_multipart()
    }


def configuration(userdata: str | None) -> dict:
    return json.loads(parts(userdata)["text/cloud-config"].removeprefix(b"#cloud-config\n"))


def hook(userdata: str | None) -> str:
    """The program that runs at every boot."""
    found = parts(userdata)["text/cloud-boothook"].decode()
    assert found.startswith(MARK + "#!/bin/sh\n")
    return found


def test_nothing_makes_no_user_data() -> None:
    assert compose([]) is None


def test_user_data_alone_goes_as_it_is() -> None:
    assert read(compose([item("user-data", "#cloud-config\nö: 1\n")])) == "#cloud-config\nö: 1\n".encode()


def test_base64_user_data_is_decoded_once() -> None:
    items = [item("user-data", base64.b64encode(b"\x00\xff").decode()), item("user-data-encoding", "base64")]
    assert read(compose(items)) == b"\x00\xff"


def test_what_runs_at_every_boot_goes_before_the_user_data() -> None:
    found = parts(compose([item("user-data", "#!/bin/sh\ntrue"), item("startup-script", "#!/bin/sh\nfalse")], "vm.x"))
    assert list(found) == ["text/cloud-boothook", "text/x-shellscript", "text/cloud-config"]


def test_of_a_machine_that_is_there_something_is_always_said() -> None:
    assert "finish" in hook(compose([], later=True))
    assert list(parts(compose([item("user-data", "#!/bin/sh\ntrue")], later=True)))[1] == "text/x-shellscript"


def test_user_data_and_script_stand_side_by_side() -> None:
    found = parts(compose([item("user-data", "#!/bin/sh\ntrue"), item("startup-script", "#!/bin/sh\nfalse")]))
    assert found["text/x-shellscript"].strip() == b"#!/bin/sh\ntrue"
    assert b"\n#!/bin/sh\nfalse\n" in found["text/cloud-boothook"]


def test_a_multi_part_user_data_becomes_a_part() -> None:
    inner = 'Content-Type: multipart/mixed; boundary="x"\n\n--x\nContent-Type: text/x-shellscript\n\n#!/bin/sh\n--x--\n'
    found = parts(compose([item("user-data", inner), item("k", "v")]))
    assert found["text/x-shellscript"].strip() == b"#!/bin/sh"
    assert "text/cloud-boothook" in found


def test_a_custom_host_name_is_set() -> None:
    said = configuration(compose([], "vm.example.com"))
    assert (said["hostname"], said["fqdn"]) == ("vm", "vm.example.com")


def test_the_same_metadata_makes_the_same_user_data() -> None:
    items = [item("startup-script", "echo"), item("k", "v")]
    assert compose(items) == compose(items)


def test_user_data_for_something_else_than_cloud_init_goes_as_it_is() -> None:
    assert read(compose([item("user-data", '{"ignition": {}}'), item("k", "v")])) == b'{"ignition": {}}'


def test_long_user_data_is_packed() -> None:
    userdata = compose([item("startup-script", "echo " + "x" * 100_000)])
    assert userdata is not None
    assert len(userdata) <= LONGEST
    assert "x" * 100_000 in hook(userdata)


NOISE = "".join(random.Random(1).choices(string.ascii_letters + string.digits, k=40_000))


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([item("a b", "")], "items[0].key"),
        ([item("a", "1"), item("a", "2")], "duplicate"),
        ([item("user-data", NOISE)], "at most 32768"),
        ([item("k", "x" * 262_145)], "items[0].value"),
        ([item(f"k{number}", "x" * 200_000) for number in range(3)], "524288"),
        ([item("user-data", "%"), item("user-data-encoding", "base64")], "not base64"),
        ([item("user-data", "x"), item("user-data-encoding", "rot13")], "rot13"),
        ([item("k", "v"), item("ssh-keys", "no key")], "items[1].value"),
        ([item("ssh-keys", "Ro ot:ssh-rsa AAAA")], "USER:KEY-TYPE"),
        ([item("shutdown-script", "true")], "shutdown-script"),
        ([item("startup-script-url", "gs://bucket/script")], "https://"),
        ([item("startup-script-url", "https://host/a b")], "items[0].value"),
        ([item("windows-startup-script-ps1", "x")], "no effect"),
        ([item("user-data", '{"ignition": {}}'), item("startup-script", "x")], "cloud-init"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(items: list[dict[str, str]], words: str) -> None:
    with pytest.raises(GceError) as error:
        compose(items)
    assert error.value.kind == "invalid"
    assert words in error.value.message


@pytest.mark.parametrize(
    "items",
    [
        [item("k", "secret" * 100_000)],
        [item("startup-script-url", "https://host/?signature=secret and more")],
        [item("user-data", "secret!"), item("user-data-encoding", "base64")],
        [item("user-data", '{"ignition": "secret"}'), item("startup-script", "x")],
    ],
)
def test_a_refusal_never_shows_a_value_which_may_be_a_secret(items: list[dict[str, str]]) -> None:
    with pytest.raises(GceError) as caught:
        compose(items)
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(("value", "users"), [("TRUE", 0), ("true", 0), ("FALSE", 2), ("", 2)])
def test_os_login_shuts_out_the_keys_of_the_metadata(value: str, users: int) -> None:
    found = hook(compose([item("enable-oslogin", value), item("ssh-keys", "ada:ssh-rsa AAAA\nbob:ssh-rsa BBBB")]))
    assert found.count("\nuser ") == users


@pytest.mark.parametrize("name", ["ada", "ada.love-lace_2", "Jane.Doe", "JANE.DOE", "Jane", "_", "x" * 32])
def test_accounts_are_called_as_on_the_machines_that_gcloud_runs_on(name: str) -> None:
    assert f"\nuser {name} <<" in hook(compose([item("ssh-keys", f"{name}:ssh-rsa AAAA")]))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "ALL",
        "JANE",
        "JANE_2",
        "Defaults",
        "Defaultsx",
        "User_Alias",
        "a_Aliases",
        ".a",
        "-a",
        "1a",
        "a b",
        "ä",
        "a%",
        "x" * 33,
    ],
)
def test_no_account_has_a_name_that_sudo_reads_otherwise(name: str) -> None:
    with pytest.raises(GceError, match="USER an account that a guest can have"):
        compose([item("ssh-keys", f"{name}:ssh-rsa AAAA")])


@pytest.mark.parametrize("end", ["2030-12-31T23:59:58+0000", "2030-12-31T23:59:58Z", "2031-01-01T01:59:58+0200"])
def test_a_key_that_expires_does_so_in_the_guest(end: str) -> None:
    key = f'ssh-rsa AAAA google-ssh {{"userName":"ada@example.com","expireOn":"{end}"}}'
    found = hook(compose([item("ssh-keys", f"ada:{key}\nada:ssh-rsa BBBB google-sshd")]))
    assert f'\nexpiry-time="20301231235958" {key}\nssh-rsa BBBB google-sshd\n' in found


@pytest.mark.parametrize(
    "said",
    ["", "{", "[]", "1", "{}", '{"expireOn":1}', '{"expireOn":"soon"}', '{"expireOn":"0001-01-01T00:00:00+2300"}'],
)
def test_an_end_of_a_key_that_cannot_be_read_is_refused(said: str) -> None:
    with pytest.raises(GceError, match="google-ssh must be JSON with a date"):
        compose([item("ssh-keys", f"ada:ssh-rsa AAAA google-ssh {said}")])


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r"), min_size=1, max_size=200))
def test_any_script_comes_out_as_it_went_in(text: str) -> None:
    assert f"\n#!/bin/sh\n{text}\n" in hook(compose([item("startup-script", "#!/bin/sh\n" + text)]))
