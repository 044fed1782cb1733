"""Whose key pair is this? CloudStack alone knows, and it is asked as the very user in question.

Apart from the credentials because it knows nothing of the store. The surprising thing: an ordinary user has
no command that says "who am I". ``listUsers`` shows every user of the account, and the right one is the one
whose ``apikey`` is the key the question was signed with (recorded: accounts_projects_events, "listUsers
user").
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from typing import Any

from gstack.cloudstack.client import Cloud, Endpoint
from gstack.cloudstack.errors import CloudStackError, Unauthorized
from gstack.errors import GceError

# CloudStack's own keys are 86 characters of base64url; administrators may set others.
_KEY = re.compile(r"[!-~]{1,512}")
NOT_PERMITTED = 432
MOST_USERS_ASKED = 20


class Refused(Exception):
    """The pair is not one that CloudStack accepts. One sentence for every cause: which part was wrong, and
    whether the key exists, is nobody's business."""

    def __init__(self) -> None:
        super().__init__("The API key or the secret key is wrong, or CloudStack has disabled it.")


@dataclass(frozen=True)
class Identity:
    """A CloudStack user and the account it belongs to. ``user_id`` is empty where the role may not list
    users."""

    account: str
    account_id: str
    domain_id: str
    domain_path: str
    user_id: str
    user_name: str
    user_email: str


def identify(endpoint: Endpoint, api_key: str, secret_key: str) -> Identity:
    """The user behind a pair. Raises :class:`Refused`, CloudStackError where CloudStack cannot be asked, and
    GceError forbidden where it accepts the pair but its role hides whose it is."""
    if not _KEY.fullmatch(api_key) or not _KEY.fullmatch(secret_key):
        raise Refused
    cloud = endpoint.cloud(api_key, secret_key, key="identify")
    try:
        return _identity(cloud, api_key)
    except Unauthorized:
        raise Refused from None


def _identity(cloud: Cloud, api_key: str) -> Identity:
    accounts = _permitted(cloud, "listAccounts")
    user = _own_user(cloud, _permitted(cloud, "listUsers"), api_key)
    account = _own_account(accounts, user)
    identity = Identity(
        account=str(account.get("name") or user.get("account", "")),
        account_id=str(account.get("id") or user.get("accountid", "")),
        domain_id=str(account.get("domainid") or user.get("domainid", "")),
        domain_path=str(account.get("domainpath") or account.get("domain") or user.get("domain", "")),
        user_id=str(user.get("id", "")),
        user_name=str(user.get("username") or account.get("name", "")),
        user_email=str(user.get("email", "")),
    )
    if not identity.account or not identity.account_id:
        raise GceError(
            "forbidden",
            "CloudStack accepts the key pair but does not say whose it is: its role needs listUsers or listAccounts.",
        )
    return identity


def _permitted(cloud: Cloud, command: str) -> list[dict[str, Any]]:
    try:
        return cloud.list(command)
    except CloudStackError as error:
        if error.code == NOT_PERMITTED:
            return []
        raise


def _own_user(cloud: Cloud, users: list[dict[str, Any]], api_key: str) -> dict[str, Any]:
    for user in users:
        if _same(user.get("apikey"), api_key):
            return user
    if len(users) == 1 and "apikey" not in users[0]:
        return users[0]
    for user in [user for user in users if "apikey" not in user][:MOST_USERS_ASKED]:
        if _same(_key_of(cloud, str(user["id"])), api_key):
            return user
    return {}


def _own_account(accounts: list[dict[str, Any]], user: dict[str, Any]) -> dict[str, Any]:
    for account in accounts:
        if account["id"] == user.get("accountid"):
            return account
    return accounts[0] if len(accounts) == 1 and not user else {}


def _key_of(cloud: Cloud, user_id: str) -> object:
    try:
        answer = cloud.call("getUserKeys", id=user_id)
    except CloudStackError as error:
        if isinstance(error, Unauthorized):
            raise
        return None
    return answer.get("userkeys", answer).get("apikey")


def _same(left: object, right: str) -> bool:
    return isinstance(left, str) and hmac.compare_digest(left.encode(), right.encode())
