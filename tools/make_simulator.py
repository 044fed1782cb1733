"""Makes the simulator's data files from the recordings of a real CloudStack 4.22.

    python tools/make_simulator.py RECORDINGS_DIR

Kept apart from the simulator because it runs once per newer recording, never at start. Surprising:
descriptions are dropped, so that no sentence of CloudStack is copied; names, types and limits are all that
is needed to behave the same.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gstack.simulator.apis import DATA

Row = dict[str, Any]

OS_NAMED = re.compile(r'"ostypeid": "([^"]+)", "os(?:type|display)name": "([^"]+)"')


def lines(folder: Path, *areas: str) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("*.jsonl")):
        if not areas or path.stem in areas:
            with path.open(encoding="utf-8") as file:
                yield from (json.loads(line) for line in file)


def api_rows(folder: Path, role: str) -> dict[str, dict[str, Any]]:
    document = json.loads((folder / f"listApis.{role}.json").read_text(encoding="utf-8"))
    return {api["name"]: api for api in document["listapisresponse"]["api"]}


def jobs_seen(folder: Path) -> dict[str, Row]:
    """What the jobs of a command say of themselves; root's variants end in ByAdmin and are left out."""
    commands: dict[tuple[str, str], str] = {}
    seen: dict[str, Row] = {}
    for line in lines(folder):
        request, answer = line.get("request") or {}, line.get("response")
        job = answer.get("queryasyncjobresultresponse", {}) if isinstance(answer, dict) else {}
        if "cmd" in job:
            submitted = commands.get((line["area"], line["name"].split("/job-")[0]))
            if submitted and not job["cmd"].endswith("ByAdmin"):
                row = seen.setdefault(submitted, {"class": job["cmd"], "instance": None, "instanceid": False})
                row["instance"] = row["instance"] or job.get("jobinstancetype")
                row["instanceid"] = row["instanceid"] or "jobinstanceid" in job
        elif request.get("command"):
            commands[line["area"], line["name"]] = request["command"]
    return seen


def extract_apis(folder: Path) -> dict[str, Row]:
    seen = json.loads((folder / "field_types.json").read_text(encoding="utf-8"))
    user, admin = api_rows(folder, "user"), api_rows(folder, "admin")
    jobs = jobs_seen(folder)
    made: dict[str, Row] = {}
    for name, api in sorted(admin.items()):
        row: Row = {"async": api["isasync"], "user": name in user}
        for field in ("since", "related"):
            if api.get(field):
                row[field] = api[field]
        shown = {param["name"] for param in user.get(name, api)["params"]}
        row["params"] = [
            [p["name"], p["type"], p["required"], p["length"], p.get("since"), p["name"] in shown, p.get("related")]
            for p in api["params"]
        ]
        row["response"] = fields(api.get("response", []))
        row.update(jobs.get(name, {}))
        wrapper = seen["wrappers"].get(name, [name.lower() + "response"])[0]
        if wrapper != name.lower() + "response" and not name.endswith("Metrics"):
            row["wrapper"] = wrapper
        made[name] = row
    return made


def fields(rows: list[Row]) -> list[list[Any]]:
    """Name and type of what an answer may hold, and the same of what is inside of it; some rows are empty."""
    inside = [[fields(row["response"])] if "response" in row else [] for row in rows]
    return [[row.get("name", ""), row.get("type", ""), *held] for row, held in zip(rows, inside, strict=True)]


def templates(folder: Path) -> list[Row]:
    """As root sees them, but for what follows from the zone: the image store they lie on."""
    rows: list[Row] = answer(folder, "listTemplates all admin")["template"]
    for row in rows:
        kept = ("downloadState", "datastore", "downloadPercent")
        row["downloaddetails"] = [
            place if place["datastoreRole"] == "Primary" else {key: place[key] for key in kept}
            for place in row["downloaddetails"]
        ]
    return rows


