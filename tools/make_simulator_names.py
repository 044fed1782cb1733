"""Makes `names.json.gz` from the recordings and from a checkout of CloudStack's source.

    python tools/make_simulator_names.py RECORDINGS_DIR CLOUDSTACK_DIR

Apart from make_simulator.py, because it needs the source: no recording shows all operating systems, or what the
role Domain Admin may call. Surprising: the operating systems of a fresh install are spread over the seed,
a dozen upgrades in SQL and two in Java.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from make_simulator import lines

from gstack.simulator.apis import DATA, load_apis

SCHEMA = "engine/schema/src/main/resources/META-INF/db"
UPGRADES = "engine/schema/src/main/java/com/cloud/upgrade"
INSERT = re.compile(r"INSERT\s+(?:IGNORE\s+)?INTO\s+`?cloud`?\.`?guest_os`?\s*\(([^)]*)\)\s*VALUES\s*\((.*)\)", re.I)
CALLED = re.compile(r"ADD_?GUEST_?OS_?AND_?HYPERVISOR_?MAPPINGS?\s*\((\d+),\s*['\"]([^'\"]*)['\"]", re.I)
VALUE = re.compile(r"'[^']*'|[\w.]+(?:\(\))?")
CATEGORIES = {1: "CentOS", 2: "Debian", 3: "Oracle", 4: "RedHat", 5: "SUSE", 6: "Windows", 10: "Ubuntu"}
MOVED = ("Rocky Linux", "AlmaLinux", "Fedora")  # these got categories of their own
RENAMED = {"Fedora Linux": "Fedora Linux (32 bit)", "Mandriva Linux": "Mandriva Linux (32 bit)"}
ROLE = re.compile(r"values \(UUID\(\), 3, '([^']+)', 'ALLOW'")


def texts(source: Path) -> Iterator[str]:
    """The seed, then every upgrade from 4.0 on."""
    yield (source / "setup/db/templates.sql").read_text("utf-8", "replace")
    for path in sorted((source / SCHEMA).glob("schema-4*to4*.sql")):
        yield path.read_text("utf-8", "replace")
    for path in sorted((source / UPGRADES).rglob("*.java")):
        yield path.read_text("utf-8", "replace")


def inserted(text: str) -> Iterator[tuple[int, str]]:
    joined = re.sub(r"\)\s*\n\s*VALUES", ") VALUES", text)
    for columns, values in INSERT.findall(joined):
        row = dict(zip((c.strip(" `") for c in columns.split(",")), VALUE.findall(values), strict=False))
        name, category = row.get("display_name", "").strip("'"), row.get("category_id", "").strip("'")
        if name:
            yield int(category) if category.isdigit() else 0, name
    for category, name in CALLED.findall(joined):
        yield int(category), name


def os_types(source: Path) -> dict[str, list[str]]:
    found: dict[str, int] = {}
    for text in texts(source):
        for category, name in inserted(text):
            found.setdefault(RENAMED.get(name, name), category)
    groups: dict[str, list[str]] = {}
    for name, category in sorted(found.items()):
        moved = next((word for word in MOVED if word in name), None)
        groups.setdefault(moved or CATEGORIES.get(category, "Other"), []).append(name)
    return groups


def domain_admin(source: Path) -> list[str]:
    """Granted by the default role, or by the command's own annotation."""
    apis = load_apis()
    granted = set(ROLE.findall((source / SCHEMA / "create-default-role-api-mappings.sql").read_text("utf-8")))
    for path in source.rglob("*Cmd.java"):
        found = re.search(r"@APICommand\((.*?)\)\s*public", path.read_text("utf-8", "replace"), re.S)
        if found and re.search(r"authorized\s*=\s*\{?[^}]*DomainAdmin", found[1]):
            granted.update(re.findall(r'name\s*=\s*"(\w+)"', found[1]))
    granted.discard("migrateVolume")  # the same reasoning would give it to users, who were refused
    return sorted(name for name in granted if name in apis and not apis[name].for_users)


def recorded(folder: Path, command: str) -> dict[str, list[dict[str, str]]]:
    for line in lines(folder):
        if (line.get("request") or {}).get("command") == command and line["status"] == 200:
            body: dict[str, list[dict[str, str]]] = next(iter(line["response"].values()))
            return body
    raise SystemExit(f"no recorded {command}")


def main(folder: Path, source: Path) -> None:
    document = {
        "ostype": os_types(source),
        "oscategory": recorded(folder, "listOsCategories")["oscategory"],
        "eventtype": [row["name"] for row in recorded(folder, "listEventTypes")["eventtype"]],
        "domainadmin": domain_admin(source),
    }
    packed = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    (DATA / "names.json.gz").write_bytes(gzip.compress(packed, 9, mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
