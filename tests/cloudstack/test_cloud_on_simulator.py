"""The client and the catalogue against the embedded CloudStack."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gstack.cloudstack.catalogue import Catalogue
from gstack.cloudstack.client import Cloud, Endpoint
from gstack.cloudstack.errors import CloudStackError, JobGone, Throttled, Unauthorized, Unavailable
from gstack.cloudstack.jobs import poll
from gstack.settings import Settings
from gstack.simulator import Server, Simulator
from gstack.translate.caller import Caller, Project
from gstack.translate.images import find as find_image
from gstack.translate.machine_types import find as find_machine_type
from gstack.translate.places import zone_of


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Server(Simulator(job_seconds=0)) as server:
        server.simulator.port = server.port
        yield server.simulator


@pytest.fixture
def settings(simulator) -> Settings:
    return Settings({"CLOUDSTACK_HOST": "127.0.0.1", "CLOUDSTACK_PORT": simulator.port})


@pytest.fixture
def endpoint(settings) -> Iterator[Endpoint]:
    endpoint = Endpoint(settings)
    yield endpoint
    endpoint.close()


@pytest.fixture
def tenant(simulator, endpoint) -> Cloud:
    return endpoint.cloud(*simulator.keys("tenant"), key="tenant")


@pytest.fixture
def caller(tenant, settings) -> Caller:
    project = Project("tenant", "tenant", None, "tenant", "d")
    return Caller("c", "tenant", tenant, Catalogue(settings), project, settings)


def test_a_signature_holds_for_awkward_values_by_get_and_by_post(tenant):
    for keyword in ("a *~b", "zürich ✓", "A/B+c=d&e", "x" * 250):
        assert tenant.list("listVolumes", keyword=keyword) == []
    made = tenant.call("createSecurityGroup", name="a *~ü", description="&=+ %")
    assert made["securitygroup"]["name"] == "a *~ü"


def test_a_wrong_secret_is_unauthorized(simulator, endpoint):
    key, _ = simulator.keys("tenant")
    with pytest.raises(Unauthorized):
        endpoint.cloud(key, "wrong", key="t").call("listZones")


def test_a_command_the_role_lacks_is_not_implemented(tenant):
    with pytest.raises(CloudStackError) as caught:
        tenant.call("listHosts")
    assert caught.value.kind == "notImplemented"


def test_a_job_is_followed_to_its_object(tenant):
    group = tenant.call("createSecurityGroup", name="g")["securitygroup"]
    answer = tenant.call(
        "authorizeSecurityGroupIngress",
        securitygroupid=group["id"],
        protocol="tcp",
        startport=22,
        endport=22,
        cidrlist=["10.0.0.0/8"],
    )
    job = poll(tenant, answer["jobid"])
    while job.pending:
        job = poll(tenant, answer["jobid"])
    assert job.done
    assert job.result["ingressrule"][0]["startport"] == 22


def test_an_unknown_job_is_gone(tenant):
    with pytest.raises(JobGone):
        poll(tenant, "11111111-2222-4333-8444-555555555555")


def test_a_throttled_call_says_when_to_come_back(simulator, tenant):
    simulator.faults.add("status", "listVolumes", code=429)
    with pytest.raises(Throttled) as caught:
        tenant.call("listVolumes")
    assert caught.value.retry_after == 1


def test_an_answer_that_is_lost_may_have_been_done(simulator, tenant):
    simulator.faults.add("lose", "createSecurityGroup")
    with pytest.raises(Unavailable) as caught:
        tenant.call("createSecurityGroup", name="lost")
    assert caught.value.sent is True
    assert tenant.first("listSecurityGroups", securitygroupname="lost") is not None


def test_what_an_account_may_do_comes_from_the_catalogue(caller):
    apis = caller.catalogue.apis(caller.cloud)
    assert "deployVirtualMachine" in apis
    assert "listHosts" not in apis


def test_googles_words_find_the_embedded_clouds_things(caller):
    assert zone_of(caller, "ch-gva-2").region == "ch-gva"
    image = find_image(caller, lambda images: images.newest("debian-cloud", "debian-12"))
    assert image.row["name"] == "Linux Debian 12 64-bit"
    assert find_machine_type(caller, "n1-standard-1").offering["name"] == "Medium"
    assert find_machine_type(caller, "n1-nothing") is None


def test_half_an_answer_is_asked_for_again_only_where_nothing_was_changed(simulator, tenant):
    simulator.faults.add("truncate", "listZones")
    simulator.faults.add("truncate", "createSecurityGroup")
    assert tenant.call("listZones")["count"] == 3
    with pytest.raises(Unavailable) as caught:
        tenant.call("createSecurityGroup", name="g")
    assert caught.value.sent
    assert tenant.count("listSecurityGroups", securitygroupname="g") == 1
