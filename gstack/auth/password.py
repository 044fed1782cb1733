"""From a CloudStack user's name and password to that user's key pair, by way of CloudStack's ``login``.

Apart because this is the one place that speaks to CloudStack with a session instead of a signature, and the one that
sees a password, which it keeps nowhere. The surprising thing: a user without keys needs some made, as there is no
other way for gstack to act as that user later; that changes the user, so the person is asked first. Recorded:
auth_transport, "login ok" and "login wrong password".
"""

from __future__ import annotations

import unicodedata
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlencode

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from gstack.auth.identity import Refused
from gstack.cloudstack.client import Endpoint
from gstack.cloudstack.errors import Unavailable
from gstack.errors import GceError


def key_pair(
    endpoint: Endpoint, username: str, password: str, domain: str, *, may_make: bool, code: str = ""
) -> tuple[str, str]:
    """API key and secret key of a user. ``domain`` is a path (``acme``, ``ROOT/acme``; empty: ROOT), ``code`` what the
    user's second factor shows, for users who have one. A user without keys gets some only if ``may_make``: the person
    was asked.

    Raises :class:`Refused` for a wrong name, password, domain or code, GceError forbidden where a code is missing or
    the role stands in the way, and Unavailable.
    """
    if not username or not password:
        raise Refused
    session = _Session(endpoint)
    user = session.call("login", username=username, password=password, domain=_path(domain))
    if user is None or "sessionkey" not in user:
        raise Refused
    try:
        if str(user.get("is2faenabled")) == "true" and str(user.get("is2faverified")) != "true":
            _second_factor(session, code.strip())
        return _keys(session, str(user.get("userid", "")), may_make)
    finally:
        session.call("logout")


def plain_name(username: str, domain: str) -> str:
    """One text for all spellings of a login that CloudStack's database takes for the same one: upper or lower case,
    with or without accents, spaces at the end."""
    letters = unicodedata.normalize("NFKD", f"{_path(domain)}\0{username.strip()}")
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).casefold()


def _path(domain: str) -> str:
    parts = [part for part in domain.strip().split("/") if part]
    return "/".join(parts[1:] if parts[:1] == ["ROOT"] else parts)


def _second_factor(session: _Session, code: str) -> None:
    """Until CloudStack has seen the code (ValidateUserTwoFactorAuthenticationCodeCmd) it does nothing else in this
    session, and a wrong one ends the session."""
    if not code:
        raise GceError("forbidden", "This user has a second factor: enter the code that it shows as well.")
    if session.call("validateUserTwoFactorAuthenticationCode", codefor2fa=code) is None:
        raise Refused


def _keys(session: _Session, user_id: str, may_make: bool) -> tuple[str, str]:
    for command in ("getUserKeys", "registerUserKeys") if may_make else ("getUserKeys",):
        answer = session.call(command, id=user_id) or {}
        keys = answer.get("userkeys", answer)
        if keys.get("apikey") and keys.get("secretkey"):
            return str(keys["apikey"]), str(keys["secretkey"])
    if not may_make:
        raise GceError("forbidden", "This user has no API key yet. Tick the box that lets CloudStack make one.")
    raise GceError("forbidden", "CloudStack does not let this user have an API key. Ask its administrator.")


class _Session:
    """A CloudStack session; its cookies live here and not in the connections, which every user shares."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._cookies: dict[str, str] = {}
        self._key = ""

    def call(self, command: str, **params: str) -> dict[str, Any] | None:
        """The object inside the envelope, or None for a refusal. Always POST: nothing secret goes into a URL."""
        form = {"command": command, "response": "json"} | params
        if self._key:
            form["sessionkey"] = self._key
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        try:
            response = self._endpoint.post(urlencode(form), cookies)
            inner = next(iter(response.json().values()))
        except (HTTPError, ValueError, AttributeError, StopIteration):
            raise Unavailable(command, "CloudStack cannot be reached to sign in.", sent=True) from None
        if response.status >= 400 or not isinstance(inner, dict):
            return None
        self._remember(response)
        self._key = str(inner.get("sessionkey", self._key))
        return inner

    def _remember(self, response: BaseHTTPResponse) -> None:
        for header in response.headers.getlist("Set-Cookie"):
            try:
                found = SimpleCookie(header)
            except CookieError:
                continue
            self._cookies |= {name: morsel.value for name, morsel in found.items()}
