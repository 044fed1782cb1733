"""Calls that the cloud makes itself: for a policy, a schedule or a group of machines whose time has come.

Apart from `call`, which reads requests. Surprising: such a call has a user like any other, one of the account it acts
for; a project has none, so an administrator stands in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .call import Call
from .params import Checker

if TYPE_CHECKING:
    from .model import User
    from .simulator import Simulator


def user_of(simulator: Simulator, account: str) -> User:
    world = simulator.world
    own = next((user for user in world.user if user.account == account), None)
    return own or next(user for user in world.user if world.account[user.account].type == 1)


def call_as(simulator: Simulator, user: User, command: str, id_kind: str | None, **raw: str) -> Call:
    """The call of a command as a handler gets it."""
    api = simulator.apis[command]
    return Call(simulator, api, user, raw, "POST", Checker(simulator.world, api, id_kind, raw, False).read())
