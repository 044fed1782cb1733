"""Steps of the prologue: how to say in one line what the recorder had made.

Apart from what they are used for. Surprising: a step names objects by their recorded ids, those it makes and those it
needs.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "recordings" / "cloudstack"


def read(area: str) -> list[dict]:
    with gzip.open(FOLDER / f"{area}.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


ZONE = "8fcd71d6-6d92-4547-b001-fd414bd9af7a"
UBUNTU = "78ca403c-80ad-4715-b115-882168a09dd5"
DEBIAN = "77a63f6d-beed-4757-9204-eddd840d9d17"
MICRO = "503f7312-7d87-4f2e-a9e0-6e2b70b39ea4"
TINY = "893bd32a-cf34-489e-b52a-d2439a866460"
SSD_10 = "a9c4edda-f663-44c1-941f-f8bb76f27c59"
Step = tuple[str, str, dict[str, str], dict[str, str]]


def public_key(name: str) -> str:
    return next(line["request"]["publickey"] for line in read("ssh_keys") if line["request"].get("name") == name)


def group(name: str, uuid: str) -> Step:
    return "user", "createSecurityGroup", {"name": name}, {uuid: "securitygroup.id"}


def key(name: str) -> Step:
    return "user", "registerSSHKeyPair", {"name": name, "publickey": name}, {}


def machine(name: str, uuid: str, **more: str) -> Step:
    params = {
        "zoneid": ZONE,
        "templateid": UBUNTU,
        "serviceofferingid": more.pop("offering", TINY),
        "name": name,
        **more,
    }
    return "user", "deployVirtualMachine", params, {uuid: "id"}


def disk(name: str, uuid: str) -> Step:
    return "user", "createVolume", {"zoneid": ZONE, "diskofferingid": SSD_10, "name": name}, {uuid: "id"}


def root_of(uuid: str, volume: str) -> Step:
    return "user", "listVolumes", {"virtualmachineid": uuid, "type": "ROOT"}, {volume: "volume.0.id"}


TEMPORARY = {"name": "tmp-53648", "displaytext": "x", "cpunumber": "1", "cpuspeed": "500", "memory": "256"}
ZONED = {**TEMPORARY, "name": "zoned-53648", "zoneid": "90e2e73b-dc68-48f9-a796-9ec7bcdfec92"}
FRANKFURT = "90e2e73b-dc68-48f9-a796-9ec7bcdfec92"
ISOLATED = "847d56dd-6687-427d-9994-b36e929032da"
VPC_OFFERING = "1ec0c1ce-f265-40df-8aad-7cecd81b6673"


def made(command: str, uuid: str, path: str = "id", **params: str) -> Step:
    return "user", command, params, {uuid: path}


def done(command: str, **params: str) -> Step:
    return "user", command, params, {}


def template(name: str, uuid: str | None, **source: str) -> Step:
    text = source.pop("displaytext", "x")
    params = {"name": name, "displaytext": text, "ostypeid": "47135478-e584-11f1-ba46-02fc00000001", **source}
    return "user", "createTemplate", params, {uuid: "id"} if uuid else {}
