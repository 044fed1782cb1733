"""The running server's side of the wire: TLS versions, HTTP/2, kept connections, sizes, and a shutdown that ends well.

Apart from test_quirks.py because none of it is about the API. The surprising thing: a held request is let go at the
shutdown, with its operation still RUNNING; the next start finishes what was begun.
"""

from __future__ import annotations

import http.client
import json
import signal
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest

from gstack.demo import Demo, prepared
from gstack.settings import BY_NAME
from tests.waiting import until


def context(demo: Demo) -> ssl.SSLContext:
    """What trusts the gateway, and speaks every version that the machine's OpenSSL has."""
    found = ssl.create_default_context(cafile=demo.environment["GSTACK_CA_FILE"])
    found.set_ciphers("ALL:@SECLEVEL=0")
    return found


def address(demo: Demo) -> tuple[str, int]:
    url = urlsplit(demo.environment["GSTACK_URL"])
    return str(url.hostname), int(url.port or 443)


def shaken(demo: Demo, tls: ssl.SSLContext) -> tuple[str | None, str | None]:
    """TLS version and protocol that a handshake ends with."""
    with (
        socket.create_connection(address(demo), 30) as plain,
        tls.wrap_socket(plain, server_hostname="localhost") as own,
    ):
        return own.version(), own.selected_alpn_protocol()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_todays_versions_of_tls_are_spoken(demo: Demo, version: ssl.TLSVersion) -> None:
    tls = context(demo)
    tls.minimum_version = tls.maximum_version = version
    assert shaken(demo, tls)[0] == version.name.replace("_", ".")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_older_versions_of_tls_are_refused(demo: Demo, version: ssl.TLSVersion) -> None:
    tls = context(demo)
    tls.minimum_version = tls.maximum_version = version
    with pytest.raises((ssl.SSLError, ConnectionError)):
        shaken(demo, tls)


