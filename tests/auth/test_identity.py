"""Whose key pair is it? The right user among several, and roles that hide things."""

from __future__ import annotations

from typing import Any

import pytest

from gstack.auth.identity import MOST_USERS_ASKED, Refused, identify
from gstack.cloudstack.errors import CloudStackError, Unauthorized, cloudstack_error
from gstack.errors import GceError

KEY, SECRET = "the-key", "the-secret"
ACCOUNT = {"id": "A", "name": "acme", "domainid": "D", "domain": "d", "domainpath": "ROOT/d"}


class FakeCloud:
    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def cloud(self, api_key: str, secret_key: str, *, key: str) -> FakeCloud:
        assert (api_key, secret_key) == (KEY, SECRET)
        return self

    def call(self, command: str, **params: Any) -> Any:
        self.asked.append((command, params))
        answer = self.answers[command]
        answer = answer(params) if callable(answer) else answer
        if isinstance(answer, Exception):
            raise answer
        return answer

    list = call


def user(name: str, apikey: str | None = None) -> dict[str, str]:
    row = {"id": f"id-{name}", "username": name, "email": f"{name}@x", "account": "acme", "accountid": "A"}
    return row | ({"apikey": apikey} if apikey else {}) | {"domainid": "D", "domain": "d"}


def missing(command: str) -> CloudStackError:
    return cloudstack_error(command, 432, f"The API [{command}] does not exist or is not available")


def find(users: Any, accounts: Any = (ACCOUNT,), **more: Any) -> Any:
    return identify(FakeCloud({"listUsers": users, "listAccounts": list(accounts), **more}), KEY, SECRET)  # type: ignore[arg-type]


def test_the_user_is_the_one_with_the_key_not_the_first() -> None:
    found = find([user("a", "other-key"), user("b", KEY), user("c")])
    assert (found.user_id, found.user_name, found.user_email) == ("id-b", "b", "b@x")
    assert (found.account, found.account_id, found.domain_path) == ("acme", "A", "ROOT/d")


def test_an_only_user_whose_key_is_not_shown_is_the_one() -> None:
    assert find([user("a")]).user_name == "a"


def test_where_keys_are_not_shown_each_user_is_asked_for_its_own() -> None:
    def keys(params: dict[str, Any]) -> Any:
        if params["id"] == "id-a":
            return cloudstack_error("getUserKeys", 531, "Caller does not have permission")
        return {"userkeys": {"apikey": KEY if params["id"] == "id-c" else "x"}}

    assert find([user("a"), user("b"), user("c")], getUserKeys=keys).user_name == "c"


def test_a_large_account_is_not_asked_through_to_its_end() -> None:
    cloud = FakeCloud(
        {
            "listUsers": [user(str(number)) for number in range(100)],
            "listAccounts": [ACCOUNT],
            "getUserKeys": {"userkeys": {"apikey": "x"}},
        }
    )
    identify(cloud, KEY, SECRET)  # type: ignore[arg-type]
    assert sum(command == "getUserKeys" for command, _ in cloud.asked) == MOST_USERS_ASKED


def test_another_users_row_alone_is_not_mistaken_for_the_owner() -> None:
    assert find([user("a", "other-key")]).user_id == ""


def test_a_role_without_listusers_still_has_an_account() -> None:
    found = find(missing("listUsers"))
    assert (found.account, found.user_name, found.user_id) == ("acme", "acme", "")


def test_a_role_without_listaccounts_still_has_a_user() -> None:
    cloud = FakeCloud({"listUsers": [user("a", KEY)], "listAccounts": missing("listAccounts")})
    found = identify(cloud, KEY, SECRET)  # type: ignore[arg-type]
    assert (found.account, found.account_id, found.domain_id) == ("acme", "A", "D")


def test_a_role_with_neither_is_told_what_it_needs() -> None:
    cloud = FakeCloud({"listUsers": missing("listUsers"), "listAccounts": missing("listAccounts")})
    with pytest.raises(GceError, match="listUsers or listAccounts") as caught:
        identify(cloud, KEY, SECRET)  # type: ignore[arg-type]
    assert caught.value.kind == "forbidden"


def test_several_accounts_are_not_guessed_between() -> None:
    with pytest.raises(GceError):
        find(missing("listUsers"), [ACCOUNT, {**ACCOUNT, "id": "B"}])


@pytest.mark.parametrize("command", ["listUsers", "listAccounts", "getUserKeys"])
def test_unauthorized_anywhere_is_refused(command: str) -> None:
    answers: dict[str, Any] = {
        "listUsers": [user("a"), user("b")],
        "listAccounts": [ACCOUNT],
        "getUserKeys": {"userkeys": {"apikey": "x"}},
    }
    with pytest.raises(Refused):
        identify(FakeCloud(answers | {command: Unauthorized(command, 401, "no")}), KEY, SECRET)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "pair", [("", "s"), ("k", ""), ("a b", "s"), ("k", "\x00"), ("k\n", "s"), ("ü", "s"), ("k" * 513, "s")]
)
def test_what_can_be_no_key_is_not_sent_anywhere(pair: tuple[str, str]) -> None:
    with pytest.raises(Refused):
        identify(None, *pair)  # type: ignore[arg-type]
