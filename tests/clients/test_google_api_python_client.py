"""google-api-python-client: the static document with an endpoint, our served document, and batches.

Apart from google-cloud-compute because it knows no operations, exchanges its tokens and asks Google's own host for
batches, unless the document says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import google.auth
import pytest
import requests
from google.auth.transport.requests import Request
from googleapiclient import discovery
from googleapiclient.errors import HttpError

from gstack.cloudstack.client import Cloud


@pytest.fixture(autouse=True)
def authorities(client_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """httplib2 reads HTTPLIB2_CA_CERTS when it is imported, which is before the demo runs."""
    monkeypatch.setattr("httplib2.CA_CERTS", client_environment["HTTPLIB2_CA_CERTS"])


@pytest.fixture
def served(client_environment: dict[str, str], api: Any) -> Iterator[Any]:
    """A client built from the document that the gateway serves."""
    credentials, _ = google.auth.default(["https://www.googleapis.com/auth/compute"])
    with requests.Session() as session:
        credentials.refresh(Request(session))  # a batch would do it over a connection that it never closes
    text = api("GET", "/discovery/v1/apis/compute/v1/rest").text
    client = discovery.build_from_document(text, credentials=credentials)
    yield client
    client.close()


def _wait(client: Any, place: dict[str, str], operation: dict[str, Any]) -> dict[str, Any]:
    """The operation, DONE: what the samples of Google's documentation do."""
    while operation["status"] != "DONE":
        where = {"project": place["project"]} if "zone" not in operation else place
        waiter = client.zoneOperations() if "zone" in operation else client.globalOperations()
        operation = waiter.wait(**where, operation=operation["name"]).execute()
    return operation


@pytest.mark.parametrize("path", ["/compute/v1/", "/compute/v1", "/", ""])
def test_every_form_of_the_endpoint_works(client_environment: dict[str, str], path: str) -> None:
    options = {"api_endpoint": client_environment["GSTACK_URL"] + path}
    with discovery.build("compute", "v1", client_options=options) as client:
        answer = client.zones().list(project=client_environment["GSTACK_PROJECT"]).execute()
    assert "ch-gva-2" in [zone["name"] for zone in answer["items"]]


def test_the_discovery_service_may_be_the_gateway(client_environment: dict[str, str]) -> None:
    url = client_environment["GSTACK_URL"] + "/discovery/v1/apis/{api}/{apiVersion}/rest"
    with discovery.build("compute", "v1", discoveryServiceUrl=url, static_discovery=False) as client:
        answer = client.regions().list(project=client_environment["GSTACK_PROJECT"]).execute()
    assert "ch-gva" in [region["name"] for region in answer["items"]]


def test_images_are_listed_and_found_by_their_family(served: Any) -> None:
    newest = served.images().getFromFamily(project="debian-cloud", family="debian-12").execute()
    listed = served.images().list(project="debian-cloud", filter="family = debian-12").execute()["items"]
    assert [row["selfLink"] for row in listed] == [newest["selfLink"]]


def test_lists_are_paged_with_list_next(served: Any, client_environment: dict[str, str]) -> None:
    place = {"project": client_environment["GSTACK_PROJECT"], "zone": client_environment["GSTACK_ZONE"]}
    names: list[str] = []
    request = served.machineTypes().list(**place, maxResults=4)
    while request is not None:
        answer = request.execute()
        names += [entry["name"] for entry in answer["items"]]
        request = served.machineTypes().list_next(request, answer)
    assert len(names) == len(set(names)) > 4


def test_a_batch_answers_each_of_its_requests(served: Any, client_environment: dict[str, str]) -> None:
    project = client_environment["GSTACK_PROJECT"]
    answers: dict[str, Any] = {}
    batch = served.new_batch_http_request(callback=lambda key, row, error: answers.update({key: row or error}))
    batch.add(served.zones().get(project=project, zone="ch-gva-2"), request_id="good")
    batch.add(served.zones().get(project=project, zone="mars-a"), request_id="bad")
    batch.execute()
    assert answers["good"]["name"] == "ch-gva-2"
    assert isinstance(answers["bad"], HttpError)
    assert answers["bad"].status_code == 404


def test_a_long_query_moves_into_the_body_and_changes_nothing(served: Any, client_environment: dict[str, str]) -> None:
    text = " OR ".join(f'(name="machine-{number}")' for number in range(100)) + ' OR (name="micro")'
    place = {"project": client_environment["GSTACK_PROJECT"], "zone": client_environment["GSTACK_ZONE"]}
    answer = served.machineTypes().list(**place, filter=text).execute()
    assert [entry["name"] for entry in answer["items"]] == ["micro"]


def _instance(name: str, place: dict[str, str]) -> dict[str, Any]:
    image = "projects/debian-cloud/global/images/family/debian-12"
    return {
        "name": name,
        "machineType": f"zones/{place['zone']}/machineTypes/micro",
        "disks": [{"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": image}}],
        "networkInterfaces": [{"network": "global/networks/default", "accessConfigs": [{"type": "ONE_TO_ONE_NAT"}]}],
    }


