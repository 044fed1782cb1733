"""Every way gcloud 528 signs in, in a fresh configuration each, and then does its work.

Apart from the other tests of gcloud, which are signed in already. Logging in through a browser is in
``test_browser_login.py``. The surprising thing: gcloud repeats a request that was refused with the token that was
refused, so a token that dies early costs its user one command; the ones here die for the test only.
"""

from __future__ import annotations

import http.server
import json
import os
import re
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from joserfc import jwt
from joserfc.jwk import RSAKey

from gstack.demo import Demo, prepared

Fresh = Callable[[str], str]
IMAGE = ("--image-family=debian-12", "--image-project=debian-cloud")
JWT_TYPE = "urn:ietf:params:oauth:token-type:jwt"
AUDIENCE = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/gstack"


class Provider:
    """An identity provider that the demo's gateway trusts, and the URL at which a machine of it finds its token."""

    def __init__(self, demo: Demo, folder: Path) -> None:
        self._key = RSAKey.generate_key(2048, {"kid": "provider"})
        keys = folder / "jwks.json"
        keys.write_text(json.dumps({"keys": [self._key.as_dict(private=False)]}))
        account = json.loads(Path(demo.environment["GOOGLE_APPLICATION_CREDENTIALS"]).read_text())["client_email"]
        (demo.gateway.settings.folder / "issuers.toml").write_text(
            f'[[issuer]]\nissuer = "https://ci.test"\naudiences = ["https://gstack.test"]\njwks_file = "{keys}"\n'
            f'[[issuer.rule]]\nclaims = {{ sub = "repo:acme/shop:*" }}\ncredential = "{account}"\n'
        )
        self.url = ""

    def token(self) -> str:
        now = int(time.time())
        claims = {"iss": "https://ci.test", "aud": "https://gstack.test", "sub": "repo:acme/shop:main"}
        return str(jwt.encode({"alg": "RS256", "kid": "provider"}, claims | {"iat": now, "exp": now + 3600}, self._key))

    @contextmanager
    def serving(self) -> Iterator[Provider]:
        """... for as long as its web server runs."""
        make = self.token

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps({"value": make()}).encode()
                self.send_response(200 if self.headers.get("Metadata") == "True" else 403)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            self.url = f"http://127.0.0.1:{server.server_address[1]}/token"
            yield self
            server.shutdown()
            thread.join()


class Gcloud:
    """gcloud in a configuration that has never been used."""

    def __init__(self, run: Callable[..., Any], binary: str, demo: Demo, folder: Path, provider: Provider) -> None:
        self.demo, self.folder, self.binary, self.provider = demo, folder, binary, provider
        self.root = demo.environment["GSTACK_URL"]
        self.key_file = demo.environment["GOOGLE_APPLICATION_CREDENTIALS"]
        self._run = run
        self.more: dict[str, str] = {}

    def __call__(self, *words: str) -> Any:
        settings = {"CLOUDSDK_CONFIG": str(self.folder / "gcloud")} | self.more
        pairs = [f"{name}={value}" for name, value in settings.items()]
        return self._run("env", *pairs, self.binary, "--quiet", *words)

    def good(self, *words: str) -> str:
        ran = self(*words)
        assert ran.status == 0, ran.err
        return str(ran.out)

    def work(self, name: str) -> None:
        """What everybody came for."""
        self.good("compute", "instances", "create", name, "--machine-type=micro", *IMAGE)
        self.good("compute", "instances", "delete", name)

    def external(self, folder: Path, source: dict[str, Any]) -> None:
        """Sign in as an external account whose token is at ``source``."""
        content = {
            "type": "external_account",
            "audience": AUDIENCE,
            "subject_token_type": JWT_TYPE,
            "token_url": f"{self.root}/token",
            "token_info_url": f"{self.root}/introspect",
            "credential_source": source,
        }
        account = folder / "external.json"
        account.write_text(json.dumps(content))
        self.good("auth", "login", f"--cred-file={account}")

    def expire(self) -> None:
        """The tokens it keeps are of yesterday."""
        with closing(sqlite3.connect(self.folder / "gcloud" / "access_tokens.db")) as kept:
            kept.execute("UPDATE access_tokens SET token_expiry = '2020-01-01 00:00:00'")
            kept.commit()


