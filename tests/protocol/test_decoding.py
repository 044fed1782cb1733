"""Request bodies as real clients send them."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gstack.errors import GceError
from gstack.protocol.decoding import DEPTH, read_body


def _read(data: bytes, expects_body: bool = True, **headers: str) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_body(data, named, expects_body=expects_body)


def _refused(data: bytes, expects_body: bool = True, **headers: str) -> GceError:
    with pytest.raises(GceError) as caught:
        _read(data, expects_body, **headers)
    return caught.value


@pytest.mark.parametrize("data", [b"", b'""', b'"ignored"', b"null", b"{}", b"  \n"])
def test_a_method_without_a_body_takes_what_clients_send_for_none(data: bytes) -> None:
    assert _read(data, expects_body=False) == {}


@pytest.mark.parametrize("data", [b"", b'""', b"null"])
def test_an_absent_body_is_an_empty_object(data: bytes) -> None:
    assert _read(data) == {}


def test_a_method_without_a_body_refuses_one_that_says_something() -> None:
    assert 'Unknown name "force"' in _refused(b'{"force": true}', expects_body=False).message


def test_null_members_stay_at_the_top_alone() -> None:
    assert _read(b'{"a": null, "b": {"c": null, "d": [{"e": null}]}}') == {"a": None, "b": {"d": [{}]}}


def test_of_a_member_given_twice_the_last_counts() -> None:
    assert _read(b'{"a": 1, "a": 2}') == {"a": 2}


@pytest.mark.parametrize("data", [b"[]", b"5", b'"x"', b"true"])
def test_what_is_no_object_is_refused(data: bytes) -> None:
    error = _refused(data)
    assert (error.http, error.message) == (
        400,
        "Invalid JSON payload received. The request body must be a JSON object.",
    )


@pytest.mark.parametrize("data", [b'{"a": 1', b"{'a': 1}", b'{"a": NaN}', b'{"a": -Infinity}', b"a=b", b'{"a": 01}'])
def test_what_is_no_json_is_refused_with_its_place(data: bytes) -> None:
    error = _refused(data)
    assert (error.kind, error.http) == ("parseError", 400)
    assert "at line 1, column " in error.message


def test_the_place_counts_lines() -> None:
    assert _refused(b'{"a": 1,\n "b": x}').message.endswith("at line 2, column 7.")


def test_nesting_is_bounded() -> None:
    deepest = b'{"a":' * DEPTH + b"1" + b"}" * DEPTH
    assert _read(deepest)
    assert "levels deep" in _refused(b'{"a":' + deepest + b"}").message
    assert _refused(b'{"a":' * 100_000).http == 400
    assert _refused(b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}").http == 400


def test_huge_numbers_are_read() -> None:
    assert _read(b'{"a": 18446744073709551615}') == {"a": 2**64 - 1}
    assert _read(b'{"a": 123456789012345678901234567890}')["a"] == pytest.approx(1.2345678901234568e29)


def test_a_body_above_the_limit_is_refused() -> None:
    error = _refused(b" " * (2**20 + 1))
    assert (error.http, error.kind) == (413, "uploadTooLarge")


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_compressed_bodies_are_read(pack: Any) -> None:
    name = "gzip" if pack is gzip.compress else "deflate"
    assert _read(pack(b'{"a": 1}'), Content_Encoding=name) == {"a": 1}


def test_a_compressed_body_counts_by_what_it_holds() -> None:
    assert _refused(gzip.compress(b" " * 50_000_000), Content_Encoding="gzip").http == 413


def test_compression_upon_compression_is_refused_beyond_two_layers() -> None:
    twice = gzip.compress(gzip.compress(b'{"a": 1}'))
    assert _read(twice, Content_Encoding="gzip, identity, gzip") == {"a": 1}
    assert "3 layers" in _refused(gzip.compress(twice), Content_Encoding="gzip, gzip, gzip").message


@pytest.mark.parametrize(
    "data",
    [b"no gzip", gzip.compress(b'{"a": 1}')[:-6], gzip.compress(b'{"a": 1}') + b"{}"],
    ids=["none", "cut", "with more behind it"],
)
def test_a_broken_compressed_body_is_refused(data: bytes) -> None:
    assert _refused(data, Content_Encoding="gzip").kind == "parseError"


def test_an_unknown_encoding_is_refused_by_name() -> None:
    assert "'br'" in _refused(b"x", Content_Encoding="br").message


@pytest.mark.parametrize(
    "content_type",
    ["", "application/json", "text/plain", "application/x-www-form-urlencoded", "nonsense; ;="],
)
def test_json_is_read_under_any_content_type(content_type: str) -> None:
    assert _read(b'{"a": "\xc3\xa9"}', Content_Type=content_type) == {"a": "é"}


@pytest.mark.parametrize("charset", ["iso-8859-1", "utf-16", "UTF-8", "utf-8-sig"])
def test_the_charset_is_heeded(charset: str) -> None:
    assert _read('{"a": "é"}'.encode(charset), Content_Type=f"application/json; charset={charset}") == {"a": "é"}


def test_a_byte_order_mark_is_skipped() -> None:
    assert _read(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_a_long_content_type_is_not_read_by_email_which_takes_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("email.message.Message.get_content_charset")
    assert _read(b"{}", Content_Type=f'application/json; x="{";" * 400_000}') == {}


def test_an_unknown_charset_is_refused_by_name() -> None:
    assert "'klingon'" in _refused(b"{}", Content_Type="application/json; charset=klingon").message


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-16", "application/json"])
def test_bytes_that_are_not_of_the_charset_are_refused(content_type: str) -> None:
    assert _refused(b'{"a": "\xff"}', Content_Type=content_type).kind == "parseError"


@pytest.mark.parametrize("charset", ["base64", "zlib", "hex", "rot13", "idna", "punycode"])
def test_codecs_that_are_no_charsets_are_no_way_in(charset: str) -> None:
    assert _refused(b"789c", Content_Type=f"application/json; charset={charset}").http == 400


def test_a_charset_that_takes_minutes_to_read_is_not_read() -> None:
    assert "'punycode' is not supported" in _refused(b"a-b", Content_Type="application/json; charset=punycode").message


def test_a_charset_that_is_no_text_is_refused() -> None:
    assert _refused(b"{}", Content_Type="application/json; charset*=utf-8''a%00b").http == 400


@given(st.binary(max_size=40))
def test_whatever_comes_is_an_object_or_refused(data: bytes) -> None:
    for content_type in ("application/json", "text/plain; charset=utf-16"):
        try:
            assert isinstance(_read(data, Content_Type=content_type), dict)
        except GceError as error:
            assert error.http in (400, 413)


@given(st.dictionaries(st.text(max_size=4), st.integers(-(2**63), 2**63) | st.text(max_size=4) | st.booleans()))
def test_what_python_writes_is_read_back(value: dict[str, Any]) -> None:
    assert _read(json.dumps(value, ensure_ascii=False).encode()) == value


def test_where_there_is_no_byte_no_header_says_anything_about_it() -> None:
    assert _read(b"", Content_Encoding="br", Content_Type="text/plain; charset=klingon") == {}
