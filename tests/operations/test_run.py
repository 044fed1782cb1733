"""Workflows from the inside: steps, jobs, warnings, undoing."""

from __future__ import annotations

from typing import Any

from gstack.operations.run import Run
from gstack.operations.workflow import workflow


@workflow("op.test.nothing")
def nothing(run: Run, plan: dict[str, Any]) -> None:
    pass


def test_a_workflow_without_steps_ends_as_a_done_operation(stage: Any) -> None:
    answer = stage.start("op.test.nothing")
    assert (answer["status"], answer["progress"]) == ("DONE", 100)
    assert "error" not in answer