@pytest.mark.parametrize(("offered", "chosen"), [(["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1"), ([], None)])
def test_http_2_is_spoken_with_who_offers_it(demo: Demo, offered: list[str], chosen: str | None) -> None:
    tls = context(demo)
    if offered:
        tls.set_alpn_protocols(offered)
    assert shaken(demo, tls)[1] == chosen


@pytest.fixture
def connection(demo: Demo) -> Any:
    found = http.client.HTTPSConnection(*address(demo), timeout=60, context=context(demo))
    yield found
    found.close()


@pytest.fixture
def bearer(demo: Demo) -> dict[str, str]:
    return {"Authorization": f"Bearer {demo.environment['GSTACK_TOKEN']}"}


def test_a_connection_is_kept_for_the_next_request(connection: Any, bearer: dict[str, str]) -> None:
    sockets = []
    for _ in range(3):
        connection.request("GET", "/compute/v1/projects/tenant/zones", headers=bearer)
        answer = connection.getresponse()
        answer.read()
        sockets.append(connection.sock)
    assert sockets[0] is sockets[1] is sockets[2] is not None


def test_a_body_in_chunks_is_read(connection: Any, bearer: dict[str, str], fresh: Callable[[str], str]) -> None:
    body = {"name": fresh("chunks"), "network": "global/networks/nowhere", "allowed": [{"IPProtocol": "tcp"}]}
    pieces = iter([json.dumps(body)[:20].encode(), json.dumps(body)[20:].encode()])
    headers = bearer | {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    connection.request("POST", "/compute/v1/projects/tenant/global/firewalls", pieces, headers, encode_chunked=True)
    answer = connection.getresponse()
    error = json.loads(answer.read())["error"]
    assert (answer.status, "nowhere" in error["message"]) in ((400, True), (404, True)), error


@pytest.mark.parametrize("path", ["/compute/v1/projects/tenant/global/firewalls", "/batch/compute/v1", "/token"])
def test_a_body_that_is_too_large_is_a_413_in_googles_shape(connection: Any, bearer: dict[str, str], path: str) -> None:
    for size in (12_000_000, 30_000_000):  # more than all buffers on the way hold
        connection.request("POST", path, b" " * size, bearer | {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Connection"]) == (413, "close")
        assert json.loads(answer.read())["error"]["errors"][0]["reason"] == "uploadTooLarge"


@pytest.mark.parametrize("path", ["/compute/v1/projects/p/global/networks", "/token", "/batch/compute/v1"])
@pytest.mark.parametrize("known", [True, False])
def test_bodies_that_never_end_keep_nobody_waiting(
    demo: Demo, connection: Any, bearer: dict[str, str], path: str, known: bool
) -> None:
    credentials = f"Authorization: {bearer['Authorization']}\r\n" if known else ""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{credentials}Content-Length: ".encode()
    tls, kept = context(demo), []
    try:
        for number in range(100):  # more than all threads there are
            plain = socket.create_connection(address(demo), 30)
            kept.append(tls.wrap_socket(plain, server_hostname="localhost"))
            kept[-1].sendall(head + (b"100000" if number % 2 else b"100") + b"\r\n\r\n{")
        connection.timeout = 20
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
    finally:
        for one in kept:
            one.close()


def framed(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    """A frame of HTTP/2 (RFC 9113, section 4.1)."""
    return len(content).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + content


def test_a_few_bytes_that_stand_for_long_headers_are_refused(demo: Demo, connection: Any) -> None:
    # RFC 7541: GET and https of the static table, the path and the host; a header of 100 bytes, which goes into the
    # other table; that again, 10,000 times.
    block = b"\x82\x87\x04\x08/healthz\x41\x09localhost" + b"\x40\x01x\x64" + b"a" * 100 + b"\xbe" * 10_000
    tls = context(demo)
    tls.set_alpn_protocols(["h2"])
    headers, reset, goaway = 1, 3, 7
    with (
        socket.create_connection(address(demo), 60) as plain,
        tls.wrap_socket(plain, server_hostname="localhost") as own,
        own.makefile("rb") as answers,
    ):
        own.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + framed(4, 0, 0, b"") + framed(headers, 5, 1, block))
        kind = status = None
        while kind not in (headers, reset, goaway) and (head := answers.read(9)):
            kind, content = head[3], answers.read(int.from_bytes(head[:3], "big"))
            status = content[:1]
    assert (kind, status) != (headers, b"\x88")  # 200
    connection.request("GET", "/healthz", headers={"X": "a" * 50_000})
    assert connection.getresponse().status == 200


def test_a_connection_of_http_2_brings_no_more_requests_at_once_than_a_worker_has_threads(demo: Demo) -> None:
    tls = context(demo)
    tls.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(address(demo), 60) as plain,
        tls.wrap_socket(plain, server_hostname="localhost") as own,
        own.makefile("rb") as answers,
    ):
        own.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + framed(4, 0, 0, b""))
        head = answers.read(9)
        content = answers.read(int.from_bytes(head[:3], "big"))
    assert head[3] == 4  # SETTINGS (RFC 9113, section 6.5): pairs of a number and a value
    said = {
        int.from_bytes(content[at : at + 2]): int.from_bytes(content[at + 2 : at + 6])
        for at in range(0, len(content), 6)
    }
    assert said[3] == BY_NAME["GSTACK_THREADS"].default


def test_connections_on_which_nothing_is_asked_keep_nobody_out(demo: Demo, connection: Any) -> None:
    tls = context(demo)
    with ExitStack() as kept:
        for _ in range(300):  # more than four for each thread there is
            plain = kept.enter_context(socket.create_connection(address(demo), 30))
            kept.enter_context(tls.wrap_socket(plain, server_hostname="localhost"))
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200


@pytest.mark.parametrize("size", [100, 100_000, 900_000])
def test_who_is_refused_is_told_so_however_long_the_body(demo: Demo, size: int) -> None:
    for _ in range(10):
        one = http.client.HTTPSConnection(*address(demo), timeout=60, context=context(demo))
        one.request("POST", "/compute/v1/projects/p/global/networks", b" " * size, {"Authorization": "Bearer no"})
        assert one.getresponse().status == 401
        one.close()


def test_a_shutdown_answers_the_requests_that_are_under_way() -> None:
    with prepared(job_seconds=5, gcloud=False) as own:
        headers = {"Authorization": f"Bearer {own.environment['GSTACK_TOKEN']}", "Content-Type": "application/json"}
        base = f"/compute/v1/projects/{own.environment['GSTACK_PROJECT']}/zones/ch-gva-2"
        image = {"sourceImage": "projects/debian-cloud/global/images/family/debian-12"}
        body = {
            "name": "slow",
            "machineType": "zones/ch-gva-2/machineTypes/micro",
            "disks": [{"boot": True, "autoDelete": True, "initializeParams": image}],
            "networkInterfaces": [{"network": "global/networks/default"}],
        }
        answers: list[tuple[int, dict[str, Any]]] = []

        def ask(method: str, path: str, sent: Any = None) -> tuple[int, dict[str, Any]]:
            connection = http.client.HTTPSConnection(*address(own), timeout=60, context=context(own))
            connection.request(method, path, json.dumps(sent) if sent else None, headers)
            answer = connection.getresponse()
            found = answer.status, json.loads(answer.read())
            connection.close()
            return found

        inserting = threading.Thread(target=lambda: answers.append(ask("POST", f"{base}/instances", body)))
        inserting.start()
        until(lambda: ask("GET", f"{base}/operations")[1].get("items"), what="the operation")
        assert own.gateway.process is not None
        own.gateway.process.send_signal(signal.SIGTERM)
        inserting.join(60)
        assert own.gateway.process.wait(60) == 0
        assert [(status, answer["kind"]) for status, answer in answers] == [(200, "compute#operation")]
