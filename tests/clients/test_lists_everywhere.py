"""One table of lists, asked for with filters, limits and pages by every client: all get the same rows in one order.

Apart from each client's own file because it is the agreement that is tested. gcloud has a language of its own, which it
translates or applies by itself, and limits and sorts by itself; the libraries send what they are given and turn pages.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from google.cloud import compute_v1

from gstack.cloudstack.client import Cloud
from tests.waiting import until

STEM = "listed"
LETTERS = "abcde"


@dataclass(frozen=True)
class Case:
    """``filter`` as the API takes it, ``gcloud`` as its users write it; the letters of the names that pass, of which
    ``limit`` are asked for, ``page`` at a time."""

    gcloud: str
    filter: str
    letters: str = LETTERS
    page: int = 500
    limit: int | None = None

    @property
    def names(self) -> list[str]:
        return [f"{STEM}-{letter}" for letter in self.letters][: self.limit]

    @property
    def pages(self) -> list[list[str]]:
        names = [f"{STEM}-{letter}" for letter in self.letters]
        return [names[start : start + self.page] for start in range(0, len(names), self.page)]


PATTERN, OURS = f"name~^{STEM}-", f"name eq {STEM}-.*"
CASES = [
    Case(PATTERN, OURS),
    Case(PATTERN, OURS, page=1),
    Case(PATTERN, OURS, page=2),
    Case(PATTERN, OURS, page=5),
    Case(PATTERN, OURS, page=2, limit=3),
    Case(PATTERN, f'name = "{STEM}-*"', page=4, limit=1),
    Case(f"name={STEM}-c", f"name = {STEM}-c", letters="c"),
    Case(f"name={STEM}-c", rf'name eq ".*\b{STEM}\-c\b.*"', letters="c"),
    Case(f"name={STEM}-x", f"name eq ^{STEM}-x$", letters=""),
    Case(f"{PATTERN} AND NOT name={STEM}-c", f"({OURS}) (name ne {STEM}-c)", letters="abde", page=3),
    Case(f"name={STEM}-a OR name={STEM}-e", f"name = {STEM}-a OR name = {STEM}-e", letters="ae", page=1),
    Case(f"{PATTERN} AND id>0", f"name:{STEM}- AND id > 0", page=2),
    Case(f"{PATTERN} AND selfLink~-[ab]$", f"({OURS}) (selfLink eq .*-[ab])", letters="ab", page=1),
]
BOTH = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.filter}/{case.page}/{case.limit}")


@pytest.fixture(scope="module")
def listed(cloudstack: Cloud) -> Iterator[None]:
    """Five firewalls and five disks made by another tool, in no order; the disks in two zones."""
    groups = [
        cloudstack.call("createSecurityGroup", name=f"{STEM}-{letter}")["securitygroup"]["id"] for letter in "cadeb"
    ]
    zones = {row["name"]: row["id"] for row in cloudstack.list("listZones")}
    offering = cloudstack.list("listDiskOfferings")[0]["id"]
    for letter in "cadeb":
        # Scopes come in their order, so the first zone has the first letters.
        zone = zones["at-vie-1" if letter < "c" else "ch-gva-2"]
        cloudstack.call("createVolume", name=f"{STEM}-{letter}", zoneid=zone, diskofferingid=offering)
    volumes = until(lambda: _volumes(cloudstack))
    yield
    for group in groups:
        cloudstack.call("deleteSecurityGroup", id=group)
    for row in volumes:
        cloudstack.call("deleteVolume", id=row["id"])


def _volumes(cloudstack: Cloud) -> list[dict[str, Any]]:
    """The disks once all of them are there."""
    found = [row for row in cloudstack.list("listVolumes") if row["name"].startswith(f"{STEM}-")]
    return found if len(found) == len(LETTERS) else []


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize(
    ("collection", "case"),
    [
        pytest.param("firewall-rules", case, marks=() if case.limit else pytest.mark.long, id=f"firewall-rules-{case}")
        for case in CASES
    ]
    + [
        pytest.param("disks", case, marks=pytest.mark.long, id=f"disks-{case}")
        for case in CASES
        if case.limit or case.page == 3
    ],
)
def test_gcloud_filters_limits_and_pages(gcloud: Callable[..., Any], case: Case, collection: str) -> None:
    words = [f"--filter={case.gcloud}", f"--page-size={case.page}"]
    words += [f"--limit={case.limit}"] if case.limit else []
    rows = gcloud("compute", collection, "list", *words, as_json=True).json
    assert [row["name"] for row in rows] == case.names


@pytest.mark.usefixtures("listed")
def test_gcloud_sorts_by_itself(gcloud: Callable[..., Any]) -> None:
    rows = gcloud("compute", "firewall-rules", "list", f"--filter={PATTERN}", "--sort-by=~name", as_json=True).json
    assert [row["name"] for row in rows] == CASES[0].names[::-1]


@BOTH
@pytest.mark.usefixtures("listed")
def test_google_cloud_compute_filters_limits_and_pages(
    client: Callable[[str], Any], client_environment: dict[str, str], case: Case
) -> None:
    asked = {"project": client_environment["GSTACK_PROJECT"], "filter": case.filter, "max_results": case.page}
    firewalls = client("FirewallsClient")
    request = compute_v1.ListFirewallsRequest(**asked)
    pages = [[item.name for item in page.items] for page in firewalls.list(request).pages]
    found = islice(firewalls.list(request), case.limit)
    assert ([item.name for item in found], [page for page in pages if page]) == (case.names, case.pages)
    newest = firewalls.list(compute_v1.ListFirewallsRequest(**asked, order_by="creationTimestamp desc"))
    assert sorted(item.name for item in newest) == sorted(name for page in case.pages for name in page)


@BOTH
@pytest.mark.usefixtures("listed")
def test_google_cloud_compute_reads_aggregated_lists_alike(
    client: Callable[[str], Any], client_environment: dict[str, str], case: Case
) -> None:
    asked = {"project": client_environment["GSTACK_PROJECT"], "filter": case.filter, "max_results": case.page}
    pages = [
        [
            disk.name for scope in sorted(page.items) for disk in page.items[scope].disks
        ]  # a map of protobuf has no order
        for page in client("DisksClient").aggregated_list(compute_v1.AggregatedListDisksRequest(**asked)).pages
    ]
    assert [page for page in pages if page] == case.pages


@BOTH
@pytest.mark.usefixtures("listed")
def test_libcloud_filters_limits_and_pages(client_environment: dict[str, str], case: Case) -> None:
    driver = _driver(client_environment)
    found = driver.ex_list(driver.ex_list_firewalls).filter(case.filter).page(case.page)
    pages = [[item.name for item in page] for page in found]
    assert [page for page in pages if page] == case.pages
    assert [name for page in pages for name in page][: case.limit] == case.names


def _driver(environment: dict[str, str]) -> Any:
    security = importlib.import_module("libcloud.security")
    security.CA_CERTS_PATH = environment["SSL_CERT_FILE"]
    types = importlib.import_module("libcloud.compute.types")
    gce = importlib.import_module("libcloud.compute.providers").get_driver(types.Provider.GCE)

    class Gateway(gce):  # type: ignore[misc, valid-type]
        def _ex_connection_class_kwargs(self) -> dict[str, Any]:
            return {**super()._ex_connection_class_kwargs(), "url": environment["GSTACK_URL"]}

    key = Path(environment["GOOGLE_APPLICATION_CREDENTIALS"])
    return Gateway(
        json.loads(key.read_text())["client_email"],
        str(key),
        project=environment["GSTACK_PROJECT"],
        datacenter=environment["GSTACK_ZONE"],
        credential_file=str(key.parent / "libcloud-token"),
    )


def test_an_operation_that_was_deleted_is_gone_for_every_client(
    api: Any, client: Callable[[str], Any], client_environment: dict[str, str], fresh: Callable[[str], str]
) -> None:
    """The answer to the deletion is ``{}``: Google's library for Python cannot read an empty body."""
    body = {"name": fresh("gone"), "allowed": [{"IPProtocol": "tcp"}]}
    operation = api.done("POST", "global/firewalls", json=body)["name"]
    client("GlobalOperationsClient").delete(project=client_environment["GSTACK_PROJECT"], operation=operation)
    assert api("GET", f"global/operations/{operation}").status_code == 404
    api.done("DELETE", f"global/firewalls/{body['name']}")
