"""Signing in with a CloudStack password, against a small server that answers as the recorded one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest

from gstack.auth.identity import Refused
from gstack.auth.password import key_pair
from gstack.cloudstack.client import Endpoint
from gstack.cloudstack.errors import Unavailable
from gstack.errors import GceError
from gstack.settings import Settings

LOGIN = {"username": "tenant", "userid": "U", "sessionkey": "S", "is2faenabled": "false", "is2faverified": "true"}


class FakeCloudStack:
    """Answers by command; remembers forms, paths and cookies."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {"userkeys": {"apikey": "K", "secretkey": "X"}}
        self.made: dict[str, Any] = {"userkeys": {"apikey": "K2", "secretkey": "X2"}}
        self.login: dict[str, Any] = dict(LOGIN)
        self.garbage = False
        self.verified = False
        self.seen: list[tuple[str, dict[str, str], str]] = []

    def answer(self, form: dict[str, str], cookie: str) -> tuple[int, dict[str, Any]]:
        command = form["command"]
        if command == "login":
            good = (form["username"], form["password"]) == ("tenant", "right")
            return (200, self.login) if good else (531, {"errorcode": 531, "errortext": "Failed to authenticate"})
        if form.get("sessionkey") != "S" or "JSESSIONID=J" not in cookie:
            return 401, {"errorcode": 401, "errortext": "unable to verify user credentials"}
        if command == "validateUserTwoFactorAuthenticationCode":
            self.verified = form["codefor2fa"] == "123456"
            return (200, {"success": "true"}) if self.verified else (511, {"errorcode": 511, "errortext": "wrong code"})
        if self.login["is2faenabled"] == "true" and not self.verified and command != "logout":
            return 511, {"errorcode": 511, "errortext": "two factor authentication is required"}
        if command == "logout":
            return 200, {"description": "success"}
        found = self.keys if command == "getUserKeys" else self.made
        return (200, found) if found else (432, {"errorcode": 432, "errortext": "no"})


@pytest.fixture
def cloudstack() -> Iterator[FakeCloudStack]:
    fake = FakeCloudStack()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body, keep_blank_values=True).items()}
            fake.seen.append((self.path, form, self.headers.get("Cookie", "")))
            status, inner = fake.answer(form, self.headers.get("Cookie", ""))
            data = b"<html>" if fake.garbage else json.dumps({f"{form['command'].lower()}response": inner}).encode()
            self.send_response(status)
            if form["command"] == "login" and status == 200:
                self.send_header("Set-Cookie", "sessionkey=S;HttpOnly;SameSite=Lax")
                self.send_header("Set-Cookie", "JSESSIONID=J; Path=/client; HttpOnly")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        fake.port = server.server_address[1]  # type: ignore[attr-defined]
        yield fake
        server.shutdown()
        thread.join()


@pytest.fixture
def endpoint(cloudstack: FakeCloudStack) -> Iterator[Endpoint]:
    made = Endpoint(Settings({"CLOUDSTACK_HOST": "127.0.0.1", "CLOUDSTACK_PORT": cloudstack.port}))  # type: ignore[attr-defined]
    yield made
    made.close()


@pytest.mark.parametrize(
    ("domain", "sent"),
    [
        ("acme", "acme"),
        ("ROOT/acme", "acme"),
        ("/acme/dev/", "acme/dev"),
        ("ROOT", ""),
        ("", ""),
        ("ROOTS", "ROOTS"),
        ("ROOTS/dev", "ROOTS/dev"),
    ],
)
def test_a_right_password_gives_the_users_keys(
    cloudstack: FakeCloudStack, endpoint: Endpoint, domain: str, sent: str
) -> None:
    assert key_pair(endpoint, "tenant", "right", domain, may_make=True) == ("K", "X")
    assert cloudstack.seen[0][1]["domain"] == sent
    assert [form["command"] for _, form, _ in cloudstack.seen] == ["login", "getUserKeys", "logout"]


def test_a_user_without_keys_gets_some(cloudstack: FakeCloudStack, endpoint: Endpoint) -> None:
    cloudstack.keys = {"userkeys": {}}
    assert key_pair(endpoint, "tenant", "right", "acme", may_make=True) == ("K2", "X2")


def test_nobody_gets_keys_without_having_been_asked(cloudstack: FakeCloudStack, endpoint: Endpoint) -> None:
    cloudstack.keys = {"userkeys": {}}
    with pytest.raises(GceError, match="Tick the box"):
        key_pair(endpoint, "tenant", "right", "acme", may_make=False)
    assert "registerUserKeys" not in [form["command"] for _, form, _ in cloudstack.seen]


@pytest.mark.parametrize("given", [("tenant", "wrong"), ("nobody", "right"), ("", "right"), ("tenant", "")])
def test_wrong_names_and_passwords_are_refused_alike(
    cloudstack: FakeCloudStack, endpoint: Endpoint, given: tuple[str, str]
) -> None:
    with pytest.raises(Refused):
        key_pair(endpoint, *given, "acme", may_make=True)
    assert all(form["command"] == "login" for _, form, _ in cloudstack.seen)


def test_a_second_factor_is_not_walked_around(cloudstack: FakeCloudStack, endpoint: Endpoint) -> None:
    cloudstack.login |= {"is2faenabled": "true", "is2faverified": "false"}
    with pytest.raises(GceError, match="second factor"):
        key_pair(endpoint, "tenant", "right", "acme", may_make=True)
    assert "getUserKeys" not in [form["command"] for _, form, _ in cloudstack.seen]


def test_the_code_of_a_second_factor_lets_its_user_in(cloudstack: FakeCloudStack, endpoint: Endpoint) -> None:
    cloudstack.login |= {"is2faenabled": "true", "is2faverified": "false"}
    assert key_pair(endpoint, "tenant", "right", "acme", may_make=False, code=" 123456 ") == ("K", "X")
    commands = [form["command"] for _, form, _ in cloudstack.seen]
    assert commands == ["login", "validateUserTwoFactorAuthenticationCode", "getUserKeys", "logout"]


def test_a_wrong_code_is_refused_as_a_wrong_password_is(cloudstack: FakeCloudStack, endpoint: Endpoint) -> None:
    cloudstack.login |= {"is2faenabled": "true", "is2faverified": "false"}
    with pytest.raises(Refused):
        key_pair(endpoint, "tenant", "right", "acme", may_make=True, code="654321")
    assert "getUserKeys" not in [form["command"] for _, form, _ in cloudstack.seen]


def test_a_role_that_may_have_no_keys_is_told_so(cloudstack: FakeCloudStack, endpoint: Endpoint) -> None:
    cloudstack.keys = cloudstack.made = {}
    with pytest.raises(GceError, match="does not let this user have an API key"):
        key_pair(endpoint, "tenant", "right", "acme", may_make=True)
    assert cloudstack.seen[-1][1]["command"] == "logout"


def test_no_secret_is_in_a_url_and_no_cookie_stays_in_the_connections(
    cloudstack: FakeCloudStack, endpoint: Endpoint
) -> None:
    key_pair(endpoint, "tenant", "right", "acme", may_make=True)
    assert {path for path, _, _ in cloudstack.seen} == {"/client/api"}
    endpoint.post("command=login&username=tenant&password=wrong")
    assert cloudstack.seen[-1][2] == ""


def test_garbage_is_unavailable_and_not_a_wrong_password(cloudstack: FakeCloudStack, endpoint: Endpoint) -> None:
    cloudstack.garbage = True
    with pytest.raises(Unavailable):
        key_pair(endpoint, "tenant", "right", "acme", may_make=True)
