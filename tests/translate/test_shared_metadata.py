"""What a guest is told of its project's metadata beside its own."""

from __future__ import annotations

import base64
import gzip

from hypothesis import given
from hypothesis import strategies as st

from gstack.translate.userdata import compose

LOGIN = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
KEYS = st.dictionaries(LOGIN, st.from_regex(r"AAAA[a-z0-9]{8,20}", fullmatch=True), min_size=1, max_size=4)


def items(**values: str) -> list[dict[str, str]]:
    return [{"key": key.replace("_", "-"), "value": value} for key, value in values.items()]


def lines(keys: dict[str, str]) -> str:
    return "\n".join(f"{login}:ssh-ed25519 {key} {login}@laptop" for login, key in keys.items())


def told(userdata: str | None) -> str:
    data = base64.b64decode(userdata or "")
    return (gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data).decode()


@given(KEYS, KEYS)
def test_keys_of_both_are_authorised(own: dict[str, str], shared: dict[str, str]) -> None:
    text = told(compose(items(ssh_keys=lines(own)), inherited=items(ssh_keys=lines(shared))))
    assert all(key in text for key in [*own.values(), *shared.values()])


@given(KEYS, st.sampled_from(["true", "TRUE", "1", "yes"]))
def test_an_instance_that_blocks_them_gets_none_of_the_shared_keys(shared: dict[str, str], yes: str) -> None:
    text = told(compose(items(block_project_ssh_keys=yes), inherited=items(ssh_keys=lines(shared))))
    assert not any(key in text for key in shared.values())


@given(st.dictionaries(st.sampled_from(["foo", "user-data", "serial-port-enable"]), st.text("abc", max_size=9)))
def test_other_shared_metadata_changes_nothing_for_a_guest(shared: dict[str, str]) -> None:
    inherited = [{"key": key, "value": value} for key, value in shared.items()]
    assert compose(items(a="b"), inherited=inherited) == compose(items(a="b"))
    assert compose([], inherited=inherited) is None


def test_os_login_of_the_project_shuts_out_keys_unless_the_instance_says_no() -> None:
    shared = items(enable_oslogin="TRUE", ssh_keys="ada:ssh-ed25519 AAAAada x")
    assert "\nuser ada" not in told(compose([], inherited=shared))
    assert "\nuser ada" in told(compose(items(enable_oslogin="FALSE"), inherited=shared))
