"""gcutil of old, as the flags of the first gstack started it: a small client that does what those flags say.

Apart because the program itself is long gone. It fetched the discovery document (``--fetch_discovery``) from
``--api_host``, sent the browser to ``--authorization_uri_base`` + ``/auth`` with ``--client_id`` (the API key), waited
on a local port for the code, and exchanged it and every refresh token with ``--client_secret`` (the secret key). What
it called, it called as the document describes it, and looked at operations until they were DONE. The surprising thing:
no page is shown on the way, since whoever has the secret key needs no further sign of consent.
"""

from __future__ import annotations

import contextlib
import http.server
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests

from gstack.demo import Demo

Fresh = Callable[[str], str]
SCOPES = "https://www.googleapis.com/auth/compute https://www.googleapis.com/auth/devstorage.full_control"


@contextlib.contextmanager
def local_web_server() -> Iterator[tuple[str, list[str]]]:
    """An address for the redirect, and the codes that arrive there."""
    codes: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            codes.extend(parse_qs(urlsplit(self.path).query).get("code", []))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.HTTPServer(("localhost", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://localhost:{server.server_address[1]}/", codes
        server.shutdown()
        thread.join()


@dataclass
class Gcutil:
    """``gcutil --api_host= --authorization_uri_base=.../oauth2 --client_id= --client_secret= --project=``"""

    api_host: str
    session: requests.Session
    client_id: str
    client_secret: str
    project: str
    tokens: dict[str, Any] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)

    def discover(self) -> None:
        self.document = self._open("GET", f"{self.api_host}/discovery/v1/apis/compute/v1/rest").json()

    def login(self) -> int:
        """The browser's way, then the exchange; the status of the latter."""
        with local_web_server() as (address, codes), requests.Session() as browser:
            browser.trust_env = False
            query = {"client_id": self.client_id, "redirect_uri": address, "scope": SCOPES, "response_type": "code"}
            sent = self._open("GET", f"{self.api_host}/oauth2/auth?{urlencode(query | {'access_type': 'offline'})}")
            assert sent.status_code == 303, sent.text
            browser.get(sent.headers["Location"], timeout=30)
            return self._token(grant_type="authorization_code", code=codes[0], redirect_uri=address, scope=SCOPES)

    def refresh(self) -> int:
        return self._token(grant_type="refresh_token", refresh_token=self.tokens["refresh_token"])

    def ask(self, name: str, body: Any = None, **parameters: str) -> requests.Response:
        """The answer of a method (``instances.insert``) as the discovery document describes it."""
        collection, verb = name.split(".")
        method = self.document["resources"][collection]["methods"][verb]
        parameters = {"project": self.project} | parameters
        path = re.sub(r"{(\w+)}", lambda found: parameters.pop(found[1]), method["path"])
        bearer = {"Authorization": f"OAuth {self.tokens['access_token']}"}
        url = self.document["baseUrl"] + path
        return self._open(method["httpMethod"], url, params=parameters, json=body, headers=bearer)

    def call(self, name: str, body: Any = None, **parameters: str) -> dict[str, Any]:
        """What the method answers, its operation DONE; fails the test where it is refused."""
        answer = self.ask(name, body, **parameters)
        assert answer.ok, answer.text
        found = dict(answer.json())
        while found["kind"] == "compute#operation" and found["status"] != "DONE":
            place = {"zone": found["zone"].rpartition("/")[2]} if "zone" in found else {}
            kind = "zoneOperations.get" if place else "globalOperations.get"
            found = dict(self.ask(kind, operation=found["name"], **place).json())
        return found

    def _token(self, **form: str) -> int:
        own = {"client_id": self.client_id, "client_secret": self.client_secret}
        answer = self._open("POST", f"{self.api_host}/oauth2/token", data=form | own)
        if answer.status_code == 200:
            self.tokens |= answer.json()
        return answer.status_code

    def _open(self, verb: str, url: str, **more: Any) -> requests.Response:
        return self.session.request(verb, url, timeout=150, allow_redirects=False, **more)


@pytest.fixture
def gcutil(demo: Demo) -> Iterator[Gcutil]:
    environment = demo.environment
    with requests.Session() as session:
        session.trust_env, session.verify = False, environment["GSTACK_CA_FILE"]
        pair = environment["GSTACK_API_KEY"], environment["GSTACK_SECRET_KEY"]
        yield Gcutil(environment["GSTACK_URL"], session, *pair, environment["GSTACK_PROJECT"])


@pytest.fixture
def signed_in(gcutil: Gcutil) -> Gcutil:
    gcutil.discover()
    assert gcutil.login() == 200
    return gcutil


def _machine(gcutil: Gcutil, name: str, machine_type: str = "micro") -> dict[str, Any]:
    """What ``gcutil addinstance`` wrote: whole links throughout."""
    image = gcutil.call("images.getFromFamily", project="debian-cloud", family="debian-12")
    here = f"{gcutil.document['baseUrl']}projects/{gcutil.project}"
    disk = {"type": "PERSISTENT", "boot": True, "autoDelete": True}
    return {
        "kind": "compute#instance",
        "name": name,
        "machineType": f"{here}/zones/ch-gva-2/machineTypes/{machine_type}",
        "disks": [disk | {"initializeParams": {"sourceImage": image["selfLink"]}}],
        "networkInterfaces": [{"network": f"{here}/global/networks/default"}],
    }


def test_gcutil_discovers_logs_in_works_and_refreshes(gcutil: Gcutil) -> None:
    gcutil.discover()
    assert gcutil.document["baseUrl"] == f"{gcutil.api_host}/compute/v1/", "it goes on where it began"
    assert gcutil.login() == 200
    assert gcutil.call("zones.list")["items"]
    old = gcutil.tokens["access_token"]
    assert gcutil.refresh() == 200 and gcutil.tokens["access_token"] != old
    assert gcutil.call("zones.list")["items"]
    assert gcutil.ask("zones.list", project="other").status_code == 404


@pytest.mark.parametrize("secret", ["wrong", ""])
def test_gcutil_with_a_wrong_secret_gets_nothing(gcutil: Gcutil, secret: str) -> None:
    gcutil.client_secret = secret
    assert gcutil.login() == 401 and gcutil.tokens == {}


def test_gcutils_refresh_token_is_worth_nothing_without_the_secret_key(gcutil: Gcutil) -> None:
    assert gcutil.login() == 200
    gcutil.client_secret = "wrong"
    assert gcutil.refresh() == 401


def test_gcutil_lists_what_there_is_and_opens_a_port(signed_in: Gcutil, fresh: Fresh) -> None:
    for method, where, name in (
        ("zones.list", {}, "ch-gva-2"),
        ("machineTypes.list", {"zone": "ch-gva-2"}, "micro"),
        ("images.list", {"project": "debian-cloud"}, "linux-debian-12-64-bit"),
    ):
        assert name in [row["name"] for row in signed_in.call(method, **where)["items"]], method
    wall = fresh("gcutil")
    allowed = [{"IPProtocol": "tcp", "ports": ["80"]}]
    signed_in.call("firewalls.insert", {"name": wall, "allowed": allowed})
    assert signed_in.call("firewalls.get", firewall=wall)["allowed"] == allowed
    assert "error" not in signed_in.call("firewalls.delete", firewall=wall)


def test_gcutil_leads_a_machine_and_its_disk_through_a_day(signed_in: Gcutil, fresh: Fresh) -> None:
    call, name, data = signed_in.call, fresh("gcutil"), fresh("data")
    here = {"zone": "ch-gva-2", "instance": name}
    assert "error" not in call("instances.insert", _machine(signed_in, name), zone="ch-gva-2")
    made = call("instances.get", **here)
    assert name in [row["name"] for row in call("instances.list", zone="ch-gva-2")["items"]]
    everywhere = call("instances.aggregatedList")["items"]
    assert name in [row["name"] for row in everywhere["zones/ch-gva-2"]["instances"]]
    call("instances.setLabels", {"labelFingerprint": made["labelFingerprint"], "labels": {"stage": "live"}}, **here)
    call("instances.setTags", {"fingerprint": made["tags"]["fingerprint"], "items": ["web"]}, **here)
    items = [{"key": "stage", "value": "live"}]
    call("instances.setMetadata", {"fingerprint": made["metadata"]["fingerprint"], "items": items}, **here)
    made = call("instances.get", **here)
    assert (made["labels"], made["tags"]["items"], made["metadata"]["items"]) == ({"stage": "live"}, ["web"], items)

    call("disks.insert", {"name": data, "sizeGb": "10"}, zone="ch-gva-2")
    source = call("disks.get", zone="ch-gva-2", disk=data)["selfLink"]
    call("instances.attachDisk", {"source": source, "deviceName": "data"}, **here)
    call("disks.createSnapshot", {"name": data}, zone="ch-gva-2", disk=data)
    assert call("snapshots.get", snapshot=data)["status"] == "READY"
    call("instances.detachDisk", **here, deviceName="data")
    call("instances.stop", **here)
    assert call("instances.get", **here)["status"] == "TERMINATED"
    call("instances.start", **here)
    assert call("instances.get", **here)["status"] == "RUNNING"
    for method, where in {
        "instances.delete": here,
        "disks.delete": {"zone": "ch-gva-2", "disk": data},
        "snapshots.delete": {"snapshot": data},
    }.items():
        assert "error" not in call(method, **where)
    assert signed_in.ask("instances.get", **here).status_code == 404


def test_gcutil_sees_that_an_operation_failed(signed_in: Gcutil, fresh: Fresh) -> None:
    giant = _machine(signed_in, fresh("giant"), "titan-does-not-fit")
    failed = signed_in.call("instances.insert", giant, zone="ch-gva-2")
    assert "No destination found" in failed["error"]["errors"][0]["message"]
