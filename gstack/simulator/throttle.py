"""The limit on calls: so many an account in a second, if the operator wants it.

Apart, because it counts accounts and knows no command. Surprising: the window opens with an account's first
call and not with the clock, root is never counted, and no header tells when to come back.
"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import ApiError
from .model import Account, Row
from .settings import Settings
from .world import World


@dataclass(slots=True)
class Window:
    ends: float
    count: int = 0


class Throttle:
    def __init__(self, world: World, settings: Settings) -> None:
        self.world = world
        self.settings = settings
        self.windows: dict[str, Window] = {}

    @property
    def top(self) -> int:
        return int(self.settings.number("api.throttling.max"))

    def window(self, account: Account) -> Window:
        now, window = self.world.now(), self.windows.get(account.id)
        if window is None or window.ends <= now:
            window = self.windows[account.id] = Window(now + self.settings.number("api.throttling.interval"))
        return window

    def count(self, account: Account) -> None:
        """Count a call; raises 429 when it is one too many."""
        if not self.settings.flag("api.throttling.enabled") or account.type == 1:
            return
        window = self.window(account)
        window.count += 1
        if window.count > self.top:
            left = max(1, round((window.ends - self.world.now()) * 1000))
            text = f"The given user has reached his/her account api limit, please retry after [{left}] ms."
            raise ApiError(429, text, 9999)

    def row(self, account: Account) -> Row:
        window = self.window(account)
        left = round((window.ends - self.world.now()) * 1000)
        row: Row = {"accountid": self.world.uuid(), "account": account.name, "apiIssued": window.count}
        return {**row, "apiAllowed": self.top - window.count, "expireAfter": left}
