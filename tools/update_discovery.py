"""Make ``gstack/data/discovery.json.gz`` from the compute v1 discovery document of google-api-python-client.

Apart from the package because it runs only when Google publishes a newer revision: install a newer
google-api-python-client and run ``python tools/update_discovery.py``. The surprising thing: most output-only
members say so only in their description, so descriptions are read before they are dropped.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parent.parent / "gstack" / "data"
TARGET = DATA / "discovery.json.gz"
PATCHES = DATA / "discovery_patches.json"

# Read by people only, or about Google's own hosts; the rest of the document is kept as it is.
DROPPED = frozenset(
    {
        "description",
        "enumDescriptions",
        "documentationLink",
        "icons",
        "endpoints",
        "mtlsRootUrl",
        "apiVersion",
    }
)
NAMES = frozenset({"schemas", "properties", "parameters", "resources", "methods"})
OUTPUT_ONLY = re.compile(r"(\[deprecated\][^\[]*)?(\[output[ -]only\]|output only\.)", re.IGNORECASE)
DEPRECATED = re.compile(r"\[?deprecated\b", re.IGNORECASE)


class PatchError(ValueError):
    """A patch that no longer applies: Google's document changed where the patch looks."""


def source() -> Path:
    """The document inside the installed google-api-python-client; FileNotFoundError without the package."""
    spec = importlib.util.find_spec("googleapiclient")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("google-api-python-client is not installed")
    folder = Path(next(iter(spec.submodule_search_locations)))
    return folder / "discovery_cache" / "documents" / "compute.v1.json"


def strip(node: Any, names: bool = False) -> Any:
    """``node`` without descriptions. ``names``: its keys are names of things, not words of the format."""
    if isinstance(node, list):
        return [strip(item) for item in node]
    if not isinstance(node, dict):
        return node
    if names:
        return {key: strip(value) for key, value in node.items()}
    kept = {key: strip(value, key in NAMES) for key, value in node.items() if key not in DROPPED}
    if kept.get("flatPath") == kept.get("path"):
        kept.pop("flatPath", None)
    description = node.get("description")
    if isinstance(description, str) and ("type" in node or "$ref" in node):
        words = " ".join(description.split())
        if OUTPUT_ONLY.match(words):
            kept["readOnly"] = True
        if DEPRECATED.match(words):
            kept["deprecated"] = True
    return kept


def patch(document: dict[str, Any], patches: list[dict[str, Any]]) -> None:
    """Apply the deviations in place. Each has ``path`` (keys from the root, ``*`` for every key), ``was``,
    ``reason`` and, unless the member goes away, ``now``; ``was`` is null for what must not exist. ``beside``
    keeps to where that member exists at the end of the path. Raises :class:`PatchError` for a patch that
    finds nothing or another value.
    """
    for entry in patches:
        *parents, last = entry["path"]
        where = "/".join(entry["path"])
        found = [node for node in _reached(document, parents) if entry.get("beside", "") in ("", *node)]
        if not found:
            raise PatchError(f"{where} does not exist")
        for node in found:
            if node.get(last) != entry["was"]:
                raise PatchError(f"{where} is {node.get(last)!r}, not {entry['was']!r}")
            if "now" in entry:
                node[last] = entry["now"]
            else:
                del node[last]


def _reached(node: Any, path: list[str]) -> Iterator[dict[str, Any]]:
    if not isinstance(node, dict):
        return
    if not path:
        yield node
        return
    for key in node if path[0] == "*" else {path[0]} & node.keys():
        yield from _reached(node[key], path[1:])


def build(original: bytes, patches: list[dict[str, Any]]) -> bytes:
    """The bytes of the data file; the same input gives the same bytes."""
    document = strip(json.loads(original))
    patch(document, patches)
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return gzip.compress(text.encode(), 9, mtime=0)


def main() -> int:
    """Write the file and say what is in it."""
    packed = build(source().read_bytes(), json.loads(PATCHES.read_text(encoding="utf-8")))
    TARGET.write_bytes(packed)
    document = json.loads(gzip.decompress(packed))
    sys.stdout.write(f"{TARGET.name}: revision {document['revision']}, {len(packed)} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
