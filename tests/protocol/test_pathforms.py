"""The forms in which clients write our URLs."""

from __future__ import annotations

import io
from typing import Any

import pytest

from gstack.protocol import transport
from gstack.protocol.pathforms import PathForms, canonical_host, canonical_path


@pytest.mark.parametrize(
    ("sent", "known"),
    [
        ("/compute/v1/projects/p/zones", "/compute/v1/projects/p/zones"),
        ("/compute/beta/projects/p/zones", "/compute/v1/projects/p/zones"),
        ("/compute/alpha/projects/p", "/compute/v1/projects/p"),
        ("/projects/p/zones", "/compute/v1/projects/p/zones"),
        ("//compute/v1/projects//p/zones", "/compute/v1/projects/p/zones"),
        ("//projects/p", "/compute/v1/projects/p"),
        ("/token", "/token"),
    ],
)
def test_every_form_of_a_path_becomes_the_one_our_routes_know(sent: str, known: str) -> None:
    assert canonical_path(sent) == known


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ("gateway.example", "gateway.example"),
        ("Gateway:5000", "Gateway:5000"),
        ("my_service:443", "my_service"),
        ("my_service:80", "my_service:80"),
        ("_a.b_", "_a.b_"),
        ("gateway.example.", "gateway.example"),
        ("gateway.example.:9443", "gateway.example:9443"),
        ("gateway:", "gateway"),
        ("127.0.0.1:9", "127.0.0.1:9"),
        ("[::1]:9", "[::1]:9"),
        ("[fe80::1]", "[fe80::1]"),
    ],
)
def test_a_host_is_written_into_links_as_the_client_called_it(given: str, host: str) -> None:
    assert canonical_host(given, "https") == host


@pytest.mark.parametrize(
    "given",
    [
        *(
            "",
            ".",
            "..",
            "a..b",
            "-a",
            "a-",
            "a b",
            "a/b",
            "a@b",
            "a:b",
            "a:99999",
            "a:0",
            "a,b",
            "ü",
            "[",
            "[]",
            "[::1",
        ),
        *("a?b", "a#b", "%41", "a\n", "[::1]x", "a:1:2", "a\\b"),
    ],
)
def test_what_is_no_host_is_not_written_into_links(given: str) -> None:
    assert canonical_host(given, "https") == ""


def _seen(**environ: Any) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    app = PathForms(lambda env, _start: seen.update(env) or [])  # type: ignore[func-returns-value]
    app({"PATH_INFO": "/projects/p", "REQUEST_METHOD": "POST", **environ}, lambda *_: None)
    return seen


def test_a_post_that_overrides_to_get_becomes_that_get_with_its_form_as_query() -> None:
    form = b"filter=name+eq+x&alt=json"
    seen = _seen(
        HTTP_X_HTTP_METHOD_OVERRIDE="GET",
        CONTENT_TYPE="application/x-www-form-urlencoded",
        CONTENT_LENGTH=str(len(form)),
        **{"wsgi.input": io.BytesIO(form)},
    )
    assert (seen["REQUEST_METHOD"], seen["QUERY_STRING"]) == ("GET", form.decode())
    assert seen["wsgi.input"].read() == b""


def test_a_query_that_is_too_long_is_refused_and_never_cut() -> None:
    seen = _seen(
        HTTP_X_HTTP_METHOD_OVERRIDE="GET",
        CONTENT_TYPE="application/x-www-form-urlencoded",
        **{"wsgi.input": io.BytesIO(b"filter=" + b"x" * 300_000)},
    )
    assert seen[transport.REFUSAL].http == 413


def test_an_override_never_turns_a_get_into_a_mutation() -> None:
    seen = _seen(REQUEST_METHOD="GET", HTTP_X_HTTP_METHOD_OVERRIDE="DELETE")
    assert seen["REQUEST_METHOD"] == "GET"


def test_bytes_of_a_query_that_are_no_text_are_escaped() -> None:
    seen = _seen(
        HTTP_X_HTTP_METHOD_OVERRIDE="GET",
        CONTENT_TYPE="application/x-www-form-urlencoded",
        CONTENT_LENGTH="6",
        QUERY_STRING="alt=json&b=%20",
        **{"wsgi.input": io.BytesIO(b"a=\x1f\x8b\xff")},
    )
    assert seen["QUERY_STRING"] == "alt=json&b=%20&a=\x1f%8B%FF"
