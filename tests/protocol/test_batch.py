"""Batches in and out."""

from __future__ import annotations

import email
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gstack.errors import GceError
from gstack.protocol.batch import Part, compose, parse

TYPE = 'multipart/mixed; boundary="===============9062178069857352095=="'
# As google-api-python-client and gcloud send it (recorded; they differ in the blanks of the Content-ID).
BODY = """\
--===============9062178069857352095==
Content-Type: application/http
MIME-Version: 1.0
Content-Transfer-Encoding: binary
Content-ID: <28d2e406-7ddc-4adb-8aa7-fdd0b02df405 + 1>

GET /compute/v1/projects/p1/zones?alt=json HTTP/1.1
Content-Type: application/json
MIME-Version: 1.0
accept: application/json
authorization: Bearer my-tok
Host: 127.0.0.1:9443


--===============9062178069857352095==
Content-Type: application/http
MIME-Version: 1.0
Content-Transfer-Encoding: binary
Content-ID: <28d2e406-7ddc-4adb-8aa7-fdd0b02df405+2>

POST /compute/v1/projects/p1/zones/z1-a/instances?alt=json HTTP/1.1
Content-Type: application/json
content-length: 31
Host: 127.0.0.1:9443

{"name": "vm",
 "x": "é"}
--===============9062178069857352095==--
"""


def _parse(body: str = BODY) -> list[Part]:
    return parse(TYPE, body.encode())


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_parts_are_read_with_either_line_end(ends: str) -> None:
    first, second = _parse(BODY.replace("\n", ends))
    assert (first.content_id, first.method) == ("28d2e406-7ddc-4adb-8aa7-fdd0b02df405 + 1", "GET")
    assert first.path == "/compute/v1/projects/p1/zones?alt=json"
    assert first.headers["authorization"] == "Bearer my-tok"
    assert first.body == b""
    assert (second.content_id, second.method) == ("28d2e406-7ddc-4adb-8aa7-fdd0b02df405+2", "POST")
    assert second.body.decode() == '{"name": "vm",' + ends + ' "x": "é"}'


def test_a_part_may_name_a_whole_url() -> None:
    assert _parse(BODY.replace("GET /", "GET https://gw:1/"))[0].path == "/compute/v1/projects/p1/zones?alt=json"


def test_a_part_needs_no_headers_and_no_content_id() -> None:
    part = parse("multipart/mixed; boundary=b", b"--b\nContent-Type: application/http\n\nDELETE /x HTTP/1.1\n--b--\n")[
        0
    ]
    assert (part.content_id, part.method, part.path, dict(part.headers), part.body) == (
        "",
        "DELETE",
        "/x",
        {},
        b"",
    )


def test_a_part_may_end_with_its_last_header() -> None:
    text = b"--b\nContent-Type: application/http\n\nGET /x HTTP/1.1\r\nAccept: a\r\n--b--\n"
    part = parse("multipart/mixed; boundary=b", text)[0]
    assert (dict(part.headers), part.body) == ({"Accept": "a"}, b"")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/mixed", BODY.encode()),
        ("multipart/mixed; boundary=other", BODY.encode()),
        (TYPE, b""),
        (TYPE, b"--===============9062178069857352095==--\n"),
        (TYPE + "\r\nX: y", BODY.encode()),
        (TYPE, BODY.split("POST")[0].encode()),
    ],
)
def test_what_is_no_batch_is_refused(content_type: str, body: bytes) -> None:
    with pytest.raises(GceError) as caught:
        parse(content_type, body)
    assert caught.value.http == 400


@pytest.mark.parametrize(
    "body",
    [
        BODY.replace("GET /compute", "GET compute"),
        BODY.replace("GET /compute", "look /compute"),
        BODY.replace("GET /compute", "GET //[/compute"),
    ],
    ids=["no path", "no verb", "no host"],
)
def test_a_part_that_is_no_request_has_a_problem_and_leaves_the_others_alone(body: str) -> None:
    parts = parse(TYPE, body.encode())
    assert len(parts) == 2
    assert parts[0].problem.startswith("Part 1 of the batch")
    assert (parts[0].content_id != "", parts[1].problem) == (True, "")


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        ("Content-Type: multipart/mixed; boundary=c\n\n--c\n\n", "does not begin with a request line"),
        ("Content-Type: message/rfc822\n\n" * 5000, "does not begin with a request line"),
        ("Content-Transfer-Encoding: base64\n\n", "has a Content-Transfer-Encoding, which is not supported"),
    ],
    ids=["multipart", "messages in messages", "encoded"],
)
def test_nothing_is_unpacked_in_a_part(head: str, problem: str) -> None:
    text = f"--b\n{head}GET /x HTTP/1.1\n--b--\n"
    part = parse("multipart/mixed; boundary=b", text.encode())[0]
    assert part.problem == f"Part 1 of the batch {problem}."


