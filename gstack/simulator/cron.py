"""Cron expressions as CloudStack reads them: minute, hour, day of the month, month, day of the week; and time zones.

Apart, because it is pure. Surprising: a time zone that Java does not know is GMT to it; both days must fit, as in
Spring's `CronExpression` and unlike in crontab; Sunday is 0 and 7; what Spring knows beyond (L, W and #) is refused.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from functools import cache
from zoneinfo import available_timezones

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
FIELDS = (
    ("MinuteOfHour", 0, 59),
    ("HourOfDay", 0, 23),
    ("DayOfMonth", 1, 31),
    ("MonthOfYear", 1, 12),
    ("DayOfWeek", 0, 7),
)
LONGEST = 366 * 8 + 3  # days until the 29th of February comes again, at the worst


@cache
def zones() -> frozenset[str]:
    return frozenset(available_timezones())


def known_zone(name: str) -> str:
    return name if name in zones() else "GMT"


class Cron:
    def __init__(self, text: str) -> None:
        """Raises ValueError in the words of the server, which puts the seconds in front and counts them."""
        parts = text.split()
        if len(parts) != len(FIELDS):
            raise ValueError(f'Cron expression must consist of 6 fields (found {len(parts) + 1} in "0 {text}")')
        found = [values(part, *field) for part, field in zip(parts, FIELDS, strict=True)]
        self.minutes, self.hours, self.days, self.months, week = found
        self.weekdays = {day % 7 for day in week}

    def fits(self, day: date) -> bool:
        return day.month in self.months and day.day in self.days and day.isoweekday() % 7 in self.weekdays

    def after(self, moment: datetime) -> datetime | None:
        """The first minute after a moment at which it strikes; None if it never does."""
        for ahead in range(LONGEST):
            day = moment.date() + timedelta(days=ahead)
            if not self.fits(day):
                continue
            for hour in sorted(self.hours):
                for minute in sorted(self.minutes):
                    strikes = datetime.combine(day, time(hour, minute))
                    if strikes > moment:
                        return strikes
        return None


def values(text: str, name: str, low: int, high: int) -> set[int]:
    """What one field means."""
    found: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        if span in ("*", "?"):
            first, last = low, high
        else:
            start, dash, end = span.partition("-")
            first = number(start, part, name, low, high)
            last = number(end, part, name, low, high) if dash else high if slash else first
        width = number(step, part, name, 1, high) if slash else 1
        found |= set(range(first, last + 1, width))
    return found


def number(text: str, part: str, name: str, low: int, high: int) -> int:
    word = text.upper()
    if name == "MonthOfYear" and word in MONTHS:
        return MONTHS.index(word) + 1
    if name == "DayOfWeek" and word in DAYS:
        return DAYS.index(word)
    if not word.isdecimal():
        raise ValueError(f"For input string: \"{text}\" '{part}'")
    if not low <= int(word) <= high:
        raise ValueError(f"Invalid value for {name} (valid values {low} - {high}): {int(word)} '{part}'")
    return int(word)
