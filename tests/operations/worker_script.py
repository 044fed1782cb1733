"""An operations worker with a CloudStack made of files, for tests that kill it.

``worker_script.py FOLDER [upgraded]``. Each createVolume adds a line to FOLDER/made; while FOLDER/hang exists its
answer never comes, while FOLDER/away exists it is lost. FOLDER/database holds the URL of a database that is shared:
then the worker is one of several hosts, named as its folder, and given up for dead after two seconds.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from gstack.cloudstack.errors import Unavailable
from gstack.operations import durable, janitor, worker
from gstack.operations.run import Run
from gstack.operations.runtime import Services
from gstack.operations.worker import main
from gstack.operations.workflow import workflow
from gstack.settings import Settings
from gstack.store.sealing import Sealer

FOLDER = Path(sys.argv[1])
UPGRADED = sys.argv[2:] == ["upgraded"]
DATABASE = FOLDER / "database"


def note(file: str, line: str) -> None:
    with (FOLDER / file).open("a") as opened:
        opened.write(line + "\n")


class FileCloud:
    key = "account"

    def call(self, command: str, **params: Any) -> dict[str, Any]:
        note("made", params["name"])
        be_away()
        while (FOLDER / "hang").exists():
            time.sleep(0.01)
        return {"id": params["name"], "success": True}


def steps(run: Run, plan: dict[str, Any]) -> None:
    run.step("before", note, "steps", "before")
    made = run.job("make", "createVolume", {"name": "v"}, find=find)
    run.step("after", note, "steps", f"after {made['id']}")


def be_away() -> None:
    if (FOLDER / "away").exists():
        raise Unavailable("createVolume", "cut", sent=True)


def find() -> dict[str, Any] | None:
    be_away()
    return {"id": "v"} if (FOLDER / "made").exists() else None


def steps_of_a_newer_release(run: Run, plan: dict[str, Any]) -> None:
    """Other code, the same steps."""
    plan = dict(plan)
    steps(run, plan)


workflow("op.test.durable")(steps_of_a_newer_release if UPGRADED else steps)


def settings() -> Settings:
    if not DATABASE.exists():
        return Settings({"PATH": str(FOLDER)})
    janitor.executor_id = durable.executor_id = lambda _engine: FOLDER.name
    janitor.DEAD_AFTER_MS = 2000
    worker.BEAT_SECONDS = 0.3
    return Settings({"PATH": str(FOLDER), "DATABASE_URL": DATABASE.read_text()})


if __name__ == "__main__":
    sys.exit(
        main(
            settings(),
            Services(
                lambda *_: FileCloud(),  # type: ignore[arg-type, return-value]
                lambda *_: (),
                None,  # type: ignore[arg-type]
                Sealer(keys=[Fernet.generate_key().decode()]),
            ),
        )
    )
