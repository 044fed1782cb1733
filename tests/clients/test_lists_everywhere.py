"""One list, asked for with filters, limits and small pages by every client: all get the same rows in the same order.

Apart from each client's own file because it is the agreement that is tested. gcloud limits and sorts by itself; the
libraries turn pages.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.cloud import compute_v1

from gstack.cloudstack.client import Cloud

STEM = "listed"
WANTED = [f"{STEM}-{letter}" for letter in "abcde"]
FILTER = f"name eq {STEM}-.*"


@pytest.fixture
def listed(cloudstack: Cloud) -> Iterator[list[str]]:
    """Five firewalls made by another tool, in no order."""
    made = [
        cloudstack.call("createSecurityGroup", name=name)["securitygroup"]["id"]
        for name in (f"{STEM}-{letter}" for letter in "cadeb")
    ]
    yield WANTED
    for group in made:
        cloudstack.call("deleteSecurityGroup", id=group)


def test_gcloud_filters_limits_and_pages(gcloud: Callable[..., Any], listed: list[str]) -> None:
    def names(*words: str) -> list[str]:
        rows = gcloud("compute", "firewall-rules", "list", f"--filter=name~^{STEM}-", *words, as_json=True).json
        return [row["name"] for row in rows]

    assert names("--page-size=2") == listed
    assert names("--limit=3", "--page-size=2") == listed[:3]
    assert names("--sort-by=~name") == listed[::-1]


def test_google_cloud_compute_filters_and_pages(client_environment: dict[str, str], listed: list[str]) -> None:
    client = compute_v1.FirewallsClient(client_options={"api_endpoint": client_environment["GSTACK_URL"]})
    asked = {"project": client_environment["GSTACK_PROJECT"], "filter": FILTER, "max_results": 2}
    pages = list(client.list(compute_v1.ListFirewallsRequest(**asked)).pages)
    newest = list(client.list(compute_v1.ListFirewallsRequest(**asked, order_by="creationTimestamp desc")))
    client.transport.close()
    assert [[item.name for item in page.items] for page in pages] == [listed[:2], listed[2:4], listed[4:]]
    assert sorted(item.name for item in newest) == listed


def test_libcloud_filters_and_pages(client_environment: dict[str, str], listed: list[str]) -> None:
    driver = _driver(client_environment)
    found = driver.ex_list(driver.ex_list_firewalls).filter(FILTER).page(2)
    pages = [[item.name for item in page] for page in found]
    assert pages == [listed[:2], listed[2:4], listed[4:]]


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
    api: Any, client_environment: dict[str, str], fresh: Callable[[str], str]
) -> None:
    """The answer to the deletion is ``{}``: Google's library for Python cannot read an empty body."""
    body = {"name": fresh("gone"), "allowed": [{"IPProtocol": "tcp"}]}
    operation = api.done("POST", "global/firewalls", json=body)["name"]
    client = compute_v1.GlobalOperationsClient(client_options={"api_endpoint": client_environment["GSTACK_URL"]})
    client.delete(project=client_environment["GSTACK_PROJECT"], operation=operation)
    client.transport.close()
    assert api("GET", f"global/operations/{operation}").status_code == 404
    api.done("DELETE", f"global/firewalls/{body['name']}")
