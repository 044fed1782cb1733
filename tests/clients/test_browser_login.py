"""Pages in a real browser: headless Chromium signs in, consents, makes a key file, and logs gcloud in.

Apart from the other tests of clients because it needs Chromium and its driver; where they are not installed, every
test here is skipped, which under CI counts as failed unless ``.ci/run`` found no way to install them. The surprising
thing: the driver is spoken to with plain HTTP (WebDriver is nothing else), so no package is needed for it; and the
gateway's certificate is trusted by its key, not by looking away.
"""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gstack.demo import Demo, free_port
from tests.waiting import until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # WebDriver's name for a reference to an element
GCLOUD_ID = "32555940559.apps.googleusercontent.com"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")


class Browser:
    """One window of Chromium."""

    def __init__(self, driver: str, options: dict[str, Any], downloads: Path) -> None:
        self.http = requests.Session()
        self.http.trust_env = False
        self.downloads = downloads
        capabilities = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        made = self._ask("POST", f"{driver}/session", {"capabilities": {"alwaysMatch": capabilities}})
        self.root = f"{driver}/session/{made['sessionId']}"
        self._ask("POST", f"{self.root}/timeouts", {"implicit": 5_000})  # a page may be on its way

    def _ask(self, verb: str, url: str, body: Any = None) -> Any:
        answer = self.http.request(
            verb, url, json=body if body is not None else ({} if verb == "POST" else None), timeout=60
        )
        value = answer.json()["value"]
        assert answer.ok, value
        return value

    def open(self, url: str) -> None:
        self._ask("POST", f"{self.root}/url", {"url": url})

    def fill(self, **fields: str) -> None:
        for name, text in fields.items():
            self._ask("POST", f"{self.root}/element/{self._find(f'[name={name}]')}/value", {"text": text})

    def press(self, value: str, beside: str = "") -> None:
        """A button by its value; ``beside``: in the row with that text."""
        row = f"//li[contains(., '{beside}')]" if beside else ""
        found = self._find(f"{row}//button[@value='{value}']", "xpath")
        self._ask("POST", f"{self.root}/element/{found}/click")

    def text(self, css: str = "body") -> str:
        for _ in range(20):  # the page may be going away just now
            answer = self.http.get(f"{self.root}/element/{self._find(css)}/text", timeout=60)
            if answer.ok:
                break
        return str(answer.json()["value"])

    def style(self, css: str, name: str) -> str:
        return str(self._ask("GET", f"{self.root}/element/{self._find(css)}/css/{name}"))

    @property
    def url(self) -> str:
        return str(self._ask("GET", f"{self.root}/url"))

    def complaints(self) -> list[str]:
        """What the browser's console says against the pages."""
        entries = self._ask("POST", f"{self.root}/se/log", {"type": "browser"})
        return [
            each["message"]
            for each in entries
            if each["level"] in ("WARNING", "SEVERE") and "favicon" not in each["message"]
        ]

    def close(self) -> None:
        self._ask("DELETE", self.root)
        self.http.close()

    def _find(self, place: str, language: str = "css selector") -> str:
        found = self._ask("POST", f"{self.root}/element", {"using": language, "value": place})
        return str(found[ELEMENT])


@pytest.fixture(scope="module")
def driver() -> Iterator[str]:
    """The address of a running chromedriver."""
    if CHROMIUM is None or DRIVER is None:
        message = "Chromium and chromedriver are not installed on this machine (Debian: chromium, chromium-driver)"
        if os.environ.get("CI") == "true" and not os.environ.get("GSTACK_WITHOUT_BROWSER"):
            pytest.fail(message)
        pytest.skip(message)
    port = free_port()
    root = f"http://127.0.0.1:{port}"
    with requests.Session() as session, subprocess.Popen([str(DRIVER), f"--port={port}", "--log-level=OFF"]) as process:
        session.trust_env = False

        def up() -> bool:
            try:
                return bool(session.get(f"{root}/status", timeout=2).json()["value"]["ready"])
            except requests.RequestException:
                return False

        until(up, what="chromedriver")
        yield root
        process.terminate()