def test_nothing_is_unpacked_in_the_request_of_a_part() -> None:
    head = "Content-Type: message/rfc822\n\n"
    part = parse("multipart/mixed; boundary=b", f"--b\n\nPOST /x HTTP/1.1\n{head * 5000}\n--b--\n".encode())[0]
    assert (part.problem, part.body) == ("", (head * 4999).strip().encode())


def test_work_for_a_batch_grows_with_its_length_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def multiparts(_self: object) -> str:
        raise AssertionError("parameters of a header were read by email, which takes minutes for long ones")

    monkeypatch.setattr(email.message.Message, "get_params", multiparts)
    nested = "".join(f"--{number}\nContent-Type: multipart/mixed; boundary={number + 1}\n\n" for number in range(5000))
    with pytest.raises(GceError, match="does not follow its Content-Type"):
        parse("multipart/mixed; boundary=0", nested.encode())
    assert len(parse(f'multipart/mixed; boundary=b; x="{";" * 400_000}', b"--b\n\nGET /x\n--b--")) == 1


@pytest.mark.parametrize("written", ["b=c", '"b=c"', '"b c"', "B--", '"b:(c)"'])
def test_a_boundary_may_be_quoted_or_not(written: str) -> None:
    line = f"--{written.strip(chr(34))}"
    body = f"preamble\r\n{line}  \r\n\r\nPOST /x\r\n\r\n{line}x\r\n{line}--\r\nepilogue"
    found = parse(f"Multipart/Mixed; charset=utf-8; boundary={written}", body.encode())
    assert [(part.path, part.body) for part in found] == [("/x", f"{line}x".encode())]


def test_a_batch_has_a_thousand_parts_at_the_most() -> None:
    part = b"--b\nContent-Type: application/http\n\nGET /x HTTP/1.1\n\n"
    assert len(parse("multipart/mixed; boundary=b", part * 1000 + b"--b--\n")) == 1000
    with pytest.raises(GceError, match="1000 requests at the most"):
        parse("multipart/mixed; boundary=b", part * 1001 + b"--b--\n")


ANSWERS: list[tuple[str, int, dict[str, str], bytes]] = [
    ("abc + 1", 200, {"Content-Type": "application/json"}, '{"a": "é"}'.encode()),
    ("abc + 2", 404, {}, b"--not-a-boundary\r\n\r\n{}"),
]


def test_answers_carry_ids_and_reason_phrases() -> None:
    content_type, body = compose(ANSWERS)
    message: Any = email.message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    parts = message.get_payload()
    assert [part["Content-ID"] for part in parts] == ["<response-abc + 1>", "<response-abc + 2>"]
    assert [part.get_content_type() for part in parts] == ["application/http"] * 2
    texts = [part.get_payload(decode=True).decode() for part in parts]
    assert texts[0] == 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"a": "é"}'
    assert texts[1].startswith("HTTP/1.1 404 Not Found\r\n\r\n")


def test_an_unknown_status_has_a_reason_phrase_as_well() -> None:
    assert b"HTTP/1.1 799 Unknown\r\n" in compose([("", 799, {}, b"")])[1]


def test_googles_python_client_understands_the_answer() -> None:
    http = pytest.importorskip("googleapiclient.http")
    batch = http.BatchHttpRequest(batch_uri="https://gw/batch")
    requests = {
        str(number): http.HttpRequest(None, lambda _resp, content: content, "https://gw/x") for number in (1, 2)
    }
    seen: dict[str, Any] = {}
    for number, request in requests.items():
        batch.add(request, callback=lambda *answer: seen.update({answer[0]: answer[1:]}), request_id=number)

    class Transport:
        def request(self, uri: str, method: str, body: str, headers: dict[str, str]) -> Any:
            parts = parse(headers["content-type"], body.encode())
            answers = [(part.content_id, 200, {"Content-Type": "application/json"}, b'{"n": 1}') for part in parts]
            content_type, answer = compose(answers)
            return http.httplib2.Response({"status": "200", "content-type": content_type}), answer

    batch.execute(http=Transport())
    assert seen == {"1": (b'{"n": 1}', None), "2": (b'{"n": 1}', None)}


@given(st.lists(st.tuples(st.sampled_from(["GET", "POST"]), st.binary(max_size=30)), min_size=1, max_size=4))
def test_bodies_survive_but_for_line_ends_around_them(requests: list[tuple[str, bytes]]) -> None:
    lines = [
        b"--b_1\r\nContent-Type: application/http\r\nContent-ID: <i>\r\n\r\n"
        + f"{method} /x HTTP/1.1\r\nA: b\r\n\r\n".encode()
        + body
        + b"\r\n"
        for method, body in requests
    ]
    parts = parse("multipart/mixed; boundary=b_1", b"".join(lines) + b"--b_1--\r\n")
    assert [(part.method, part.body.strip(b"\r\n")) for part in parts] == [
        (method, body.strip(b"\r\n")) for method, body in requests
    ]
