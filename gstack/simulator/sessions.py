"""Logging in with a password instead of signing: sessions, their cookie and their key.

Apart from signing, because it is the other way in. Surprising: the cookie alone does not open anything, the
session key must come as a parameter too, and a call without it ends the session.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from .errors import ApiError
from .model import Row, User
from .world import World

COOKIE = "JSESSIONID"
TIMEOUT = 1800
ROOT = "ROOT"


@dataclass(slots=True)
class Session:
    user: str
    key: str
    until: float


def refused(text: str = "unable to verify user credentials") -> ApiError:
    return ApiError(401, text, None)


class Sessions:
    """The open sessions by the value of their cookie; none survives a restart."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.open: dict[str, Session] = {}

    def login(self, raw: Mapping[str, str]) -> tuple[Row, list[str]]:
        """The answer and the cookies to set.

        `domain` is a path with or without the leading slash; no domain is the root domain.
        """
        world, name = self.world, raw.get("username", "")
        path = "/".join(part for part in (ROOT, *raw.get("domain", "").split("/")) if part).replace("ROOT/ROOT", ROOT)
        domain = next((d for d in world.domain if d.path == path), None)
        user = next((u for u in world.user if u.name == name and self.domain_of(u) == (domain and domain.id)), None)
        password = raw.get("password", "")
        if user is None or domain is None or user.state != "enabled" or password != (user.password or f"secret-{name}"):
            number = domain.number if domain else 1
            text = f"Failed to authenticate user {name} in domain {number}; please provide valid credentials"
            raise ApiError(531, text, None)
        cookie = f"node0{world.key()[:24]}"
        noise = world.random.getrandbits(160).to_bytes(20, "big")
        key = base64.urlsafe_b64encode(noise).decode().rstrip("=")
        self.open[cookie] = Session(user.id, key, world.now() + TIMEOUT)
        cookies = [f"{COOKIE}={cookie}; Path=/client; HttpOnly", f"sessionkey={key};HttpOnly;SameSite=Lax"]
        return self.answer(user, key), cookies

    def domain_of(self, user: User) -> str:
        return self.world.account[user.account].domain

    def answer(self, user: User, key: str) -> Row:
        account = self.world.account[user.account]
        row: Row = {"username": user.name, "userid": user.id, "domainid": account.domain, "timeout": TIMEOUT}
        row.update(account=account.name, firstname=user.name.title(), lastname="Test", type=str(account.type))
        row.update(timezone="UTC", timezoneoffset="0.0", registered="false", sessionkey=key)
        row.update(is2faenabled="false", is2faverified="true", issuerfor2fa="CloudStack")
        return row

    def user(self, cookie: str | None, raw: Mapping[str, str]) -> User | None:
        """Who is behind an unsigned call; None if it belongs to no session at all."""
        session = self.open.get(cookie or "")
        if session is None or cookie is None:
            return None
        if raw.get("sessionkey") != session.key or session.until < self.world.now():
            del self.open[cookie]
            raise refused()
        user = self.world.user[session.user]
        if user.state != "enabled" or self.world.account[user.account].state != "enabled":
            del self.open[cookie]
            raise refused()
        session.until = self.world.now() + TIMEOUT
        return user

    def logout(self, cookie: str | None) -> Row:
        if self.open.pop(cookie or "", None) is None:
            raise ApiError(431, "Session not found for the logout process.", 9999)
        return {"description": "success"}
