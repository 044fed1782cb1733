"""How often commands are tried where CloudStack and its lists disagree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from gstack.errors import GceError
from gstack.firewall.writer import MOST_VAIN, Command, Writer, settle


class Stubborn(Writer):
    """Fails every command alike, and counts how often it was asked."""

    def __init__(self, kind: str) -> None:
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "rounds", [])
        super().__init__(None, lambda _: None)  # type: ignore[arg-type]

    def all(self, commands: Sequence[Command], progress: Any = None) -> list[GceError]:
        self.rounds.append(len(commands))
        return [GceError(self.kind, f"No to {name}.") for name, _ in commands]


class Left:
    """A world in which so many rules are to be deleted."""

    def __init__(self, number: int) -> None:
        self.number = number

    def wanted(self) -> tuple[None, set[str]]:
        return None, {"so be it"}

    def changes(self) -> list[list[Command]]:
        return [[("deleteFirewallRule", {"id": number}) for number in range(self.number)]]


def test_what_cloudstack_lists_and_cannot_find_is_given_up_soon() -> None:
    writer = Stubborn("notFound")
    with pytest.raises(GceError, match="No to deleteFirewallRule"):
        settle(writer, lambda _: Left(1))
    assert len(writer.rounds) == MOST_VAIN


def test_what_cloudstack_refuses_is_given_up_when_it_refuses_it_again() -> None:
    writer = Stubborn("invalid")
    with pytest.raises(GceError, match="No to deleteFirewallRule"):
        settle(writer, lambda _: Left(1))
    assert len(writer.rounds) == 1


def test_what_others_take_away_meanwhile_is_progress() -> None:
    writer, left = Stubborn("notFound"), iter([9, 8, 7, 6, 5, 4, 3, 2, 1, 0])
    assert settle(writer, lambda _: Left(next(left))) == {"so be it"}
