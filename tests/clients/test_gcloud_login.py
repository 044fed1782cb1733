"""Every way gcloud 528 signs in, in a fresh configuration each, and then does its work.

Apart from the other tests of gcloud, which are signed in already. Logging in through a browser is in
``test_browser_login.py``. The surprising thing: gcloud repeats a request that was refused with the token that was
refused, so a token that dies early costs its user one command; the ones here die for the test only.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from google.auth import crypt, jwt

from gstack.demo import Demo, prepared

Fresh = Callable[[str], str]
IMAGE = ("--image-family=debian-12", "--image-project=debian-cloud")
EXCHANGE_TYPE = "urn:ietf:params:oauth:token-type:jwt"


class Gcloud:
    """gcloud in a configuration that has never been used."""

    def __init__(self, run: Callable[..., Any], binary: str, demo: Demo, folder: Path) -> None:
        self.demo, self.folder = demo, folder
        self._run, self._binary = run, binary
        self.more: dict[str, str] = {}

    def __call__(self, *words: str) -> Any:
        settings = {"CLOUDSDK_CONFIG": str(self.folder / "gcloud")} | self.more
        pairs = [f"{name}={value}" for name, value in settings.items()]
        return self._run("env", *pairs, self._binary, "--quiet", *words)

    def good(self, *words: str) -> str:
        ran = self(*words)
        assert ran.status == 0, ran.err
        return str(ran.out)

    def work(self, name: str) -> None:
        """What everybody came for."""
        self.good("compute", "instances", "create", name, "--machine-type=micro", *IMAGE)
        self.good("compute", "instances", "delete", name)


@pytest.fixture
def gcloud(run: Callable[..., Any], installed_gcloud: str, demo: Demo, tmp_path: Path) -> Gcloud:
    return Gcloud(run, installed_gcloud, demo, tmp_path)


@pytest.fixture
def key_file(demo: Demo) -> str:
    return demo.environment["GOOGLE_APPLICATION_CREDENTIALS"]


def test_a_key_file_signs_in_as_documented(gcloud: Gcloud, key_file: str, fresh: Fresh) -> None:
    gcloud.good("auth", "activate-service-account", f"--key-file={key_file}", "--project=tenant")
    gcloud.work(fresh("a"))


def test_a_literal_key_pair_is_a_token(gcloud: Gcloud, fresh: Fresh) -> None:
    gcloud.more["CLOUDSDK_AUTH_ACCESS_TOKEN"] = f"{gcloud.demo.cloud.api_key}:{gcloud.demo.cloud.secret_key}"
    gcloud.work(fresh("b"))


def test_a_key_pair_is_a_refresh_token(gcloud: Gcloud, fresh: Fresh) -> None:
    cloud, root = gcloud.demo.cloud, gcloud.demo.environment["GSTACK_URL"]
    gcloud.good("config", "set", "auth/token_host", f"{root}/token")
    gcloud.good("auth", "activate-refresh-token", "me", f"{cloud.api_key}:{cloud.secret_key}")
    gcloud.work(fresh("c"))


def test_a_login_without_a_browser_takes_the_code_that_the_page_shows(
    gcloud: Gcloud, installed_gcloud: str, demo: Demo, fresh: Fresh, tmp_path: Path
) -> None:
    root = demo.environment["GSTACK_URL"]
    own = {
        "CLOUDSDK_CONFIG": str(tmp_path / "gcloud"),
        "CLOUDSDK_AUTH_AUTH_HOST": f"{root}/o/oauth2/auth",
        "CLOUDSDK_AUTH_TOKEN_HOST": f"{root}/token",
    }
    with subprocess.Popen(
        [installed_gcloud, "auth", "login", "--no-launch-browser", "--force"],
        env=os.environ | demo.environment | own,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as login:
        assert login.stdout is not None
        url = next(line.strip() for line in login.stdout if "/o/oauth2/auth?" in line)
        said = login.communicate(_shown_code(demo, url) + "\n", timeout=120)[0]
    assert login.returncode == 0 and "You are now logged in as [tenant@" in said, said
    gcloud.work(fresh("d"))


def test_a_credential_file_signs_in_without_a_token_call(gcloud: Gcloud, key_file: str, fresh: Fresh) -> None:
    gcloud.good("auth", "login", f"--cred-file={key_file}")
    gcloud.work(fresh("cred"))


def test_a_self_signed_token_needs_no_token_endpoint(gcloud: Gcloud, key_file: str, fresh: Fresh) -> None:
    gcloud.good("auth", "activate-service-account", f"--key-file={key_file}")
    gcloud.more["CLOUDSDK_AUTH_SERVICE_ACCOUNT_USE_SELF_SIGNED_JWT"] = "true"
    gcloud.more["CLOUDSDK_AUTH_SERVICE_ACCOUNT_DISABLE_ID_TOKEN_REFRESH"] = "true"
    gcloud.work(fresh("jwt"))


def test_an_external_account_by_file_is_exchanged(gcloud: Gcloud, key_file: str, fresh: Fresh, tmp_path: Path) -> None:
    root = gcloud.demo.environment["GSTACK_URL"]
    subject = tmp_path / "subject"
    subject.write_text(_assertion(json.loads(Path(key_file).read_text()), f"{root}/token"))
    account = tmp_path / "external.json"
    account.write_text(
        json.dumps(
            {
                "type": "external_account",
                "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/gstack",
                "subject_token_type": EXCHANGE_TYPE,
                "token_url": f"{root}/token",
                "token_info_url": f"{root}/introspect",
                "credential_source": {"file": str(subject)},
            }
        )
    )
    gcloud.good("auth", "login", f"--cred-file={account}")
    gcloud.work(fresh("ext"))


def test_an_expired_token_is_replaced_without_a_word(gcloud: Gcloud, key_file: str) -> None:
    gcloud.good("auth", "activate-service-account", f"--key-file={key_file}")
    first = gcloud.good("auth", "print-access-token")
    with closing(sqlite3.connect(gcloud.folder / "gcloud" / "access_tokens.db")) as kept:
        kept.execute("UPDATE access_tokens SET token_expiry = '2020-01-01 00:00:00'")
        kept.commit()
    gcloud.good("compute", "zones", "list")
    assert gcloud.good("auth", "print-access-token") != first


def test_the_project_can_be_set_after_signing_in(gcloud: Gcloud, key_file: str) -> None:
    root = gcloud.demo.environment["GSTACK_URL"]
    gcloud.good("auth", "activate-service-account", f"--key-file={key_file}")
    gcloud.more["CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDRESOURCEMANAGER"] = f"{root}/"
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

    gcloud = Gcloud(run, installed_gcloud, own_demo, tmp_path)
    file = own_demo.environment["GOOGLE_APPLICATION_CREDENTIALS"]
    gcloud.good("auth", "activate-service-account", f"--key-file={file}")
    token = gcloud.good("auth", "print-access-token")
    own_demo.gateway.stop()
    own_demo.gateway.start()
    gcloud.good("compute", "zones", "list")
    assert gcloud.good("auth", "print-access-token") == token, "the token it had before"


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


def _assertion(content: dict[str, Any], audience: str) -> str:
    """A JWT that the key file signs, as any program may write it into a file."""
    now = int(time.time())
    claims = {"iss": content["client_email"], "aud": audience, "iat": now, "exp": now + 3600}
    return jwt.encode(crypt.RSASigner.from_service_account_info(content), claims).decode()