@pytest.fixture(scope="module")
def provider(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with Provider(demo, tmp_path_factory.mktemp("provider")).serving() as serving:
        yield serving


@pytest.fixture
def gcloud(run: Callable[..., Any], installed_gcloud: str, demo: Demo, tmp_path: Path, provider: Provider) -> Gcloud:
    return Gcloud(run, installed_gcloud, demo, tmp_path, provider)


SignIn = Callable[[Gcloud, Path], None]


def key_file(gcloud: Gcloud, folder: Path) -> None:
    """As documented."""
    gcloud.good("auth", "activate-service-account", f"--key-file={gcloud.key_file}", "--project=tenant")


def literal_pair(gcloud: Gcloud, folder: Path) -> None:
    gcloud.more["CLOUDSDK_AUTH_ACCESS_TOKEN"] = f"{gcloud.demo.cloud.api_key}:{gcloud.demo.cloud.secret_key}"


def pair_to_refresh(gcloud: Gcloud, folder: Path) -> None:
    cloud = gcloud.demo.cloud
    gcloud.good("config", "set", "auth/token_host", f"{gcloud.root}/token")
    gcloud.good("auth", "activate-refresh-token", "me", f"{cloud.api_key}:{cloud.secret_key}")


def _login_elsewhere(gcloud: Gcloud, *more: str, **environment: str) -> str:
    """What gcloud says of a login whose page is opened on another machine."""
    with subprocess.Popen(
        [gcloud.binary, "auth", "login", *more, "--no-launch-browser", "--force"],
        env=os.environ | gcloud.demo.environment | {"CLOUDSDK_CONFIG": str(gcloud.folder / "gcloud")} | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as login:
        assert login.stdout is not None
        url = next(line.strip() for line in login.stdout if "/o/oauth2/auth?" in line)
        said = login.communicate(_shown_code(gcloud.demo, url) + "\n", timeout=120)[0]
    assert login.returncode == 0, said
    return said


def copied_code(gcloud: Gcloud, folder: Path) -> None:
    """A login whose page is opened elsewhere; with a browser on the same machine: test_browser_login."""
    gcloud.good("config", "set", "auth/token_host", f"{gcloud.root}/token")
    said = _login_elsewhere(gcloud, CLOUDSDK_AUTH_AUTH_HOST=f"{gcloud.root}/o/oauth2/auth")
    assert "You are now logged in as [tenant@" in said, said


def login_config(gcloud: Gcloud, folder: Path) -> None:
    """One file in place of two hidden settings."""
    file = folder / "login.json"
    file.write_text(
        json.dumps(
            {
                "type": "external_account_authorized_user_login_config",
                "audience": "//iam.googleapis.com/locations/global/workforcePools/gstack/providers/gstack",
                "auth_url": f"{gcloud.root}/o/oauth2/auth",
                "token_url": f"{gcloud.root}/token",
                "token_info_url": f"{gcloud.root}/introspect",
            }
        )
    )
    _login_elsewhere(gcloud, f"--login-config={file}")


def cred_file(gcloud: Gcloud, folder: Path) -> None:
    gcloud.good("auth", "login", f"--cred-file={gcloud.key_file}")


def self_signed(gcloud: Gcloud, folder: Path) -> None:
    """Without any token call."""
    gcloud.good("auth", "activate-service-account", f"--key-file={gcloud.key_file}")
    gcloud.more["CLOUDSDK_AUTH_SERVICE_ACCOUNT_USE_SELF_SIGNED_JWT"] = "true"
    gcloud.more["CLOUDSDK_AUTH_SERVICE_ACCOUNT_DISABLE_ID_TOKEN_REFRESH"] = "true"


def external_by_file(gcloud: Gcloud, folder: Path) -> None:
    subject = folder / "subject"
    subject.write_text(gcloud.provider.token())
    gcloud.external(folder, {"file": str(subject)})


def external_by_url(gcloud: Gcloud, folder: Path) -> None:
    format_ = {"type": "json", "subject_token_field_name": "value"}
    gcloud.external(folder, {"url": gcloud.provider.url, "headers": {"Metadata": "True"}, "format": format_})


def external_by_executable(gcloud: Gcloud, folder: Path) -> None:
    answer = {"version": 1, "success": True, "token_type": JWT_TYPE, "id_token": gcloud.provider.token()}
    script = folder / "subject-token"
    script.write_text(f"#!/bin/sh\necho '{json.dumps(answer | {'expiration_time': int(time.time()) + 3600})}'\n")
    script.chmod(0o755)
    gcloud.more["GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES"] = "1"
    gcloud.external(folder, {"executable": {"command": str(script), "timeout_millis": 60_000}})


RENEWED: dict[str, SignIn] = {
    "A, a key file": key_file,
    "C, a key pair as refresh token": pair_to_refresh,
    "D, a code of the page": copied_code,
    "D, by a login configuration": login_config,
    "a credential file": cred_file,
    "an external account by file": external_by_file,
    "an external account by URL": external_by_url,
    "an external account by executable": external_by_executable,
}
SET_UPS: dict[str, SignIn] = RENEWED | {"B, a literal key pair": literal_pair, "a self-signed token": self_signed}


# One of each kind of token, for the test that takes its time.
KINDS = {name: sign_in for name, sign_in in SET_UPS.items() if name[0] in "ABCD" or name.endswith("by file")}


def _first_shortly(some: dict[str, SignIn], *short: str) -> list[Any]:
    """Parameters of all set-ups; those that are not of the ``short`` letters take their time elsewhere."""
    return [
        pytest.param(sign_in, id=name, marks=() if name[0] in short else pytest.mark.long)
        for name, sign_in in some.items()
    ]


@pytest.mark.parametrize("sign_in", _first_shortly(SET_UPS, "A", "B", "C", "D"))
def test_a_fresh_configuration_signs_in_and_works(
    gcloud: Gcloud, sign_in: SignIn, fresh: Fresh, tmp_path: Path
) -> None:
    sign_in(gcloud, tmp_path)
    gcloud.work(fresh("in"))


@pytest.mark.parametrize("sign_in", _first_shortly(RENEWED, "A"))
def test_an_expired_token_is_replaced_without_a_word(gcloud: Gcloud, sign_in: SignIn, tmp_path: Path) -> None:
    sign_in(gcloud, tmp_path)
    first = gcloud.good("auth", "print-access-token")
    gcloud.expire()
    gcloud.good("compute", "zones", "list")
    assert gcloud.good("auth", "print-access-token") != first


def test_the_project_can_be_set_after_signing_in(gcloud: Gcloud, tmp_path: Path) -> None:
    key_file(gcloud, tmp_path)
    gcloud.more["CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDRESOURCEMANAGER"] = f"{gcloud.root}/"
    ran = gcloud("config", "set", "project", "web-shop")
    assert ran.status == 0 and "not found" not in ran.err, ran.err
    kept = gcloud.folder / "gcloud" / "configurations" / "config_default"
    assert "project = web-shop" in kept.read_text()
    nowhere = gcloud("config", "set", "project", "other")
    assert "[other] not found" in nowhere.err, nowhere.err


@pytest.fixture
def own_demo() -> Iterator[Demo]:
    """A gateway that may be stopped."""
    with prepared(job_seconds=0.1, gcloud=False) as running:
        yield running


def test_a_restart_of_the_gateway_signs_nobody_out(
    own_demo: Demo, installed_gcloud: str, tools: str, tmp_path: Path
) -> None:
    def run(*command: str) -> Any:
        environment = own_demo.environment | {"PATH": tools, "HOME": str(tmp_path)}
        words = ["env", *(f"{name}={value}" for name, value in environment.items()), *command]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
        return type("Ran", (), {"status": done.returncode, "out": done.stdout, "err": done.stderr})

    with Provider(own_demo, tmp_path).serving() as provider:
        signed_in = {}
        for number, (name, sign_in) in enumerate(KINDS.items()):
            folder = tmp_path / str(number)
            folder.mkdir()
            gcloud = Gcloud(run, installed_gcloud, own_demo, folder, provider)
            sign_in(gcloud, folder)
            signed_in[name] = gcloud, gcloud.good("auth", "print-access-token")
        own_demo.gateway.stop()
        own_demo.gateway.start()
        for name, (gcloud, token) in signed_in.items():
            assert gcloud.good("compute", "zones", "list"), name
            assert gcloud.good("auth", "print-access-token") == token, f"{name}: the token it had before"


def _shown_code(demo: Demo, url: str) -> str:
    """What a person does on the page that ``url`` opens: sign in, and copy the code."""
    with requests.Session() as session:
        session.trust_env = False
        session.verify = demo.environment["GSTACK_CA_FILE"]
        page = session.get(url, timeout=60).text
        sealed = re.search(r'name="page" value="([^"]+)"', page)
        assert sealed is not None, page
        form = {"page": sealed[1], "choice": "allow", "username": "tenant", "password": "secret-tenant"}
        answer = session.post(url.partition("?")[0], data=form | {"domain": "acme"}, timeout=60)
    code = re.search(r"<code>(gst_[^<]+)</code>", answer.text)
    assert code is not None, answer.text
    return code[1]
