"""Every registered command against the recorded list of commands: what it asks for, what it refuses, what it reads.

Apart from test_shapes.py, which looks at what is announced: here the commands are called. Surprising: nothing has to be
prepared, as parameters are checked before a command looks at anything.
"""

from __future__ import annotations

import ast
import gzip
import json
from collections import defaultdict
from pathlib import Path

import pytest
from prologue_steps import FOLDER

from gstack.simulator import Simulator, areas
from gstack.simulator.apis import load_apis
from gstack.simulator.registry import COMMANDS

RECORDED = json.loads(gzip.decompress((FOLDER / "shapes.json.gz").read_bytes()))["apis"]
READERS = {"text", "number", "flag", "words", "maps", "entity", "need", "entities"}
# Read for commands of other rooms, which call these.
FOR_OTHERS = {"machine_choices", "machine_networks", "net_rules"}


@pytest.fixture(scope="module")
def cloud() -> Simulator:
    return Simulator(job_seconds=0)


def required(name: str) -> list[str]:
    return [param for param, _, _, needed, *_ in RECORDED[name]["params"] if needed]


@pytest.mark.parametrize("name", sorted(name for name in COMMANDS if required(name)))
def test_a_command_names_the_required_parameter_that_is_missing(cloud: Simulator, name: str) -> None:
    types = {param: kind for param, kind, *_ in RECORDED[name]["params"]}
    given = {param: f"{param}[0].key" if types[param] == "map" else param for param in required(name)}
    for missing in given:
        answer = cloud.do("admin", name, **{key: "x" for param, key in given.items() if param != missing})
        text = f"Unable to execute API command {name.lower()} due to missing parameter {missing}"
        assert (answer["errorcode"], answer["errortext"]) == (431, text)


@pytest.mark.parametrize("name", sorted(name for name in COMMANDS if not required(name)))
def test_a_command_refuses_what_is_not_of_the_recorded_type(cloud: Simulator, name: str) -> None:
    typed = [param for param, kind, *_ in RECORDED[name]["params"] if kind in ("integer", "long", "uuid", "date")]
    for param in typed:
        answer = cloud.do("admin", name, **{param: "x!"})
        assert answer.get("errorcode") == 431, (param, answer)


@pytest.mark.parametrize("name", sorted(name for name in COMMANDS if not RECORDED[name]["user"]))
def test_a_command_that_users_lack_does_not_exist_for_them(cloud: Simulator, name: str) -> None:
    assert cloud.do("tenant", name)["errorcode"] == 432


def test_no_command_that_reads_is_a_job() -> None:
    assert not [name for name, command in COMMANDS.items() if command.reads and RECORDED[name]["isasync"]]


def test_a_handler_reads_only_parameters_that_its_commands_have() -> None:
    known = defaultdict(set)
    for command in COMMANDS.values():
        room = command.handler.__module__.rpartition(".")[2]
        known[room] |= {param.name for param in load_apis()[command.name].params}  # root's own among them
    everywhere = set().union(*known.values())
    strange = [
        (path.stem, node.lineno, node.args[0].value)
        for path in Path(areas.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in READERS
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "call"
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and node.args[0].value not in (everywhere if path.stem in FOR_OTHERS else known[path.stem])
    ]
    assert strange == []
