"""The installed gcloud, reading what every project has: zones, regions, types, images, operations.

Apart from the life cycle because nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gstack.cloudstack.client import Cloud
from gstack.demo import Demo

Gcloud = Callable[..., Any]


def _names(rows: list[dict[str, Any]]) -> list[str]:
    return [row["name"] for row in rows]


def test_zones_are_those_of_cloudstack_with_their_region(gcloud: Gcloud, cloudstack: Cloud) -> None:
    rows = gcloud("compute", "zones", "list", as_json=True).json
    assert sorted(_names(rows)) == sorted(zone["name"] for zone in cloudstack.list("listZones"))
    row = next(row for row in rows if row["name"] == "ch-gva-2")
    assert row["region"].endswith("/regions/ch-gva")
    assert row["status"] == "UP"


def test_zones_are_printed_as_the_table_that_people_know(gcloud: Gcloud) -> None:
    lines = gcloud("compute", "zones", "list").out.splitlines()
    assert lines[0].split() == ["NAME", "REGION", "STATUS", "NEXT_MAINTENANCE", "TURNDOWN_DATE"]
    assert ["ch-gva-2", "ch-gva", "UP"] in [line.split() for line in lines[1:]]


def test_a_zone_is_described(gcloud: Gcloud, demo: Demo) -> None:
    zone = demo.environment["GSTACK_ZONE"]
    assert gcloud("compute", "zones", "describe", zone, as_json=True).json["name"] == zone


def test_regions_are_listed_with_their_zones(gcloud: Gcloud) -> None:
    rows = gcloud("compute", "regions", "list", as_json=True).json
    zones = {row["name"]: [link.rsplit("/", 1)[1] for link in row["zones"]] for row in rows}
    assert zones["ch-gva"] == ["ch-gva-2"]


def test_service_offerings_are_machine_types(gcloud: Gcloud) -> None:
    rows = gcloud("compute", "machine-types", "list", as_json=True).json
    shapes = {row["name"]: (row["guestCpus"], row["memoryMb"]) for row in rows}
    assert shapes["micro"] == (1, 512)
    assert shapes["large"] == (4, 8192)


def test_a_filter_over_machine_types_is_applied_by_the_gateway(gcloud: Gcloud, demo: Demo) -> None:
    zone = demo.environment["GSTACK_ZONE"]
    rows = gcloud("compute", "machine-types", "list", f"--zones={zone}", "--filter=name=micro", as_json=True).json
    assert _names(rows) == ["micro"]


def test_images_of_all_public_projects_come_in_one_batch(gcloud: Gcloud) -> None:
    ran = gcloud("compute", "images", "list", as_json=True)
    families = {row["family"]: row["selfLink"].split("/projects/")[1].split("/")[0] for row in ran.json}
    assert families["debian-12"] == "debian-cloud"
    assert families["rocky-linux-9"] == "rocky-linux-cloud"
    assert "Some requests did not succeed" not in ran.err


def test_an_image_family_resolves_to_its_newest_image(gcloud: Gcloud) -> None:
    image = gcloud(
        "compute", "images", "describe-from-family", "debian-12", "--project=debian-cloud", as_json=True
    ).json
    assert image["name"] == "linux-debian-12-64-bit"
    assert image["status"] == "READY"


def test_disk_types_are_listed(gcloud: Gcloud) -> None:
    assert "ssd-100" in _names(gcloud("compute", "disk-types", "list", as_json=True).json)


def test_the_project_describes_itself(gcloud: Gcloud, demo: Demo) -> None:
    project = gcloud("compute", "project-info", "describe", as_json=True).json
    assert project["name"] == demo.environment["GSTACK_PROJECT"]


def test_operations_can_be_listed(gcloud: Gcloud) -> None:
    assert gcloud("compute", "operations", "list", "--limit=1").status == 0