@pytest.fixture
def browser(driver: str, demo: Demo, tmp_path: Path) -> Iterator[Browser]:
    """A browser that knows nothing, but the key of the gateway's certificate."""
    certificate = x509.load_pem_x509_certificate((demo.gateway.settings.folder / "server.pem").read_bytes())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pin = base64.b64encode(hashlib.sha256(key).digest()).decode()
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    words = (
        "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking disable-dev-shm-usage "
        "disable-component-update disable-sync no-proxy-server window-size=900,1100"
    )
    made = Browser(
        driver,
        {
            "binary": CHROMIUM,
            "args": [f"--{word}" for word in words.split()]
            + [f"--user-data-dir={tmp_path / 'profile'}", f"--ignore-certificate-errors-spki-list={pin}"],
            "prefs": {"download.default_directory": str(downloads), "download.prompt_for_download": False},
        },
        downloads,
    )
    yield made
    made.close()


@pytest.fixture
def client_port() -> Iterator[tuple[int, list[dict[str, list[str]]]]]:
    """The small web server that a client waits for its code with, and the queries it got."""
    seen: list[dict[str, list[str]]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if "favicon" not in self.path:
                seen.append(parse_qs(urlsplit(self.path).query))
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"Done")

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server.server_address[1], seen
        server.shutdown()
        thread.join()


def asked(demo: Demo, redirect: str) -> str:
    query = {
        "response_type": "code",
        "client_id": GCLOUD_ID,
        "redirect_uri": redirect,
        "scope": "openid https://www.googleapis.com/auth/cloud-platform",
        "state": "abc",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return f"{demo.environment['GSTACK_URL']}/o/oauth2/auth?{urlencode(query)}"


def redeemed(demo: Demo, code: str, redirect: str) -> requests.Response:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "client_id": GCLOUD_ID}
    with requests.Session() as session:
        session.trust_env = False
        url, authority = f"{demo.environment['GSTACK_URL']}/token", demo.environment["GSTACK_CA_FILE"]
        return session.post(url, data=form | {"code_verifier": VERIFIER}, verify=authority, timeout=60)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_person_signs_in_with_a_password_and_the_client_gets_its_code(
    browser: Browser, demo: Demo, client_port: tuple[int, list[dict[str, list[str]]]], host: str
) -> None:
    port, seen = client_port
    redirect = f"http://{host}:{port}/"
    browser.open(asked(demo, redirect))
    assert "gcloud" in browser.text("h1") and redirect in browser.text()
    browser.fill(username="tenant", password="wrong", domain="acme")
    browser.press("allow")
    assert "wrong" in browser.text("[role=alert]") and seen == []
    browser.fill(username="tenant", password="secret-tenant", domain="acme")
    browser.press("allow")
    until(lambda: seen, what="the redirect")
    assert seen[0]["state"] == ["abc"] and browser.text() == "Done"
    answer = redeemed(demo, seen[0]["code"][0], redirect)
    assert answer.status_code == 200, answer.text
    assert redeemed(demo, seen[0]["code"][0], redirect).status_code == 400


def test_denying_sends_the_client_away_without_a_code(
    browser: Browser, demo: Demo, client_port: tuple[int, list[dict[str, list[str]]]]
) -> None:
    port, seen = client_port
    browser.open(asked(demo, f"http://localhost:{port}/"))
    browser.press("deny")
    until(lambda: seen, what="the redirect")
    assert seen[0]["error"] == ["access_denied"] and "code" not in seen[0]


def test_a_code_to_be_copied_is_shown_with_no_complaint_of_the_browser(browser: Browser, demo: Demo) -> None:
    redirect = "urn:ietf:wg:oauth:2.0:oob"
    browser.open(asked(demo, redirect))
    assert browser.style("fieldset", "border-radius") == "6px", "the policy lets the page's own style through"
    browser.fill(api_key=demo.cloud.api_key, secret_key=demo.cloud.secret_key)
    browser.press("allow")
    assert redeemed(demo, browser.text("code"), redirect).status_code == 200
    assert browser.complaints() == []