def test_an_instance_is_inserted_and_deleted(
    served: Any, client_environment: dict[str, str], cloudstack: Cloud, fresh: Callable[[str], str]
) -> None:
    place = {"project": client_environment["GSTACK_PROJECT"], "zone": client_environment["GSTACK_ZONE"]}
    name = fresh("gapi")
    body = _instance(name, place)
    done = _wait(served, place, served.instances().insert(**place, body=body).execute())
    assert "error" not in done
    assert [row["name"] for row in cloudstack.list("listVirtualMachines", name=name)] == [name]
    assert served.instances().get(**place, instance=name).execute()["status"] == "RUNNING"
    assert name in [row["name"] for row in served.instances().list(**place).execute()["items"]]
    scopes = served.instances().aggregatedList(project=place["project"]).execute()["items"]
    assert name in [row["name"] for row in scopes[f"zones/{place['zone']}"]["instances"]]
    done = _wait(served, place, served.instances().delete(**place, instance=name).execute())
    assert "error" not in done
    assert cloudstack.list("listVirtualMachines", name=name) == []


def test_a_machine_and_its_disks_change(
    served: Any, client_environment: dict[str, str], cloudstack: Cloud, fresh: Callable[[str], str]
) -> None:
    place = {"project": client_environment["GSTACK_PROJECT"], "zone": client_environment["GSTACK_ZONE"]}
    name, data, snap = fresh("day"), fresh("data"), fresh("snap")
    instances, disks = served.instances(), served.disks()

    def done(request: Any) -> None:
        assert "error" not in _wait(served, place, request.execute())

    done(instances.insert(**place, body=_instance(name, place)))
    made = instances.get(**place, instance=name).execute()
    labels = {"labelFingerprint": made["labelFingerprint"], "labels": {"stage": "live"}}
    done(instances.setLabels(**place, instance=name, body=labels))
    done(instances.setTags(**place, instance=name, body={"fingerprint": made["tags"]["fingerprint"], "items": ["web"]}))
    metadata = {"fingerprint": made["metadata"]["fingerprint"], "items": [{"key": "stage", "value": "live"}]}
    done(instances.setMetadata(**place, instance=name, body=metadata))
    made = instances.get(**place, instance=name).execute()
    assert (made["labels"], made["tags"]["items"]) == ({"stage": "live"}, ["web"])
    assert made["metadata"]["items"] == [{"key": "stage", "value": "live"}]

    done(disks.insert(**place, body={"name": data, "sizeGb": 10}))
    source = f"zones/{place['zone']}/disks/{data}"
    done(instances.attachDisk(**place, instance=name, body={"source": source, "deviceName": "data"}))
    machine = cloudstack.list("listVirtualMachines", name=name)[0]["id"]
    assert data in [row["name"] for row in cloudstack.list("listVolumes", virtualmachineid=machine)]
    done(disks.createSnapshot(**place, disk=data, body={"name": snap}))
    assert [row["state"] for row in cloudstack.list("listSnapshots", name=snap)] == ["BackedUp"]
    done(instances.detachDisk(**place, instance=name, deviceName="data"))
    assert data not in [row["name"] for row in cloudstack.list("listVolumes", virtualmachineid=machine)]
    done(instances.stop(**place, instance=name))
    assert instances.get(**place, instance=name).execute()["status"] == "TERMINATED"
    done(instances.start(**place, instance=name))
    assert instances.get(**place, instance=name).execute()["status"] == "RUNNING"
    done(instances.delete(**place, instance=name))
    done(disks.delete(**place, disk=data))
    done(served.snapshots().delete(project=place["project"], snapshot=snap))
    assert cloudstack.list("listSnapshots", name=snap) == []


def test_a_firewall_is_inserted_and_deleted(
    served: Any, client_environment: dict[str, str], cloudstack: Cloud, fresh: Callable[[str], str]
) -> None:
    project, name = client_environment["GSTACK_PROJECT"], fresh("web")
    body = {"name": name, "allowed": [{"IPProtocol": "tcp", "ports": ["80"]}]}
    firewalls = served.firewalls()
    assert "error" not in _wait(served, {"project": project}, firewalls.insert(project=project, body=body).execute())
    assert cloudstack.first("listSecurityGroups", securitygroupname=name) is not None
    done = _wait(served, {"project": project}, firewalls.delete(project=project, firewall=name).execute())
    assert "error" not in done
    assert cloudstack.first("listSecurityGroups", securitygroupname=name) is None


def test_an_operation_that_fails_says_so(
    served: Any, client_environment: dict[str, str], fresh: Callable[[str], str]
) -> None:
    place = {"project": client_environment["GSTACK_PROJECT"], "zone": client_environment["GSTACK_ZONE"]}
    body = _instance(fresh("giant"), place)
    body["machineType"] = body["machineType"].replace("micro", "titan-does-not-fit")
    failed = _wait(served, place, served.instances().insert(**place, body=body).execute())
    assert failed["httpErrorStatusCode"] == 503
    assert "No destination found" in failed["error"]["errors"][0]["message"]


def test_a_refusal_carries_the_sentence(served: Any) -> None:
    with pytest.raises(HttpError, match="The resource 'projects/somebody-elses' was not found") as caught:
        served.zones().list(project="somebody-elses").execute()
    assert caught.value.status_code == 404
