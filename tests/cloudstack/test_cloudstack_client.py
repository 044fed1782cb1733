"""What goes over the wire to CloudStack, and what comes back."""

from __future__ import annotations

import pickle
import socket
import threading
from datetime import UTC, datetime

import pytest
from urllib3 import HTTPConnectionPool

from gstack.cloudstack import signing
from gstack.cloudstack.client import Cloud
from gstack.cloudstack.errors import CloudStackError, Throttled, Unauthorized, Unavailable
from gstack.cloudstack.trace import trace
from gstack.errors import GceError
from gstack.settings import SettingsError


def test_a_call_returns_what_is_inside_the_envelope(fake, cloud):
    fake.answers["listZones"] = {"count": 1, "zone": [{"id": "z"}]}
    assert cloud.call("listZones", available=True) == {"count": 1, "zone": [{"id": "z"}]}
    assert fake.params() == {"available": "true"}


def test_every_request_is_signed_with_version_3_and_an_expiry_ahead(fake, cloud):
    cloud.call("listZones", name="a *~/é")
    sent = dict(fake.seen[-1][1])
    signature = sent.pop("signature")
    assert signature == signing.signature(sent, "the-secret-key")
    assert sent["signatureVersion"] == "3"
    expires = datetime.strptime(sent["expires"], "%Y-%m-%dT%H:%M:%S%z")
    assert 500 < (expires - datetime.now(UTC)).total_seconds() <= 600


def test_short_reads_are_got_and_long_ones_posted(fake, cloud):
    cloud.call("listZones")
    cloud.call("listVirtualMachines", ids=["x" * 36] * 60)
    assert [seen[0] for seen in fake.seen] == ["GET", "POST"]


def test_whatever_changes_something_is_posted(fake, cloud):
    cloud.call("deployVirtualMachine", name="a", userdata="c2VjcmV0")
    assert fake.seen[-1][0] == "POST"


def test_lists_maps_and_details_become_cloudstacks_forms(fake, cloud):
    cloud.call("createTags", resourceids=["a", "b"], resourcetype="UserVm", tags=[{"key": "k", "value": "v w"}])
    assert fake.params() == {
        "resourceids": "a,b",
        "resourcetype": "UserVm",
        "tags[0].key": "k",
        "tags[0].value": "v w",
    }
    cloud.call("deployVirtualMachine", details={"cpuNumber": 2, "memory": 512}, startvm=False, name=None)
    assert fake.params() == {"details[0].cpuNumber": "2", "details[0].memory": "512", "startvm": "false"}


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        ("listZone", {}, "did you mean 'listZones'"),
        ("listZones", {"nam": "x"}, "did you mean 'name'"),
        ("createTags", {"tags": "x"}, "needs a dictionary"),
        ("listZones", {"name": ["x"]}, "is no list"),
        ("listZones", {"name": object()}, "takes no object"),
    ],
)
def test_a_name_or_form_that_cloudstack_does_not_know_is_a_bug_of_ours(fake, cloud, name, params, words):
    with pytest.raises(ValueError, match=words):
        cloud.call(name, **params)
    assert fake.seen == []


def test_a_comma_in_a_list_is_refused_rather_than_read_as_two(cloud):
    with pytest.raises(GceError, match="comma"):
        cloud.call("deployVirtualMachine", securitygroupnames=["a,b"])


def test_projectid_is_added_only_where_the_command_takes_it(fake, cloud):
    scoped = cloud.within("p-1")
    scoped.call("listZones")
    scoped.call("listVolumes")
    scoped.call("listVolumes", projectid=None)
    scoped.call("listVolumes", account="a", domainid="d")
    scoped.call("assignVolume", volumeid="v")
    assert ["projectid" in seen[1] for seen in fake.seen] == [False, True, False, False, False]


def test_the_key_for_caches_tells_accounts_and_projects_apart(cloud):
    assert cloud.key == "tenant"
    assert cloud.within("p").key == "tenant/p"
    assert cloud.within("p").within(None).key == "tenant"


def test_list_fetches_every_page_in_order(fake, cloud):
    machines = [{"id": str(number)} for number in range(1100)]

    def answer(params):
        start = (int(params["page"]) - 1) * int(params["pagesize"])
        return {"count": len(machines), "virtualmachine": machines[start : start + 500]}

    fake.answers["listVirtualMachines"] = answer
    assert cloud.list("listVirtualMachines") == machines
    assert [seen[1]["page"] for seen in fake.seen] == ["1", "2", "3"]


def test_list_goes_on_after_a_page_that_lost_rows_and_drops_rows_that_come_twice(fake, cloud):
    pages = {"1": [{"id": str(n)} for n in range(499)], "2": [{"id": "498"}, {"id": "new"}]}
    fake.answers["listVolumes"] = lambda params: {"count": 501, "volume": pages[params["page"]]}
    assert [row["id"] for row in cloud.list("listVolumes")] == [*map(str, range(499)), "new"]