def infrastructure(folder: Path) -> Row:
    """What root sees of the machines below: all pods and clusters, and one row of each other kind."""
    found = {
        kind: answer(folder, f"list{command} admin")[kind]
        for kind, command in (("pod", "Pods"), ("cluster", "Clusters"), ("managementserver", "ManagementServers"))
    }
    found["iso"] = answer(folder, "listIsos")["iso"]
    for kind, command in (("host", "Hosts"), ("storagepool", "StoragePools"), ("systemvm", "SystemVms")):
        found[kind] = answer(folder, f"list{command} admin")[kind][0]
    return found


def answer(folder: Path, name: str, area: str = "catalog") -> Row:
    for line in lines(folder, area):
        if line["name"] == name and line["status"] == 200:
            return next(iter(line["response"].values()))
    raise SystemExit(f"no recorded line {name!r} in {area}")


def os_types(folder: Path) -> list[Row]:
    found: dict[str, Row] = {}
    named: dict[str, str] = {}
    for line in lines(folder):
        body = (line.get("response") or {}).get("listostypesresponse", {})
        for row in body.get("ostype", []):
            found.setdefault(row["id"], row)
        named.update(OS_NAMED.findall(json.dumps(line.get("response"))))
    for key, name in named.items():
        row = {"id": key, "name": name, "description": name, "isuserdefined": False, "fordisplay": True}
        found.setdefault(key, row)
    return sorted(found.values(), key=lambda row: row["name"])


def guest_networks(folder: Path) -> list[Row]:
    """Every network that a recorded listing showed, by id."""
    found: dict[str, Row] = {}
    for line in lines(folder, "advanced_networks", "vpc"):
        body = (line.get("response") or {}).get("listnetworksresponse", {})
        for row in body.get("network", []):
            found.setdefault(row["id"], row)
    return list(found.values())


def acl_lists(folder: Path) -> list[Row]:
    """The two lists that every VPC may use, the older first, with their items as far as recorded."""
    lists = answer(folder, "listNetworkACLLists default", "vpc")["networkacllist"]
    items = answer(folder, "listNetworkACLs default_allow", "vpc")["networkacl"]
    return [{**row, "items": [item for item in items if item["aclid"] == row["id"]][::-1]} for row in lists[::-1]]


def extract_catalogue(folder: Path) -> dict[str, object]:
    networks, capability = guest_networks(folder), answer(folder, "listCapabilities")["capability"]
    return {
        "capability": capability,
        "zone": answer(folder, "listZones")["zone"],
        "zone_for_admin": [
            {key: row[key] for key in ("id", "dns1", "dns2", "internaldns1", "guestcidraddress") if key in row}
            for row in answer(folder, "listZones showcapacities admin")["zone"]
        ],
        "serviceoffering": answer(folder, "listServiceOfferings")["serviceoffering"],
        "diskoffering": answer(folder, "listDiskOfferings")["diskoffering"],
        "networkoffering": answer(folder, "listNetworkOfferings")["networkoffering"],
        "template": templates(folder),
        "hypervisor": answer(folder, "listHypervisors")["hypervisor"],
        "ostype": os_types(folder),
        "network": [row for row in networks if row["type"] == "Shared"],
        "networkservice": {row["networkofferingid"]: row["service"] for row in networks},
        "vpcoffering": answer(folder, "listVPCOfferings")["vpcoffering"],
        "acllist": acl_lists(folder),
        "infrastructure": infrastructure(folder),
        "capability_for_admin": {
            key: value
            for key, value in answer(folder, "listCapabilities admin")["capability"].items()
            if value != capability.get(key)
        },
    }


def main(folder: Path) -> None:
    DATA.mkdir(parents=True, exist_ok=True)
    apis = json.dumps(extract_apis(folder), separators=(",", ":"), sort_keys=True).encode()
    (DATA / "apis.json.gz").write_bytes(gzip.compress(apis, 9, mtime=0))
    catalogue = json.dumps(extract_catalogue(folder), indent=1, ensure_ascii=False)
    catalogue = re.sub(r"\n {4,}", " ", catalogue)
    (DATA / "catalogue.json").write_text(catalogue + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
