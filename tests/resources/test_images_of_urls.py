"""Images of URLs, before a CloudStack that downloads them: the embedded one does not, so it is taught to here."""

from __future__ import annotations

from typing import Any

import pytest

from gstack.simulator.model import Template
from gstack.simulator.registry import COMMANDS, Command

IMAGES = "global/images"
BODY = {"name": "golden", "family": "mine", "rawDisk": {"source": "https://images.test/golden.qcow2"}}


class Downloads:
    """registerTemplate: a template in each zone of the call, ready or with a sentence that says why not."""

    def __init__(self, status: str) -> None:
        self.status = status
        self.asked: list[dict[str, Any]] = []

    def __call__(self, call: Any) -> dict[str, Any]:
        self.asked.append({name: call.text(name) for name in ("url", "format", "hypervisor")})
        zones = call.world.zone
        row = {
            "name": call.text("name"),
            "displaytext": call.text("displaytext"),
            "ispublic": False,
            "isfeatured": False,
            "isready": not self.status,
            "status": self.status or "Download Complete",
            "size": 3 * 2**30,
            "templatetype": "USER",
            "account": call.account.name,
            "hypervisor": call.text("hypervisor"),
            "arch": "x86_64",
        }
        made = Template(
            id=call.world.uuid(),
            number=call.world.template.take_number(),
            name=str(row["name"]),
            account=call.account.id,
            row=row,
            zones={},
        )
        row["id"] = made.id
        for zone in zones:
            place = {"zoneid": zone.id, "zonename": zone.name, "created": "2026-11-21T08:29:58+0000"}
            made.zones[zone.id] = {**place, "downloaddetails": []}
        call.world.template.add(made)
        return {"count": 1, "template": [{"id": made.id}]}


@pytest.fixture
def downloads(gateway: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Teach the embedded CloudStack the command; called with what goes wrong, or nothing."""

    def teach(status: str = "") -> Downloads:
        taught = Downloads(status)
        monkeypatch.setitem(COMMANDS, "registerTemplate", Command("registerTemplate", taught, None, False))
        names = frozenset(api["name"] for api in gateway.cloudstack("listApis"))
        monkeypatch.setattr("gstack.cloudstack.catalogue.Catalogue.apis", lambda *_, **__: names)
        return taught

    return teach


def test_an_image_of_a_url_is_what_cloudstack_downloads(gateway: Any, downloads: Any) -> None:
    taught = downloads()
    gateway.run("POST", IMAGES, BODY)
    image = gateway.get(f"{IMAGES}/golden")
    assert (image["status"], image["family"], image["diskSizeGb"]) == ("READY", "mine", "3")
    assert image["rawDisk"]["source"] == "https://images.test/golden.qcow2"
    (asked,) = taught.asked
    assert (asked["url"], asked["format"]) == ("https://images.test/golden.qcow2", "QCOW2")


def test_an_image_of_a_url_whose_answer_is_lost_is_made_once(gateway: Any, downloads: Any) -> None:
    taught = downloads()
    gateway.simulator.faults.add("lose", "registerTemplate")
    gateway.run("POST", IMAGES, BODY)
    assert len(taught.asked) == 1


def test_a_download_that_fails_is_said_and_taken_back(gateway: Any, downloads: Any) -> None:
    downloads("Failed to download: 404 Not Found")
    error = gateway.fail("POST", IMAGES, BODY)
    assert "404 Not Found" in error["message"] and "Undone: the image golden." in error["message"]
    assert gateway.cloudstack("listTemplates", templatefilter="self") == []