def test_an_empty_list_has_no_array_and_no_count(fake, cloud):
    assert cloud.list("listVolumes") == []
    assert cloud.first("listVolumes") is None
    assert cloud.count("listVolumes") == 0


def test_asking_for_no_ids_asks_nothing(fake, cloud):
    assert cloud.list("listVolumes", ids=[]) == []
    assert fake.seen == []


def test_a_list_without_paging_is_asked_once(fake, cloud):
    fake.answers["listHypervisors"] = {"count": 1, "hypervisor": [{"name": "KVM"}]}
    assert cloud.list("listHypervisors") == [{"name": "KVM"}]
    assert fake.params() == {}


def test_first_and_count_ask_for_one_row(fake, cloud):
    fake.answers["listVolumes"] = {"count": 7, "volume": [{"id": "a"}]}
    assert cloud.first("listVolumes") == {"id": "a"}
    assert cloud.count("listVolumes") == 7
    assert fake.params() == {"page": "1", "pagesize": "1"}


def test_calls_run_side_by_side_with_results_in_order_and_in_the_same_trace(fake, cloud):
    both = threading.Barrier(2, timeout=30)
    fake.answers["listVolumes"] = lambda _: [both.wait(), {"count": 1, "volume": [{"id": "v"}]}][1]
    fake.answers["getApiLimit"] = lambda _: [both.wait(), {"apilimit": {}}][1]
    with trace() as calls:
        assert cloud.together(("listVolumes", {}), ("getApiLimit", {})) == [[{"id": "v"}], {"apilimit": {}}]
    assert {(call.command, call.status) for call in calls} == {("listVolumes", "200"), ("getApiLimit", "200")}


def test_of_calls_side_by_side_the_first_failure_is_raised(fake, cloud):
    fake.answers["listVolumes"] = (431, {"errorcode": 431, "errortext": "first"})
    fake.answers["listZones"] = (431, {"errorcode": 431, "errortext": "second"})
    with pytest.raises(CloudStackError, match="first"):
        cloud.together(("listVolumes", {}), ("listZones", {}))


def test_connections_are_kept_and_cookies_never(fake, cloud, monkeypatch):
    opened = []
    monkeypatch.setattr("socket.socket.connect", _counting(socket.socket.connect, opened))
    for _ in range(3):
        cloud.call("listZones")
    assert len(opened) == 1
    assert all("Cookie" not in seen[2] for seen in fake.seen)


def _counting(function, log):
    def counted(*args):
        log.append(args)
        return function(*args)

    return counted


def test_an_error_carries_cloudstacks_code_and_words(fake, cloud):
    fake.answers["deleteVolume"] = (
        431,
        {"errorcode": 431, "cserrorcode": 4350, "errortext": "Unable to find it"},
    )
    with pytest.raises(CloudStackError) as caught:
        cloud.call("deleteVolume", id="v")
    error = caught.value
    assert (error.code, error.cscode, error.command, error.kind) == (431, 4350, "deleteVolume", "notFound")
    assert error.text == "Unable to find it"


def test_a_bad_key_is_unauthorized(fake, cloud):
    fake.answers["listZones"] = (401, {"errorcode": 401, "errortext": "unable to verify user credentials"})
    with pytest.raises(Unauthorized) as caught:
        cloud.call("listZones")
    assert caught.value.http == 401


def test_throttling_says_when_to_come_back(fake, cloud):
    fake.answers["listZones"] = (429, {"errorcode": 429, "errortext": "limit, please retry after [1335] ms."})
    with pytest.raises(Throttled) as caught:
        cloud.call("listZones")
    assert (caught.value.kind, caught.value.retry_after) == ("rateLimitExceeded", 2)


@pytest.mark.parametrize(
    "answer", [(503, b"<html>busy</html>"), (200, b"garbage"), (200, b"[]"), (200, b"{}"), (302, b"")]
)
def test_what_is_no_answer_of_the_api_is_unavailable(fake, cloud, answer):
    fake.answers["createVolume"] = answer
    with pytest.raises(Unavailable) as caught:
        cloud.call("createVolume")
    assert (caught.value.http, caught.value.sent) == (503, True)
    assert caught.value.retry_after


def test_a_refused_connection_is_unavailable_and_nothing_was_sent(make_endpoint):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        cloud = make_endpoint(CLOUDSTACK_PORT=closed.getsockname()[1]).cloud("k", "s", key="t")
        with pytest.raises(Unavailable) as caught, trace() as calls:
            cloud.call("listZones")
    assert caught.value.sent is False
    assert [call.status for call in calls] == ["refused", "refused"]


