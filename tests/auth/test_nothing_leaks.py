"""A whole gateway in its own processes: every flow, wrong attempts, new sealing keys, a crash in the middle of an
operation, and then a search for every secret that was used.

Apart from the tests that look at one log line each: here everything that the gateway wrote is searched, whoever wrote
it: its log at the lowest level, every file of its database, its metrics, and every answer that was an error.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import requests
from joserfc import jwt
from joserfc.jwk import RSAKey

from gstack.demo import Demo, prepared
from tests.ports import may_listen
from tests.waiting import until

CLIENT = "32555940559.apps.googleusercontent.com"
VERIFIER = "verifier-" + "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
LOOPBACK = "http://localhost:8085/"
GRANT = "urn:ietf:params:oauth:grant-type:"


@dataclass
class Run:
    """A client that remembers every secret it used or got, and every error it was answered."""

    demo: Demo
    session: requests.Session
    secrets: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def ask(self, verb: str, path: str, status: int, **more: Any) -> requests.Response:
        root = self.demo.environment["GSTACK_URL"]
        answer = self.session.request(verb, root + path, timeout=120, allow_redirects=False, **more)
        assert answer.status_code == status, f"{verb} {path}: {answer.status_code} {answer.text}"
        if status >= 400:
            self.errors.append(f"{answer.headers}{answer.text}")
        return answer

    def token(self, status: int = 200, **form: str) -> dict[str, Any]:
        found = dict(self.ask("POST", "/token", status, data=form).json())
        for name in ("access_token", "refresh_token", "id_token"):
            if name in found:
                self.secrets[f"{name} of {form['grant_type']} {len(self.secrets)}"] = found[name]
        return found

    def assertion(self, content: dict[str, Any], name: str, **changes: Any) -> str:
        now = int(time.time())
        claims = {"iss": content["client_email"], "iat": now, "exp": now + 3600} | changes
        key = RSAKey.import_key(content["private_key"])
        text = jwt.encode({"alg": "RS256", "kid": content["private_key_id"]}, claims, key)
        self.secrets[name] = text.rpartition(".")[2]
        return text


def sign_in_by_page(run: Run) -> str:
    query = {
        "response_type": "code", "client_id": CLIENT, "redirect_uri": LOOPBACK, "scope": "openid", "state": "s",
        "code_challenge": CHALLENGE, "code_challenge_method": "S256",
    }  # fmt: skip
    page = run.ask("GET", "/o/oauth2/auth", 200, params=query).text
    found = re.search(r'name="page" value="([^"]+)"', page)
    assert found is not None
    person = {"page": html.unescape(found[1]), "choice": "allow", "username": "tenant", "domain": "acme"}
    run.ask("POST", "/o/oauth2/auth", 403, data=person | {"password": run.secrets["wrong password"]})
    answer = run.ask("POST", "/o/oauth2/auth", 303, data=person | {"password": run.secrets["password"]})
    return parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]


def the_browsers_flows(run: Run) -> None:
    run.secrets["code"] = sign_in_by_page(run)
    form = {"code": run.secrets["code"], "redirect_uri": LOOPBACK, "client_id": CLIENT, "code_verifier": VERIFIER}
    tokens = run.token(grant_type="authorization_code", **form)
    run.token(400, grant_type="authorization_code", **form)
    run.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"], client_id=CLIENT)
    run.token(400, grant_type="refresh_token", refresh_token=tokens["refresh_token"], client_id="evil")
    run.ask("POST", "/revoke", 200, params={"token": tokens["refresh_token"]})


def the_pairs_flows(run: Run) -> None:
    key, secret = run.secrets["API key"], run.secrets["secret key"]
    run.token(grant_type="client_credentials", client_id=key, client_secret=secret)
    run.token(401, grant_type="client_credentials", client_id=key, client_secret=run.secrets["wrong secret"])
    run.token(grant_type="refresh_token", refresh_token=f"{key}:{secret}", client_id=CLIENT)
    for bearer, status in ((f"{key}:{secret}", 200), (f"{key}:{run.secrets['wrong secret']}", 401)):
        run.ask("GET", "/compute/v1/projects/tenant/zones", status, headers={"Authorization": f"Bearer {bearer}"})
        run.ask("GET", "/compute/v1/projects/tenant/zones", status, params={"access_token": bearer})
    location = run.ask(
        "GET", "/oauth2/auth", 303, params={"response_type": "code", "client_id": key, "redirect_uri": LOOPBACK}
    ).headers["Location"]
    code = parse_qs(urlsplit(location).query)["code"][0]
    form = {"code": code, "redirect_uri": LOOPBACK, "client_id": key}
    refresh = run.token(grant_type="authorization_code", client_secret=secret, **form)["refresh_token"]
    run.token(grant_type="refresh_token", refresh_token=refresh, client_id=key, client_secret=secret)


def the_key_files_flows(run: Run) -> str:
    """... and the page that makes the key file. Returns an access token."""
    person = {"action": "signin", "username": "tenant", "password": run.secrets["password"], "domain": "acme"}
    run.ask("POST", "/credentials", 403, data=person)
    found = re.search(r'name="page" value="([^"]+)"', run.ask("GET", "/credentials", 200).text)
    assert found is not None
    run.ask("POST", "/credentials", 303, data=person | {"page": html.unescape(found[1])})
    run.secrets["session"] = str(run.session.cookies["gstack_session"])
    found = re.search(r'name="form" value="([^"]+)"', run.ask("GET", "/credentials", 200).text)
    assert found is not None
    content = run.ask("POST", "/credentials", 200, data={"action": "create", "form": found[1], "name": "leak"}).json()
    run.secrets["private key"] = content["private_key"].split("\n")[3]
    audience = "https://oauth2.googleapis.com/token"
    assertion = run.assertion(content, "assertion", aud=audience)
    made = run.token(grant_type=f"{GRANT}jwt-bearer", assertion=assertion)
    run.token(
        grant_type=f"{GRANT}jwt-bearer", assertion=run.assertion(content, "id", aud=audience, target_audience="x")
    )
    exchange = {"subject_token": assertion, "subject_token_type": "urn:ietf:params:oauth:token-type:jwt"}
    run.token(grant_type=f"{GRANT}token-exchange", **exchange)
    run.token(400, grant_type=f"{GRANT}jwt-bearer", assertion=run.assertion(content, "late", aud=audience, exp=1))
    own = {"Authorization": f"Bearer {run.assertion(content, 'self-signed bearer', scope='x')}"}
    run.ask("GET", "/compute/v1/projects/tenant/zones", 200, headers=own)
    run.ask("POST", "/introspect", 200, data={"token": made["access_token"]})
    run.ask("GET", "/tokeninfo", 200, params={"access_token": made["access_token"]})
    return str(made["access_token"])


def instance(run: Run, name: str, script: str) -> dict[str, Any]:
    image = "projects/debian-cloud/global/images/family/debian-12"
    return {
        "name": name,
        "machineType": f"zones/{run.demo.environment['GSTACK_ZONE']}/machineTypes/micro",
        "disks": [{"boot": True, "initializeParams": {"sourceImage": image}}],
        "networkInterfaces": [{}],
        "metadata": {"items": [{"key": "startup-script", "value": f"#!/bin/sh\necho {run.secrets[script]}\n"}]},
    }


def an_instance_with_secrets(run: Run, token: str) -> None:
    header = {"Authorization": f"Bearer {token}"}
    zone = f"/compute/v1/projects/tenant/zones/{run.demo.environment['GSTACK_ZONE']}"
    body = instance(run, "leaky", "start-up script")
    run.ask("POST", f"{zone}/instances", 200, json=body, headers=header)
    run.ask("POST", f"{zone}/instances", 409, json=body, headers=header)
    run.ask(
        "POST",
        f"{zone}/instances",
        400,
        json=body | {"metadata": {"items": [{"key": "a b", "value": "x"}]}},
        headers=header,
    )
    run.ask("GET", "/compute/v1/projects/other/zones", 404, headers=header)
    run.ask("GET", "/metrics", 404)
    for secret in (run.secrets["secret key"], run.secrets["API key"], token):  # pasted where the project belongs
        answer = run.session.get(
            f"{run.demo.environment['GSTACK_URL']}/compute/v1/projects/{secret}/zones", headers=header, timeout=60
        )
        assert answer.status_code in (400, 404)


def another_issuers_flow(run: Run) -> None:
    folder, key = run.demo.gateway.settings.folder, RSAKey.generate_key(2048, {"kid": "outside"})
    run.secrets["the issuer's key"] = str(key.as_dict(private=True)["d"])
    (folder / "jwks.json").write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    robot = json.loads((folder / "key.json").read_text())["client_email"]
    (folder / "issuers.toml").write_text(
        f'[[issuer]]\nissuer = "https://ci.test"\naudiences = ["gstack"]\njwks_file = "{folder / "jwks.json"}"\n'
        f'[[issuer.rule]]\nclaims = {{ sub = "shop:*" }}\ncredential = "{robot}"\n'
    )
    kind = {"grant_type": f"{GRANT}token-exchange", "subject_token_type": "urn:ietf:params:oauth:token-type:jwt"}
    for subject, status in (("shop:main", 200), ("other:main", 400)):
        claims = {"iss": "https://ci.test", "sub": subject, "aud": "gstack", "exp": int(time.time()) + 300}
        token = jwt.encode({"alg": "RS256", "kid": "outside"}, claims, key)
        run.secrets[f"the issuer's token for {subject}"] = token.rpartition(".")[2]
        run.token(status, subject_token=token, **kind)


def new_sealing_keys(run: Run) -> None:
    for step in ("rotate", "retire"):
        keys = (run.demo.gateway.settings.folder / "secret.keys").read_text().split()
        run.secrets |= {f"sealing key {number} before {step}": key for number, key in enumerate(keys)}
        command = [sys.executable, "-m", "gstack", "--config", str(run.demo.gateway.config), "keys", step]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        run.errors.append(done.stdout + done.stderr)


def a_crash_in_the_middle_of_an_operation(run: Run, token: str, log: Path) -> None:
    header, zone = {"Authorization": f"Bearer {token}"}, run.demo.environment["GSTACK_ZONE"]
    root = f"/compute/v1/projects/tenant/zones/{zone}"
    body = instance(run, "crash", "script of the crash")
    started = run.ask("POST", f"{root}/instances", 200, json=body, headers=header).json()
    assert started["status"] != "DONE"
    gateway = run.demo.gateway
    assert gateway.process is not None
    gateway.process.kill()
    gateway.process.wait()
    until(lambda: may_listen(gateway.settings["GSTACK_PORT"]), what="the end of its children")
    with standard_error(log):
        gateway.start()
    found = run.ask("POST", f"{root}/operations/{started['name']}/wait", 200, headers=header).json()
    assert found["status"] == "DONE" and "error" not in found
    run.ask("GET", f"{root}/instances", 200, headers=header)  # calls are counted anew since the start


@contextlib.contextmanager
def standard_error(file: Path) -> Iterator[None]:
    """Processes that start in here write their standard error to ``file``, for as long as they live."""
    kept = os.dup(2)
    with file.open("ab") as opened:
        os.dup2(opened.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Run]:
    monkeypatch.setenv("GSTACK_CONF_LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("GSTACK_CONF_OPERATION_HOLD_SECONDS", "0")
    stack = contextlib.ExitStack()
    with standard_error(tmp_path / "log"):
        demo = stack.enter_context(prepared(job_seconds=0.5, gcloud=False))
    with stack, requests.Session() as session:
        session.trust_env = False
        session.verify = demo.environment["GSTACK_CA_FILE"]
        used = {
            "API key": demo.cloud.api_key,
            "secret key": demo.cloud.secret_key,
            "password": "secret-tenant",
            "wrong password": "pAssw0rd-tried-in-vain",
            "wrong secret": "s3cret-tried-in-vain",
            "start-up script": "hunter2-in-the-start-up-script",
            "script of the crash": "hunter3-in-another-script",
            "token of the metrics": (demo.gateway.settings.folder / "metrics.token").read_text().strip(),
            "token of the demo": demo.environment["GSTACK_TOKEN"],
        }
        yield Run(demo, session, used)


def forms_of(secret: str) -> set[bytes]:
    """A secret as it may have been written."""
    raw = secret.encode()
    return {raw, quote(secret).encode(), base64.b64encode(raw), base64.b64encode(raw).rstrip(b"=")[:-1]}


def tables_of(database: Path) -> dict[str, bytes]:
    """The rows of each table, the workflow engine's too, in words and with what is packed in base64 unpacked."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as opened:
        names = [row[0] for row in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: repr(opened.execute(f'SELECT * FROM "{name}"').fetchall()) for name in names}
    return {name: (text + "".join(_unpacked(text))).encode() for name, text in rows.items()}


