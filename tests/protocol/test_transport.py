"""What every answer has of HTTP: its request id, OPTIONS and HEAD, CORS, compression."""

from __future__ import annotations

import gzip
import io
import json
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask, Response

from gstack.protocol import transport
from gstack.protocol.links import NO_HOST

ZONES = "/compute/v1/projects/tenant/zones"
PAGE = "https://console.example"


def ask(gateway: Any, path: str = ZONES, method: str = "GET", **headers: str) -> Any:
    """The plain answer, with the user's token."""
    sent = {"Authorization": f"Bearer {gateway.token}"} | {name.replace("_", "-"): headers[name] for name in headers}
    return gateway.client.open(path, method=method, headers=sent, base_url=f"https://{gateway.host}")


def test_a_clients_request_id_is_echoed_and_stands_in_the_log(gateway, monkeypatch) -> None:
    lines: list[dict[str, Any]] = []
    monkeypatch.setattr("gstack.protocol.pipeline.log", SimpleNamespace(info=lambda _event, **more: lines.append(more)))
    bound: list[dict[str, Any]] = []
    monkeypatch.setattr("structlog.contextvars.bind_contextvars", lambda **more: bound.append(more))
    answer = ask(gateway, X_Request_Id="trace/1:a-b_c.d=")
    assert answer.headers["X-Request-Id"] == "trace/1:a-b_c.d="
    assert {"request": "trace/1:a-b_c.d="} in bound
    assert lines


@pytest.mark.parametrize("given", ["", "a b", "a" * 129, "ü", "a\tb", "'; --", "-x"])
def test_an_id_that_is_not_harmless_is_replaced(gateway, given) -> None:
    found = ask(gateway, X_Request_Id=given).headers["X-Request-Id"]
    assert found != given
    assert transport.HARMLESS.fullmatch(found)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nothing"), ("DELETE", ZONES), ("POST", "/batch"), ("POST", "/token"), ("GET", "/discovery/v1/apis")],
)
def test_every_answer_has_a_request_id_whichever_room_made_it(gateway, method, path) -> None:
    assert ask(gateway, path, method, X_Request_Id="mine").headers["X-Request-Id"] == "mine"
    assert ask(gateway, path, method).headers["X-Request-Id"] != ask(gateway, path, method).headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (ZONES, {"GET", "HEAD", "OPTIONS"}),
        ("/compute/v1/projects/tenant/global/firewalls", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("/compute/beta/projects/tenant/global/firewalls/x", {"GET", "HEAD", "DELETE", "PATCH", "PUT", "OPTIONS"}),
        ("/batch/compute/v1", {"POST", "OPTIONS"}),
    ],
)
def test_options_says_what_may_be_done_and_asks_for_no_credentials(gateway, path, allowed) -> None:
    answer = gateway.client.options(path)
    assert answer.status_code in (200, 204)
    assert set(answer.headers["Allow"].split(", ")) == allowed
    assert answer.data == b""
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_options_of_no_path_of_ours_is_a_404(gateway) -> None:
    assert gateway.client.options("/compute/v1/nothing").status_code == 404


@pytest.mark.parametrize("host", ["my_service:5000", "gateway.example.", "[::1]:5000"])
def test_links_begin_with_the_host_that_was_asked_in_lists_batches_and_documents(gateway, host) -> None:
    own = f"https://{host.removesuffix('.')}"
    link = f"{own}{ZONES}/{gateway.zone}"
    assert link in str(ask(gateway, Host=host).json)
    part = f"--b\r\nContent-Type: application/http\r\nContent-ID: <1>\r\n\r\nGET {ZONES} HTTP/1.1\r\n\r\n\r\n--b--\r\n"
    headers = {"Authorization": f"Bearer {gateway.token}", "Host": host, "Content-Type": "multipart/mixed; boundary=b"}
    assert link in gateway.client.post("/batch/compute/v1", data=part, headers=headers).text.replace(
        "http://", "https://"
    )
    found = gateway.client.get("/discovery/v1/apis/compute/v1/rest", base_url=own, headers={"Host": host}).json
    assert found["rootUrl"] == f"{own}/"


@pytest.mark.parametrize("path", [ZONES, "/discovery/v1/apis", "/discovery/v1/apis/compute/v1/rest"])
@pytest.mark.parametrize("host", ["", "a b", "a..b", "x@y", "a:0"])
def test_a_host_that_is_none_is_one_clear_400(gateway, path, host) -> None:
    answer = ask(gateway, path, Host=host)
    assert (answer.status_code, answer.json["error"]["message"]) == (400, NO_HOST)