def test_a_name_that_does_not_resolve_is_unavailable_and_nothing_was_sent(make_endpoint):
    with pytest.raises(Unavailable) as caught:
        make_endpoint(CLOUDSTACK_HOST="cloudstack.invalid").cloud("k", "s", key="t").call("createVolume")
    assert caught.value.sent is False


def test_a_cut_read_is_tried_once_more(fake, cloud):
    answers = iter(["cut", {"count": 0}])
    fake.answers["listZones"] = lambda _: next(answers)
    assert cloud.call("listZones") == {"count": 0}


def test_a_cut_change_is_not_repeated_and_may_have_been_done(fake, cloud):
    fake.answers["createVolume"] = "cut"
    with pytest.raises(Unavailable) as caught, trace() as calls:
        cloud.call("createVolume")
    assert caught.value.sent is True
    assert len(fake.seen) == 1
    assert [call.status for call in calls] == ["cut"]


def test_a_server_that_hangs_runs_into_the_read_timeout_once(fake, make_endpoint):
    fake.answers["listZones"] = "hang"
    cloud = make_endpoint(CLOUDSTACK_READ_TIMEOUT=0.05).cloud("k", "s", key="t")
    with pytest.raises(Unavailable, match="in time") as caught, trace() as calls:
        cloud.call("listZones")
    assert caught.value.sent is True
    assert [call.status for call in calls] == ["timeout"]


def test_connecting_and_each_read_have_their_own_time_and_the_whole_has_none(fake, make_endpoint, monkeypatch):
    given, urlopen = [], HTTPConnectionPool.urlopen

    def noting(pool, *arguments, timeout, **more):
        given.append(timeout)
        return urlopen(pool, *arguments, timeout=timeout, **more)

    monkeypatch.setattr(HTTPConnectionPool, "urlopen", noting)
    cloud = make_endpoint(CLOUDSTACK_CONNECT_TIMEOUT=30, CLOUDSTACK_READ_TIMEOUT=70).cloud("k", "s", key="t")
    cloud.call("listZones")
    cloud.call("createVolume")
    assert [(one.connect_timeout, one.read_timeout, one.total) for one in given] == [(30, 70, None)] * 2


def test_a_body_that_cloudstack_would_answer_with_404_is_refused_before(fake, cloud):
    with pytest.raises(CloudStackError, match="1 MiB") as caught:
        cloud.call("deployVirtualMachine", userdata="x" * 1_048_576)
    assert (caught.value.http, fake.seen) == (413, [])


def test_keys_show_in_no_repr_and_no_error(fake, cloud):
    fake.answers["listZones"] = lambda params: (
        431,
        {
            "errorcode": 431,
            "errortext": f"no {params['apiKey']} the-secret-key signature={params['signature']}",
        },
    )
    with pytest.raises(CloudStackError) as caught:
        cloud.call("listZones")
    shown = repr(cloud) + repr(caught.value) + caught.value.message + repr(cloud.endpoint)
    assert "the-api-key" not in shown
    assert "the-secret-key" not in shown
    assert fake.seen[-1][1]["signature"] not in shown


def test_a_lost_answer_shows_no_signed_url(fake, make_endpoint):
    fake.answers["listZones"] = "cut"
    with pytest.raises(Unavailable) as caught:
        make_endpoint().cloud("the-api-key", "s", key="t").call("listZones")
    shown, error = "", caught.value
    while error is not None and not error.__suppress_context__:
        shown, error = shown + repr(error), error.__context__
    assert "the-api-key" not in shown


def test_a_cloud_is_never_pickled(cloud: Cloud):
    with pytest.raises(TypeError, match="never serialised"):
        pickle.dumps(cloud)


def test_the_process_environment_cannot_redirect_or_weaken_the_connection(fake, make_endpoint, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    assert make_endpoint().cloud("k", "s", key="t").call("listZones") == {}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((401, {"errorcode": 401, "errortext": "unable to verify user credentials"}), None),
        ((200, b"<html>welcome</html>"), "What answers there is not CloudStack's API."),
        ("cut", "The connection to CloudStack was cut before the answer was complete."),
    ],
    ids=["CloudStack", "something else", "nothing"],
)
def test_what_answers_without_keys_tells_whether_it_is_cloudstack(fake, make_endpoint, answer, said):
    fake.answers["listCapabilities"] = answer
    assert make_endpoint().trouble() == said


def test_a_ca_file_that_cannot_be_read_is_a_settings_error(make_endpoint, tmp_path):
    with pytest.raises(SettingsError, match="CLOUDSTACK_CA_FILE"):
        make_endpoint(CLOUDSTACK_CA_FILE=str(tmp_path / "none.pem"))


def test_a_host_that_is_none_is_a_settings_error(make_endpoint):
    with pytest.raises(SettingsError, match="CLOUDSTACK_HOST"):
        make_endpoint(CLOUDSTACK_HOST="cloud[stack")
