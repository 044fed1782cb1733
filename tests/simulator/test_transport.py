"""HTTP, signatures and envelopes, over a real socket."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
import requests
from sim_cloud import ZONE

from gstack.simulator import Server, Simulator, sign

FAILED = "unable to verify user credentials and/or request signature"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(Simulator(job_seconds=0)) as running:
        yield running


@pytest.fixture(autouse=True)
def no_faults(server: Server) -> Iterator[None]:
    yield
    server.simulator.faults.clear()


def signed(server: Server, **params: str) -> dict[str, str]:
    key, secret = server.simulator.keys("tenant")
    params = {"response": "json", "apiKey": key, **params}
    return {**params, "signature": sign(params, secret)}


def get(server: Server, **params: str) -> requests.Response:
    return requests.get(server.url, params=signed(server, **params), timeout=30)


def test_get_and_post_answer_the_same(server: Server) -> None:
    params = signed(server, command="listZones")
    posted = requests.post(server.url, data=params, timeout=30)
    assert posted.json() == requests.get(server.url, params=params, timeout=30).json()
    assert posted.headers["Content-Type"] == "application/json;charset=utf-8"


def test_answers_carry_neither_date_nor_server(server: Server) -> None:
    assert not {"Date", "Server"} & set(get(server, command="listZones").headers)


def test_parameters_may_be_split_over_query_and_body(server: Server) -> None:
    params = signed(server, command="listZones", name="ch-gva-2")
    body = {"name": params.pop("name")}
    assert requests.post(server.url, params=params, data=body, timeout=30).json()["listzonesresponse"]["count"] == 1


def test_the_last_of_two_equal_parameters_wins(server: Server) -> None:
    params = signed(server, command="listZones", name="ch-gva-2")
    answer = requests.get(server.url, params=[("name", "zzz"), *params.items()], timeout=30)
    assert answer.json()["listzonesresponse"]["count"] == 1


@pytest.mark.parametrize("value", ["a*b", "a~b", "a b", "zürich ✓", "A/B+C"])
def test_values_are_encoded_as_java_does(server: Server, value: str) -> None:
    assert get(server, command="listZones", keyword=value).json() == {"listzonesresponse": {}}


def test_names_are_sorted_with_their_case(server: Server) -> None:
    assert get(server, command="listZones", Zed="1", available="true").status_code == 200


def test_a_bad_signature_is_refused_under_the_wrapper_of_the_command(server: Server) -> None:
    params = {**signed(server, command="listZones"), "signature": "bad"}
    answer = requests.get(server.url, params=params, timeout=30)
    assert answer.status_code == 401
    assert answer.json() == {"listzonesresponse": {"uuidList": [], "errorcode": 401, "errortext": FAILED}}
    assert "X-Description" not in answer.headers


def test_an_unknown_command_is_401_and_not_432(server: Server) -> None:
    answer = get(server, command="nope")
    assert answer.status_code == 401
    assert list(answer.json()) == ["errorresponse"]


def test_no_command_at_all_has_the_wrapper_null(server: Server) -> None:
    assert list(get(server, name="x").json()) == ["null"]


@pytest.mark.parametrize("command", ["listHosts", "createRemoteAccessVpn"])
def test_forbidden_and_unimplemented_commands_are_432(server: Server, command: str) -> None:
    answer = get(server, command=command)
    assert answer.status_code == 432
    assert answer.json()["errorresponse"]["cserrorcode"] == 9999


@pytest.mark.parametrize(("shift", "status"), [(600, 200), (-60, 401)])
def test_version_three_needs_a_future_date(server: Server, shift: int, status: int) -> None:
    expires = time.strftime("%Y-%m-%dT%H:%M:%S+0000", time.gmtime(time.time() + shift))
    assert get(server, command="listZones", signatureVersion="3", expires=expires).status_code == status


def test_version_three_without_a_date_is_refused(server: Server) -> None:
    assert get(server, command="listZones", signatureVersion="3").status_code == 401


def test_xml_is_the_default(server: Server) -> None:
    answer = get(server, command="listZones", response="xml")
    assert answer.headers["Content-Type"] == "text/xml;charset=utf-8"
    assert answer.text.startswith('<?xml version="1.0" encoding="UTF-8"?><listzonesresponse cloud-stack-version="4.22')
    assert f"<zone><id>{ZONE}</id>" in answer.text


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_other_methods_are_405_without_a_body(server: Server, method: str) -> None:
    answer = requests.request(method, server.url, timeout=30)
    assert (answer.status_code, answer.content) == (405, b"")


def test_an_overlong_target_is_414_and_an_overlong_form_404(server: Server) -> None:
    assert requests.get(server.url + "?x=" + "y" * 8_200, timeout=30).status_code == 414
    assert requests.post(server.url, data={"x": "y" * 1_048_600}, timeout=30).status_code == 404


def test_a_connection_is_kept(server: Server) -> None:
    with requests.Session() as session:
        for _ in range(3):
            answer = session.get(server.url, params=signed(server, command="listZones"), timeout=30)
            assert answer.headers.get("Connection", "keep-alive").lower() != "close"


def test_faults_cut_lose_and_garble(server: Server) -> None:
    faults = server.simulator.faults
    faults.add("cut", "listZones")
    with pytest.raises(requests.ConnectionError):
        get(server, command="listZones")
    faults.add("lose", "createSecurityGroup")
    with pytest.raises(requests.ConnectionError):
        get(server, command="createSecurityGroup", name="done")
    groups = get(server, command="listSecurityGroups", securitygroupname="done").json()["listsecuritygroupsresponse"]
    assert groups["count"] == 1
    faults.add("garbage", "listZones")
    with pytest.raises(json.JSONDecodeError):
        get(server, command="listZones").json()


def test_a_status_fault_carries_its_text_and_passes(server: Server) -> None:
    server.simulator.faults.add("status", "list*", code=429, times=2)
    answers = [get(server, command="listZones") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert "please retry after" in answers[0].json()["listzonesresponse"]["errortext"]


def test_control_is_closed_unless_asked_for(server: Server) -> None:
    assert requests.get(server.url.replace("/client/api", "/control/keys"), timeout=30).status_code == 404
    with Server(Simulator(job_seconds=0), control=True) as open_one:
        keys = requests.get(open_one.url.replace("/client/api", "/control/keys"), timeout=30).json()
        assert keys["tenant"] == list(open_one.simulator.keys("tenant"))
