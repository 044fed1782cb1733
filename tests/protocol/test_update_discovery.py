"""The script that makes the data file: what it drops, keeps and changes, and that the file is its work."""

from __future__ import annotations

import gzip
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("update_discovery", ROOT / "tools" / "update_discovery.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


script = _script()


def _patches() -> list[dict[str, Any]]:
    patches: list[dict[str, Any]] = json.loads(script.PATCHES.read_text())
    return patches


def test_the_data_file_is_what_the_script_makes() -> None:
    pytest.importorskip("googleapiclient")
    original = script.source().read_bytes()
    made = gzip.decompress(script.build(original, _patches()))
    if json.loads(original)["revision"] != "20261106":
        pytest.skip("a newer google-api-python-client is installed; run tools/update_discovery.py")
    assert made == gzip.decompress(script.TARGET.read_bytes())


def test_the_file_is_the_same_whenever_it_is_made() -> None:
    assert script.build(b'{"schemas": {}}', []) == script.build(b'{"schemas": {}}', [])
    assert script.TARGET.read_bytes()[4:8] == bytes(4)


def test_descriptions_go_and_members_named_description_stay() -> None:
    schema = {
        "description": "A thing.",
        "properties": {"description": {"type": "string", "description": "Optional."}},
    }
    assert script.strip({"schemas": {"Thing": schema}}) == {
        "schemas": {"Thing": {"properties": {"description": {"type": "string"}}}}
    }


@pytest.mark.parametrize(
    "words",
    [
        "[Output Only] The id.",
        "[Output\n  Only] The id.",
        "Output only. The id.",
        "[DEPRECATED] Gone. [Output only] A hash.",
    ],
)
def test_output_only_prose_becomes_a_mark(words: str) -> None:
    assert script.strip({"type": "string", "description": words})["readOnly"] is True


@pytest.mark.parametrize("words", ["[Output only for type PARTNER. Input only else].", "See the [Output Only] id."])
def test_prose_that_only_mentions_output_is_no_mark(words: str) -> None:
    assert "readOnly" not in script.strip({"type": "string", "description": words})


def test_every_patch_says_why() -> None:
    assert [patch["path"] for patch in _patches() if not patch.get("reason")] == []


def test_a_patch_that_no_longer_applies_is_an_error() -> None:
    with pytest.raises(script.PatchError, match="a/b is 2, not 1"):
        script.patch({"a": {"b": 2}}, [{"path": ["a", "b"], "was": 1, "now": 3, "reason": "r"}])
    with pytest.raises(script.PatchError, match="a/x/b does not exist"):
        script.patch({"a": {}}, [{"path": ["a", "x", "b"], "was": 1, "reason": "r"}])


def test_a_star_reaches_every_key_that_has_the_member_beside() -> None:
    document: dict[str, Any] = {"m": {"list": {"maxResults": 1}, "get": {}}}
    script.patch(document, [{"path": ["m", "*", "partial"], "beside": "maxResults", "was": None, "now": 2}])
    assert document == {"m": {"list": {"maxResults": 1, "partial": 2}, "get": {}}}