def test_head_is_get_without_its_body(gateway) -> None:
    got, headed = ask(gateway), ask(gateway, method="HEAD")
    assert (headed.status_code, headed.data) == (200, b"")
    assert (headed.content_length, headed.content_type) == (len(got.data), got.content_type)
    missing = ask(gateway, f"{ZONES}/nowhere-1", "HEAD")
    assert (missing.status_code, missing.data) == (404, b"")


def test_pages_of_other_origins_are_told_nothing_unless_the_operator_says_so(gateway) -> None:
    answers = [ask(gateway, Origin=PAGE), gateway.client.options(ZONES, headers={"Origin": PAGE})]
    for answer in answers:
        assert [name for name, _ in answer.headers if name.startswith("Access-Control-")] == []


def shared(origins: str) -> Any:
    """An application of two paths that shares with ``origins``."""
    app = Flask("test")
    app.add_url_rule("/compute/v1/x", "api", lambda: {"a": 1}, methods=["GET", "POST"])
    app.add_url_rule("/oauth2/auth", "login", lambda: "page")
    transport.register(app, origins)
    return app.test_client()


@pytest.mark.parametrize("origins", [PAGE, f"https://other.example, {PAGE}/"])
def test_an_origin_that_the_operator_named_may_read_answers(origins) -> None:
    answer = shared(origins).get("/compute/v1/x", headers={"Origin": PAGE})
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert "X-Request-Id" in answer.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "Origin" in answer.headers["Vary"]


def test_another_origin_and_the_pages_for_people_are_never_shared() -> None:
    client = shared(PAGE)
    for path, origin in (("/compute/v1/x", "https://evil.example"), ("/oauth2/auth", PAGE), ("/compute/v1/x", "null")):
        assert "Access-Control-Allow-Origin" not in client.get(path, headers={"Origin": origin}).headers


def test_a_preflight_is_answered_with_what_it_asked_for() -> None:
    asked = {
        "Origin": PAGE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    answer = shared("*").options("/compute/v1/x", headers=asked)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert answer.headers["Access-Control-Allow-Headers"] == "authorization, content-type"
    bad = shared("*").options("/compute/v1/x", headers=asked | {"Access-Control-Request-Headers": "a;b"})
    assert "Access-Control-Allow-Headers" not in bad.headers


def test_a_long_answer_is_compressed_for_who_takes_it(gateway) -> None:
    plain, packed = ask(gateway), ask(gateway, Accept_Encoding="gzip, deflate")
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(packed.data)) == plain.json
    assert packed.content_length == len(packed.data) < len(plain.data)
    assert "Accept-Encoding" in plain.headers["Vary"]


@pytest.mark.parametrize("encodings", ["identity", "gzip;q=0", "br", "*;q=0"])
def test_who_does_not_take_gzip_is_sent_none(gateway, encodings) -> None:
    assert "Content-Encoding" not in ask(gateway, Accept_Encoding=encodings).headers


def test_short_answers_and_pages_are_not_compressed(gateway) -> None:
    for path in ("/compute/v1/nothing", "/oauth2/auth"):
        assert "Content-Encoding" not in ask(gateway, path, Accept_Encoding="gzip").headers


def test_a_compressed_body_is_read(gateway) -> None:
    body = {"name": "web", "network": "global/networks/default", "allowed": [{"IPProtocol": "tcp"}]}
    answer = gateway.client.post(
        "/compute/v1/projects/tenant/global/firewalls",
        data=gzip.compress(json.dumps(body).encode()),
        headers={"Authorization": f"Bearer {gateway.token}", "Content-Encoding": "gzip"},
        content_type="application/json",
    )
    assert answer.json["status"] == "DONE"
    assert gateway.get("global/firewalls/web")["name"] == "web"


def test_what_streams_or_is_packed_already_is_left_alone() -> None:
    app = Flask("test")
    app.add_url_rule("/stream", "stream", lambda: Response((b"x" for _ in range(9999)), mimetype="application/json"))
    transport.register(app, "")
    assert "Content-Encoding" not in app.test_client().get("/stream", headers={"Accept-Encoding": "gzip"}).headers


def test_a_request_without_credentials_is_refused_before_its_body_is_read(gateway) -> None:
    sent = io.BytesIO(b"no JSON")
    answer = gateway.client.post(
        "/compute/v1/projects/tenant/global/networks", input_stream=sent, headers={"Content-Length": "7"}
    )
    assert (answer.status_code, sent.tell()) == (401, 0)
