"""How CloudStack verifies a request and wraps an answer: what gstack.cloudstack.signing and client are built on."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from gstack.cloudstack.errors import Unauthorized
from gstack.cloudstack.signing import signature, signed

UNVERIFIED = "unable to verify user credentials and/or request signature"


def _signed(cloud, **params):
    return signed({"response": "json"} | params, *cloud.keys, datetime.now(UTC))


def _resigned(cloud, params, text):
    """The parameters with the signature of a client that builds the signed text in its own way."""
    digest = hmac.new(cloud.keys[1].encode(), text.lower().encode(), hashlib.sha1).digest()
    return params | {"signature": base64.b64encode(digest).decode()}


def _unsigned(cloud, **params):
    full = _signed(cloud, **params)
    del full["signature"]
    return full


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("value", ["*", "~", "a b+c", "x=y&z", "/?#[]@!$'(),;:", "zürich ✓", "%41", "A.b-c_D"])
def test_a_value_is_signed_as_java_encodes_it(cloud, value, method):
    answer = cloud.wire(method, _signed(cloud, command="listVolumes", keyword=f"gsc-none {value}"))
    assert (answer.status, answer.json()) == (200, {"listvolumesresponse": {}})


@pytest.mark.parametrize("value", ["*", "~"])
def test_a_value_signed_as_rfc_3986_encodes_it_is_refused(cloud, value):
    params = _unsigned(cloud, command="listVolumes", keyword=value)
    # RFC 3986 leaves ~ and encodes *; Java does the opposite.
    text = "&".join(f"{name}={quote(item, safe='~')}" for name, item in sorted(params.items()))
    assert cloud.wire("GET", _resigned(cloud, params, text)).status == 401


@pytest.mark.parametrize("name", ["Zed", "apiaaa", "signatureother", "EXPIRED"])
def test_names_are_sorted_with_their_case(cloud, name):
    answer = cloud.wire("GET", _signed(cloud, command="listVolumes", keyword="gsc-none", **{name: "1"}))
    assert answer.status == 200


def test_names_sorted_without_their_case_are_refused(cloud):
    params = _unsigned(cloud, command="listVolumes", Zed="1")
    text = "&".join(f"{name}={quote(params[name], safe='*')}" for name in sorted(params, key=str.lower))
    assert cloud.wire("GET", _resigned(cloud, params, text)).status == 401


def test_names_with_brackets_are_signed_as_they_are(cloud):
    params = {"tags[0].key": "gsc~none", "tags[0].value": "*"}
    assert cloud.wire("POST", _signed(cloud, command="listVolumes", **params)).json() == {"listvolumesresponse": {}}


def test_an_expired_signature_is_refused(cloud):
    past = signed({"response": "json", "command": "listZones"}, *cloud.keys, datetime.now(UTC) - timedelta(hours=1))
    answer = cloud.wire("GET", past)
    assert answer.status == 401
    assert answer.json()["listzonesresponse"]["errortext"] == UNVERIFIED


def test_a_wrong_secret_and_an_unknown_key_are_unauthorized(cloud):
    for keys in ((cloud.keys[0], "wrong"), ("nobody", cloud.keys[1])):
        with pytest.raises(Unauthorized):
            cloud.endpoint.cloud(*keys, key="x").call("listZones")


@pytest.mark.parametrize("command", ["listNothing", "listzones"])
def test_an_unknown_command_looks_like_a_bad_signature(cloud, command):
    answer = cloud.wire("GET", _signed(cloud, command=command))
    assert answer.status == 401
    assert answer.json()["errorresponse"]["errortext"] == UNVERIFIED


def test_a_command_the_role_lacks_is_432_and_not_in_the_list_of_commands(cloud):
    if cloud.has("listHosts"):
        pytest.skip("the account may do everything")
    answer = cloud.wire("GET", _signed(cloud, command="listHosts"))
    assert answer.status == 432
    assert answer.json()["errorresponse"]["errorcode"] == 432


def test_an_error_has_the_commands_wrapper_its_code_as_status_and_a_text(cloud):
    answer = cloud.wire("GET", _signed(cloud, command="listVirtualMachines", id="11111111-2222-4333-8444-555555555555"))
    error = answer.json()["listvirtualmachinesresponse"]
    assert (answer.status, error["errorcode"], error["uuidList"]) == (431, 431, [])
    assert "entity does not exist" in error["errortext"]


def test_a_parameter_nobody_knows_is_ignored(cloud):
    made = cloud.wire("POST", _signed(cloud, command="listZones", nonsense="1", id=cloud.zone["id"]))
    assert made.json()["listzonesresponse"]["count"] == 1


def test_a_control_character_is_refused(cloud):
    error = cloud.refused("listVolumes", keyword="a\x07b")
    assert (error.code, "illegal ASCII non-printable" in error.text) == (431, True)


def test_a_key_name_is_taken_in_either_case(cloud):
    params = _unsigned(cloud, command="listVolumes", keyword="gsc-none")
    params["apikey"] = params.pop("apiKey")
    params["signature"] = signature(params, cloud.keys[1])
    assert cloud.wire("GET", params).status == 200


def test_a_missing_parameter_and_a_malformed_number_are_431(cloud):
    assert cloud.refused("authorizeSecurityGroupIngress", protocol="tcp").code == 431
    assert cloud.refused("listVolumes", page="x", pagesize=1).code == 431


def test_a_long_form_is_taken_where_a_long_address_is_not(cloud):
    params = _signed(cloud, command="listVolumes", keyword="gsc-none", nonsense="x" * 9_000)
    assert cloud.wire("GET", params).status in (400, 414)
    assert cloud.wire("POST", params).json() == {"listvolumesresponse": {}}


def test_absent_members_are_left_out_and_never_null(cloud, machine):
    for command in ("listZones", "listServiceOfferings", "listVirtualMachines", "listVolumes", "listSecurityGroups"):
        for row in cloud.list(command):
            assert None not in row.values(), command