def test_a_foreign_redirect_leads_to_a_page_that_says_no(browser: Browser, demo: Demo) -> None:
    browser.open(asked(demo, "https://evil.test/"))
    assert "Refused" in browser.text("[role=alert]") and browser.url.startswith(demo.environment["GSTACK_URL"])


def test_a_person_makes_downloads_and_revokes_a_key_file(
    browser: Browser, demo: Demo, run: Callable[..., Any], installed_gcloud: str, tmp_path: Path
) -> None:
    browser.open(f"{demo.environment['GSTACK_URL']}/credentials")
    browser.fill(username="tenant", password="secret-tenant", domain="acme")
    browser.press("signin")
    browser.fill(name="from-the-page")
    browser.press("create")
    file = browser.downloads / "from-the-page.json"
    until(file.exists, what="the download")
    content = json.loads(file.read_text())
    assert content["client_email"].startswith("from-the-page@") and "PRIVATE KEY" in content["private_key"]

    words = ("env", f"CLOUDSDK_CONFIG={tmp_path / 'gcloud'}", installed_gcloud, "--quiet")
    assert run(*words, "auth", "activate-service-account", f"--key-file={file}").status == 0
    assert run(*words, "compute", "zones", "list").status == 0

    browser.open(f"{demo.environment['GSTACK_URL']}/credentials")
    assert "from-the-page@" in browser.text("ul")
    browser.press("revoke", beside="from-the-page@")
    until(lambda: "from-the-page@" not in browser.text(), what="the revocation")
    # Another process may believe a token for five seconds more.
    until(lambda: run(*words, "compute", "zones", "list").status != 0, what="the end of its tokens")
    assert browser.complaints() == []
    browser.press("leave")
    until(lambda: "Sign in" in browser.text(), what="signing out")


@pytest.fixture
def opened(tmp_path: Path) -> tuple[str, Callable[[], str]]:
    """A browser for gcloud that only notes what it was to open, and a way to wait for that."""
    script, note = tmp_path / "note-url", tmp_path / "url"
    script.write_text(f'#!/bin/sh\nprintf %s "$1" > {note}.new && mv {note}.new {note}\n')
    script.chmod(0o755)
    return str(script), lambda: until(lambda: note.exists() and note.read_text(), what="gcloud's browser")


@pytest.mark.usefixtures("client_environment")
def test_gcloud_auth_login_in_the_browser_then_work(
    browser: Browser,
    demo: Demo,
    opened: tuple[str, Callable[[], str]],
    installed_gcloud: str,
    run: Callable[..., Any],
    fresh: Callable[[str], str],
    tmp_path: Path,
) -> None:
    script, url = opened
    root = demo.environment["GSTACK_URL"]
    own = {"CLOUDSDK_CONFIG": str(tmp_path / "gcloud"), "BROWSER": script, "DISPLAY": ":0"}
    hosts = {"CLOUDSDK_AUTH_AUTH_HOST": f"{root}/o/oauth2/auth", "CLOUDSDK_AUTH_TOKEN_HOST": f"{root}/token"}
    environment = os.environ | demo.environment | own | hosts
    with subprocess.Popen(
        [installed_gcloud, "--quiet", "auth", "login", "--force"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as login:
        browser.open(url())
        browser.fill(username="tenant", password="secret-tenant", domain="acme")
        browser.press("allow")
        said = login.communicate(timeout=120)[0]
    assert login.returncode == 0 and "You are now logged in as [tenant@" in said, said

    words = ("env", f"CLOUDSDK_CONFIG={own['CLOUDSDK_CONFIG']}", installed_gcloud, "--quiet")
    name, image = fresh("browser"), ("--image-family=debian-12", "--image-project=debian-cloud")
    made = run(*words, "compute", "instances", "create", name, "--machine-type=micro", *image)
    assert made.status == 0, made.err
    assert run(*words, "compute", "instances", "delete", name).status == 0