def _unpacked(text: str) -> Iterator[str]:
    for found in re.findall(r"[A-Za-z0-9+/]{24,}={0,2}", text):
        with contextlib.suppress(ValueError):
            yield base64.b64decode(found, validate=True).decode("latin-1")


def found_in(places: dict[str, bytes], secrets: dict[str, str]) -> list[tuple[str, str]]:
    """Which secret is where."""
    return [
        (name, place)
        for name, secret in secrets.items()
        for place, content in places.items()
        if any(form in content for form in forms_of(secret))
    ]


@pytest.mark.parametrize("form", [*sorted(forms_of("s3cret+key/#")), base64.b64encode(b'["a step", "s3cret+key/#"]')])
def test_the_search_finds_a_secret_in_every_form_it_may_have_been_written_in(tmp_path: Path, form: bytes) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as opened:
        opened.execute("CREATE TABLE steps (output TEXT)")
        opened.execute("INSERT INTO steps VALUES (?)", (form.decode(),))
        opened.commit()
    assert found_in(tables_of(tmp_path / "a.db"), {"secret": "s3cret+key/#", "other": "not there"}) == [
        ("secret", "steps")
    ]


def test_after_everything_no_secret_is_in_the_log_the_database_or_an_error(run: Run, tmp_path: Path) -> None:
    the_browsers_flows(run)
    the_pairs_flows(run)
    another_issuers_flow(run)
    token = the_key_files_flows(run)
    an_instance_with_secrets(run, token)
    a_crash_in_the_middle_of_an_operation(run, token, tmp_path / "log")
    new_sealing_keys(run)

    folder = Path(run.demo.gateway.settings.folder)
    written = {path.name: path.read_bytes() for path in folder.glob("*.db*")}
    tables = tables_of(folder / "gstack.db")
    log = (tmp_path / "log").read_text()
    opens = {"Authorization": f"Bearer {run.secrets['token of the metrics']}"}
    metrics = run.ask("GET", "/metrics", 200, headers=opens).text
    written |= {"the log": log.encode(), "the errors": "".join(run.errors).encode(), "metrics": metrics.encode()}
    assert len(run.secrets) >= 30 and len(run.errors) >= 12 and "gstack.db-wal" in written
    assert found_in(written | tables, run.secrets) == []
    said = ("gstack_requests_total{", "gstack_upstream_calls_total{", 'gstack_operations{state="done"}')
    assert [part for part in said if part not in metrics] == [], "and something is there that could have held one"
    logins = [line for line in log.splitlines() if "token.issued" in line or "token.refused" in line]
    assert len(logins) > 10 and all("address=127.0.0.1" in line and "client=" in line for line in logins)
    lines = [line for line in log.splitlines() if "method=compute.instances.insert" in line]
    assert lines and all(
        part in lines[0]
        for part in ("credential=", "user=leak@tenant", "how=token", "address=127.0.0.1", "project=tenant")
    ), "who, from where, with what, in which project, which method, with what outcome"
    assert "status=200" in lines[0] and "python-requests" in lines[0]
