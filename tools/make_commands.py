"""Makes gstack/data/commands.json.gz, the table of CloudStack commands that gstack may name.

    python tools/make_commands.py LISTAPIS_ADMIN.json

Run again with the answer of ``listApis`` of a newer CloudStack, taken as an administrator. Only names,
types and the async flag are kept: nothing of CloudStack's prose. Parameters of type ``list`` and ``map``
keep their type because they are sent in another form than plain values.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

TABLE = Path(__file__).resolve().parent.parent / "gstack" / "data" / "commands.json.gz"


def table(document: dict[str, Any]) -> dict[str, Any]:
    """``{command: {"async": bool, "params": {name: type}}}`` from a recorded listApis answer."""
    return {
        api["name"]: {
            "async": api["isasync"],
            "params": {param["name"]: param["type"] for param in sorted(api["params"], key=lambda p: p["name"])},
        }
        for api in sorted(document["listapisresponse"]["api"], key=lambda api: api["name"])
    }


def main() -> None:
    made = table(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    packed = json.dumps(made, separators=(",", ":")).encode()
    TABLE.write_bytes(gzip.compress(packed, mtime=0))
    print(f"{TABLE.name}: {len(made)} commands")


if __name__ == "__main__":
    main()
