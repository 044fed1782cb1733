"""Images of URLs and of images: what CloudStack downloads."""

from __future__ import annotations

from typing import Any

import pytest

IMAGES = "global/images"
SOURCE = "https://images.test/golden.qcow2"
BODY = {"name": "golden", "family": "mine", "labels": {"tier": "gold"}, "rawDisk": {"source": SOURCE}}


def templates(gateway: Any, name: str) -> list[dict[str, Any]]:
    """The user's templates of a name, a row for each zone."""
    return list(gateway.cloudstack("listTemplates", templatefilter="self", name=name))


def test_an_image_of_a_url_is_what_cloudstack_downloads(gateway: Any) -> None:
    gateway.run("POST", IMAGES, BODY)
    image = gateway.get(f"{IMAGES}/golden")
    assert (image["status"], image["family"], image["labels"]) == ("READY", "mine", {"tier": "gold"})
    assert image["rawDisk"]["source"] == SOURCE
    rows = templates(gateway, "golden")
    assert {(row["url"], row["format"], row["isready"]) for row in rows} == {(SOURCE, "QCOW2", True)}
    assert {row["zonename"] for row in rows} == {"ch-gva-2", "de-fra-1", "at-vie-1"}


@pytest.mark.parametrize("ending", ["qcow2.gz", "vhd.bz2", "ova", "vmdk", "raw", "img.zip"])
def test_formats_are_told_by_the_end_of_the_url(gateway: Any, ending: str) -> None:
    source = f"https://images.test/golden.{ending}"
    gateway.run("POST", IMAGES, {"name": "golden", "rawDisk": {"source": source}})
    assert templates(gateway, "golden")[0]["url"] == source


def test_an_object_of_googles_storage_is_downloaded_from_where_it_can_be_read(gateway: Any) -> None:
    source = "https://storage.googleapis.com/storage/v1/b/bucket/o/dir%2Fgolden.qcow2"
    gateway.run("POST", IMAGES, {"name": "golden", "rawDisk": {"source": source}})
    assert templates(gateway, "golden")[0]["url"] == "https://storage.googleapis.com/bucket/dir/golden.qcow2"
    assert gateway.get(f"{IMAGES}/golden")["rawDisk"]["source"] == source


@pytest.mark.parametrize("source", ["gs://bucket/x.tar.gz", "https://images.test/x.iso", "ftp://images.test/x.raw"])
def test_what_cloudstack_cannot_download_is_refused_by_name(gateway: Any, source: str) -> None:
    body = {"name": "golden", "rawDisk": {"source": source}}
    assert "resource.rawDisk.source" in gateway.refuse("POST", IMAGES, body)
    assert templates(gateway, "golden") == []


@pytest.mark.parametrize("command", ["registerTemplate", "createTags"])
def test_an_image_of_a_url_whose_answer_is_lost_is_made_once(gateway: Any, command: str) -> None:
    gateway.simulator.faults.add("lose", command)
    gateway.run("POST", IMAGES, BODY)
    assert len({row["id"] for row in templates(gateway, "golden")}) == 1


def test_a_download_that_fails_is_said_and_taken_back(gateway: Any) -> None:
    gateway.simulator.faults.add("no-download", "registerTemplate")
    error = gateway.fail("POST", IMAGES, BODY)
    assert "404" in error["message"] and "Undone: the image golden." in error["message"]
    assert templates(gateway, "golden") == []


def test_an_image_of_an_image_is_downloaded_from_where_that_came(gateway: Any) -> None:
    gateway.run("POST", IMAGES, BODY)
    gateway.run("POST", IMAGES, {"name": "copy", "sourceImage": "global/images/family/mine", "family": "copies"})
    image, origin = gateway.get(f"{IMAGES}/copy"), gateway.get(f"{IMAGES}/golden")
    assert (image["sourceImage"], image["sourceImageId"]) == (origin["selfLink"], origin["id"])
    assert (image["family"], image["diskSizeGb"]) == ("copies", origin["diskSizeGb"])
    assert templates(gateway, "copy")[0]["url"] == SOURCE


def test_an_image_that_cloudstack_gives_out_is_fetched_from_there(gateway: Any) -> None:
    gateway.run("POST", IMAGES, BODY)
    for template in gateway.simulator.world.template:
        template.row.pop("url", None) if template.name == "golden" else None
    gateway.run("POST", IMAGES, {"name": "copy", "sourceImage": "global/images/golden"})
    assert "/userdata/" in templates(gateway, "copy")[0]["url"]


def test_an_image_that_cloudstack_gives_to_nobody_is_refused_by_name(gateway: Any) -> None:
    body = {"name": "copy", "sourceImage": "projects/debian-cloud/global/images/family/debian-12"}
    assert "resource.sourceImage" in gateway.refuse("POST", IMAGES, body)
    body["sourceImage"] = "global/images/none"
    assert "cannot be found" in gateway.refuse("POST", IMAGES, body)


def test_an_image_has_one_source(gateway: Any) -> None:
    body = {**BODY, "sourceImage": "global/images/other"}
    assert "Exactly one of" in gateway.refuse("POST", IMAGES, body)
