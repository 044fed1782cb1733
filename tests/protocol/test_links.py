"""Links written and references read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gstack.errors import GceError
from gstack.protocol.links import Links, Reference, parse, scopes


@pytest.mark.parametrize(
    ("scheme", "host", "base"),
    [
        ("https", "gw.example:5000", "https://gw.example:5000/compute/v1"),
        ("http", "127.0.0.1:9443", "http://127.0.0.1:9443/compute/v1"),
        ("https", "[::1]:9443", "https://[::1]:9443/compute/v1"),
        ("https", "compute.googleapis.com", "https://www.googleapis.com/compute/v1"),
        ("http", "WWW.googleapis.com:443", "https://www.googleapis.com/compute/v1"),
        ("https", "notgoogleapis.com", "https://notgoogleapis.com/compute/v1"),
        ("https", "compute.gce.test:9443", "https://compute.gce.test:9443/compute/v1"),
    ],
)
def test_links_name_the_host_that_was_asked(scheme: str, host: str, base: str) -> None:
    assert Links.for_client(scheme, host).base == base


def test_terraform_is_shown_googles_links_at_any_host() -> None:
    agent = "Terraform/1.11.4 (+https://www.terraform.io) Terraform-Plugin-SDK/2.37.0 terraform-provider-google/8.0.0"
    assert Links.for_client("https", "gce.example:5000", agent).base == "https://www.googleapis.com/compute/v1"
    assert (
        Links.for_client("https", "gce.example:5000", "Terraform/1.11.4").base == "https://gce.example:5000/compute/v1"
    )


def test_without_a_host_there_are_no_links() -> None:
    with pytest.raises(GceError):
        Links.for_client("https", "")


def test_links_of_places() -> None:
    links = Links("https://gw/compute/v1")
    assert links.project("p") == "https://gw/compute/v1/projects/p"
    assert links.zone("p", "r-a") == "https://gw/compute/v1/projects/p/zones/r-a"
    assert links.region("p", "r") == "https://gw/compute/v1/projects/p/regions/r"
    assert links.absolute("projects/p/global/networks/n") == "https://gw/compute/v1/projects/p/global/networks/n"


def _parse(reference: str, collection: str, **where: str) -> Reference:
    given: dict[str, Any] = {"project": "p1", "field": "resource.field", "zone": "r-a", **where}
    return parse(reference, collection=collection, **given)


@pytest.mark.parametrize(
    "reference",
    [
        "https://www.googleapis.com/compute/v1/projects/p1/zones/r-a/machineTypes/small",
        "https://compute.googleapis.com/compute/beta/projects/p1/zones/r-a/machineTypes/small",
        "https://gw.example:5000/projects/p1/zones/r-a/machineTypes/small",
        "http://gw//compute/v1//projects/p1/zones/r-a/machineTypes/small/",
        "//compute.googleapis.com/projects/p1/zones/r-a/machineTypes/small",
        "/compute/v1/projects/p1/zones/r-a/machineTypes/small",
        "compute/v1/projects/p1/zones/r-a/machineTypes/small",
        "projects/p1/zones/r-a/machineTypes/small",
        "zones/r-a/machineTypes/small",
        "machineTypes/small",
        "small",
        " small ",
    ],
)
def test_every_form_of_a_zonal_reference_means_the_same(reference: str) -> None:
    assert _parse(reference, "machineTypes").path == "projects/p1/zones/r-a/machineTypes/small"


@pytest.mark.parametrize(
    "reference", ["projects/p2/global/networks/n", "https://gw/compute/v1/projects/p2/global/networks/n"]
)
def test_a_reference_may_name_another_project(reference: str) -> None:
    assert _parse(reference, "networks").project == "p2"


@pytest.mark.parametrize("reference", ["global/networks/n", "networks/n", "n", "global/global/networks/n"])
def test_a_global_reference_needs_no_project(reference: str) -> None:
    assert _parse(reference, "networks").path == "projects/p1/global/networks/n"


def test_a_project_may_have_a_domain() -> None:
    assert _parse("projects/example.com:web/global/networks/n", "networks").project == "example.com:web"


@pytest.mark.parametrize(
    ("reference", "collection"),
    [
        ("r-a", "zones"),
        ("zones/r-a", "zones"),
        ("projects/p1/zones/r-a", "zones"),
        ("projects/p1/global/zones/r-a", "zones"),
        ("https://gw/compute/v1/projects/p1/zones/r-a", "zones"),
        ("projects/p1/global/regions/r", "regions"),
        ("global/regions/r", "regions"),
    ],
)
def test_zones_and_regions_are_read_in_terraforms_forms_too(reference: str, collection: str) -> None:
    found = _parse(reference, collection)
    assert (found.project, found.collection, found.name) == (
        "p1",
        collection,
        "r-a" if collection == "zones" else "r",
    )
    assert found.path == f"projects/p1/{collection}/{found.name}"


@pytest.mark.parametrize("reference", ["p7", "projects/p7", "https://gw/compute/v1/projects/p7"])
def test_projects_are_read(reference: str) -> None:
    found = _parse(reference, "projects")
    assert (found.project, found.name, found.path) == ("p7", "p7", "projects/p7")


@pytest.mark.parametrize(
    "reference",
    [
        "projects/debian-cloud/global/images/family/debian-12",
        "projects/debian-cloud/zones/-/imageFamilyViews/debian-12",
        "https://gw/compute/v1/projects/debian-cloud/zones/-/imageFamilyViews/debian-12",
        "projects/debian-cloud/images/family/debian-12",
    ],
)
def test_an_image_family_is_read_in_every_spelling(reference: str) -> None:
    found = _parse(reference, "images")
    assert (found.project, found.family, found.name) == ("debian-cloud", "debian-12", "")
    assert found.path == "projects/debian-cloud/global/images/family/debian-12"


@pytest.mark.parametrize("reference", ["family/f", "images/family/f", "global/images/family/f", "imageFamilyViews/f"])
def test_an_image_family_needs_no_project(reference: str) -> None:
    assert (_parse(reference, "images").project, _parse(reference, "images").family) == ("p1", "f")


def test_an_image_is_no_family() -> None:
    found = _parse("global/images/debian-12-v1", "images")
    assert (found.name, found.family) == ("debian-12-v1", None)


def test_a_unique_id_says_which_resource_whatever_has_its_name_by_now() -> None:
    assert _parse("global/instanceTemplates/123", "instanceTemplates").name == "123"
    assert _parse("projects/p1/global/instanceTemplates/t?uniqueId=77", "instanceTemplates").name == "77"
    assert _parse("zones/z?uniqueId=5", "zones").name == "5"


def test_the_caller_says_where_bare_names_live() -> None:
    assert _parse("d", "disks").zone == "r-a"
    assert _parse("d", "disks", zone="", region="r").region == "r"
    assert _parse("regions/r/disks/d", "disks").path == "projects/p1/regions/r/disks/d"
    assert _parse("t", "instanceTemplates").scope == "global"


@pytest.mark.parametrize(
    ("reference", "collection"),
    [
        ("global/networks/n", "subnetworks"),
        ("projects/p1/zones/r-a/disks/d", "networks"),
        ("zones/r-a/networks/n", "networks"),
        ("global/machineTypes/m", "machineTypes"),
        ("zones/r-a", "machineTypes"),
        ("global/networks", "networks"),
        ("https://gw/compute/v1/zones/z/disks/d", "disks"),
        ("projects", "networks"),
        ("", "networks"),
        ("  ", "networks"),
        ("https://", "networks"),
        ("a/b/c/d", "networks"),
        ("n?uniqueId=x", "networks"),
        ("global/images/family/f?uniqueId=7", "images"),
        ("projects/p1/global/networks/a%0Ab", "networks"),
        ("subnet", "subnetworks"),
        ("debian-cloud/debian-12", "images"),
    ],
)
def test_anything_else_is_refused_naming_the_field(reference: str, collection: str) -> None:
    with pytest.raises(GceError) as caught:
        _parse(reference, collection)
    assert caught.value.http == 400
    assert caught.value.problems[0].location == "resource.field"
    assert caught.value.message.startswith("Invalid value for field 'resource.field': ")


def test_scopes_come_from_googles_rules() -> None:
    assert scopes()["disks"] == {"zones", "regions"}
    assert scopes()["networks"] == {"global"}
    assert scopes()["subnetworks"] == {"regions"}


NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,10}[a-z0-9])?", fullmatch=True)


@given(st.sampled_from(sorted(scopes())), NAMES, NAMES, NAMES)
def test_a_path_is_read_back_as_it_was_written(collection: str, project: str, place: str, name: str) -> None:
    for scope in scopes()[collection]:
        where = f"{scope}/{place}" if scope != "global" else scope
        path = f"projects/{project}/{where}/{collection}/{name}"
        assert parse(path, collection=collection, project="other", field="f").path == path


@given(st.text(max_size=60))
@example("\u00b2")  # a digit to Python, but no number
def test_whatever_comes_is_read_or_refused(text: str) -> None:
    try:
        found = _parse(text, "images")
    except GceError:
        return
    assert found.path.startswith("projects/")
