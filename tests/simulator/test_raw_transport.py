"""Sends the recorded raw requests, line by line, and compares status, content type and body.

Apart from the replay of commands, because here the signature itself is what is tried. The recordings hold
placeholders for key and signature; how a line was signed when it was signed wrongly is told by its name.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import io
import json
import re
from collections.abc import Callable
from functools import cache
from urllib.parse import parse_qsl, quote, quote_plus

import pytest
from excuses import KNOWN
from prologue_steps import read
from replay import Replay

from gstack.simulator import WsgiApp, sign
from gstack.simulator.signing import encode

NOW = 1_795_252_580.0  # 2026-11-21T09:16:20Z
LINES = {line["name"]: line for line in read("auth_transport")}
SIZE = re.compile(r"x\.\.\.\((\d+) chars\)$")
Canonical = Callable[[dict[str, str]], str]


def joined(params: dict[str, str], key: Callable[[str], str] = str, value: Callable[[str], str] = encode) -> str:
    return "&".join(f"{name}={value(params[name])}" for name in sorted(params, key=key)).lower()


def escaped_names(params: dict[str, str]) -> str:
    return "&".join(f"{quote(name, safe='')}={encode(params[name])}" for name in sorted(params)).lower()


# What the recorder signed, where that is not what CloudStack signs.
WRONG: dict[str, Canonical] = {
    "sort by lowercased name": lambda params: joined(params, str.lower),
    "apiKey vs apixyz: lowercased order": lambda params: joined(params, str.lower),
    "space as + in canonical string": lambda params: joined(params, value=quote_plus),
    "* escaped": lambda params: joined(params, value=lambda text: quote(text, safe="")),
    "~ unescaped (python quote)": lambda params: joined(params, value=lambda text: quote(text, safe="")),
    "uppercase escapes not lowercased": lambda params: "&".join(f"{n}={encode(params[n])}" for n in sorted(params)),
    "brackets in names escaped in canonical": escaped_names,
    "param changed after signing": lambda params: joined({**params, "name": "ch-gva-2"}),
    "param added after signing": lambda params: joined({k: v for k, v in params.items() if k != "extra"}),
    "bad signature": lambda params: "bad",
    "bad signature POST": lambda params: "bad",
    "apikey lowercase name in request, signed as apiKey": lambda params: joined(
        {"apiKey" if name == "apikey" else name: value for name, value in params.items()}
    ),
}


def prepared() -> Replay:
    """The cloud as the areas before left it, each time with the same ids."""
    replay = Replay("auth_transport")
    replay.first()
    replay.simulator.job_seconds = 0
    replay.clock.now = NOW
    return replay


class Client:
    def __init__(self) -> None:
        self.simulator = prepared().simulator
        self.app = WsgiApp(self.simulator)
        self.session: dict[str, str] = {}

    def fill(self, line: dict) -> tuple[str, str]:
        """The request line and the form with key and signature in place of the placeholders."""
        key, secret = self.simulator.keys("tenant")
        raw, form = line["request"]["_line"], line["request"]["_body"] or ""
        for text in (raw, form):
            cut = SIZE.search(text)
            if cut:
                full = text[: cut.start()].rstrip("x") + "x" * (int(cut[1]) - 300) + "&response=json&apiKey=APIKEY"
                raw, form = (full + "&signature=SIG", form) if text is raw else (raw, full + "&signature=SIG")
        query = raw.partition("?")[2]
        params = dict(parse_qsl(f"{form}&{query}" if query else form, keep_blank_values=True))
        params = {k: key if v == "APIKEY" else v for k, v in params.items() if k != "signature"}
        wrong = WRONG.get(line["name"])
        signature = (
            sign(params, secret)
            if wrong is None
            else base64.b64encode(hmac.new(secret.encode(), wrong(params).encode(), hashlib.sha1).digest()).decode()
        )
        signed = [text.replace("APIKEY", key).replace("SIG", quote(signature, safe="")) for text in (raw, form)]
        return signed[0].replace("sessionkey=KEY", f"sessionkey={self.session.get('key', '')}"), signed[1]

    def send(self, line: dict) -> tuple[int, dict[str, str], object]:
        raw, form = self.fill(line)
        method, _, target = raw.partition(" ")
        path, _, query = target.partition("?")
        kind = "application/json" if form.startswith("{") else "application/x-www-form-urlencoded"
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": kind,
            "CONTENT_LENGTH": str(len(form)),
            "HTTP_ACCEPT_ENCODING": "gzip" if "gzip" in line["name"] else "",
            "HTTP_COOKIE": self.session.get("cookie", ""),
            "wsgi.input": io.BytesIO(form.encode()),
        }
        seen: dict[str, object] = {}
        body = b"".join(self.app(environ, lambda status, headers: seen.update(status=status, headers=headers)))
        headers = {name: value for name, value in seen["headers"] if name != "Set-Cookie"}
        cookies = [value for name, value in seen["headers"] if name == "Set-Cookie"]
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        try:
            parsed: object = json.loads(body)
        except ValueError:
            parsed = {"_raw": body.decode()}
        if cookies and line["status"] == 200:
            self.session = {"cookie": cookies[0].partition(";")[0], "key": parsed["loginresponse"]["sessionkey"]}
        return int(str(seen["status"])[:3]), headers, parsed


@pytest.fixture(scope="module")
def client() -> Client:
    return Client()


@cache
def comparer() -> Replay:
    return prepared()


def compare(recorded: object, fresh: object) -> str | None:
    if isinstance(recorded, dict) and "_raw" in recorded:
        want, got = recorded["_raw"], fresh.get("_raw", json.dumps(fresh))
        if want.startswith("(gzip"):
            return None
        return None if want == got else f"{got[:200]} | {want[:200]}"
    comparer().learn(recorded, fresh)
    return comparer().compare(recorded, fresh, "")


@pytest.mark.parametrize("name", [name for name, line in LINES.items() if line["as"] == "raw"])
def test_a_raw_request_is_answered_as_recorded(client: Client, name: str) -> None:
    line = LINES[name]
    status, headers, body = client.send(line)
    assert status == line["status"], str(body)[:300]
    wanted = line["headers"].get("Content-Type")
    assert headers.get("Content-Type") == wanted
    assert ("X-Description" in headers) == ("X-Description" in line["headers"]) or "_raw" in str(line["response"])[:9]
    if name not in KNOWN["auth_transport"]:
        assert compare(line["response"], body) is None


STATES = {
    "disabled user": ("disableUser", "user"),
    "re-enabled user": ("enableUser", "user"),
    "locked account: list": ("lockAccount", "account"),
    "locked account: create": ("lockAccount", "account"),
}


@pytest.mark.parametrize("name", [name for name, line in LINES.items() if line["as"] != "raw"])
def test_a_closed_user_or_account_is_refused_as_recorded(name: str) -> None:
    assert ask_closed(name) is None


def ask_closed(name: str) -> str | None:
    """What differs when this line is sent after the operator closed or opened the caller's user or account."""
    replay = Replay("auth_transport")
    cloud, (command, kind) = replay.simulator, STATES[name]
    user = next(user for user in cloud.world.user if user.name == "other")
    domain = cloud.world.account[user.account].domain
    chosen = {"id": user.id} if kind == "user" else {"account": "other", "domainid": domain}
    cloud.do("admin", command, **chosen)
    replay.clock.now += 10
    line = LINES[name]
    request = {key: value for key, value in line["request"].items() if value is not None}
    return replay.step(0, {**line, "request": request})
