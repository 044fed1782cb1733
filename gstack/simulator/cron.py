"""Cron expressions as CloudStack reads them: minute, hour, day of the month, month, day of the week; and time zones.

Apart, because it is pure. Surprising: a time zone that Java does not know is GMT to it; both days must fit, as in
Spring's `CronExpression` and unlike in crontab; Sunday is 0 and 7; and what Spring would take is refused where the
library that puts schedules into words does not (`DateUtil.getHumanReadableSchedule`).
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from functools import cache
from zoneinfo import available_timezones

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
SUNDAY = 7
# name, least and greatest value, and how the text of an error tells those
FIELDS = (
    ("MinuteOfHour", 0, 59, "0 - 59"),
    ("HourOfDay", 0, 23, "0 - 23"),
    ("DayOfMonth", 1, 31, "1 - 28/31"),
    ("MonthOfYear", 1, 12, "1 - 12"),
    ("DayOfWeek", 0, 7, "1 - 7"),
)
OF_DAYS = ("DayOfMonth", "DayOfWeek")
NTH = re.compile(r"([0-7])#([1-5])")  # a day of the week, and which one of its month
LONGEST = 366 * 8 + 3  # days until the 29th of February comes again, at the worst


@cache
def zones() -> frozenset[str]:
    return frozenset(available_timezones())


def known_zone(name: str) -> str:
    return name if name in zones() else "GMT"


class Cron:
    def __init__(self, text: str) -> None:
        """Raises ValueError in the words of the server, which puts the seconds in front and counts them."""
        fields = text.split()
        if len(fields) != len(FIELDS):
            raise ValueError(f'Cron expression must consist of 6 fields (found {len(fields) + 1} in "0 {text}")')
        self.nth = 0  # 0: any
        found = []
        for field, (name, low, high, shown) in zip(fields, FIELDS, strict=True):
            check_known(field, name)
            plain = in_numbers(field, name)
            nth = NTH.fullmatch(plain) if name == "DayOfWeek" else None
            if nth:
                plain, self.nth = nth[1], int(nth[2])
            try:
                found.append(values(plain, name, low, high, shown))
            except ValueError as problem:
                raise ValueError(f"{problem} '{plain}' in cron expression \"0 {text}\"") from None
        for field, (_, low, high, _) in zip(fields, FIELDS, strict=True):
            check_period(field, low, high)
        self.minutes, self.hours, self.days, self.months, week = found
        self.weekdays = {day % 7 for day in week}

    def fits(self, day: date) -> bool:
        nth = self.nth in (0, (day.day + 6) // 7)
        return nth and day.month in self.months and day.day in self.days and day.isoweekday() % 7 in self.weekdays

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


def check_known(field: str, name: str) -> None:
    """CloudStack tells a schedule in words, and what does that knows no L and W, which the rest of it does."""
    odd = [sign for sign in "LW" if sign in in_numbers(field, name).upper()]
    if name in OF_DAYS and odd:
        told = f"Expression: {field} Invalid chars: {''.join(odd)}"
        raise ValueError(f"Failed to parse cron expression. Invalid chars in expression! {told}")


def check_period(field: str, low: int, high: int) -> None:
    """The same does not count in steps that are longer than the field."""
    for step in (part.partition("/")[2] for part in field.split(",")):
        if step and int(step) > high:
            raise ValueError(f"Failed to parse cron expression. Period {step} not in range [{low}, {high}]")


def in_numbers(field: str, name: str) -> str:
    """With the names of months and days put into numbers, wherever they stand."""
    names = {"MonthOfYear": MONTHS, "DayOfWeek": DAYS}.get(name)
    if names is None:
        return field
    field = field.upper()
    for number, word in enumerate(names, 1):
        field = field.replace(word, str(number))
    return field


def values(field: str, name: str, low: int, high: int, shown: str) -> set[int]:
    """What one field means; ValueError in Java's words."""
    if field == "?" and name in OF_DAYS:
        field = "*"
    found: set[int] = set()
    for part in field.split(","):
        span, slash, step = part.partition("/")
        first, last = bounds(span, name, low, high, shown)
        if slash and "-" not in span:
            last = high
        width = java_integer(step) if slash else 1
        if width < 1:
            raise ValueError("Incrementer delta must be 1 or higher")
        found |= set(range(first, last + 1, width))
    return found


def bounds(span: str, name: str, low: int, high: int, shown: str) -> tuple[int, int]:
    if span == "*":
        return low, high
    start, dash, end = span.partition("-")
    ends = [java_integer(word) for word in ((start, end) if dash else (start,))]
    for number in ends:
        if not low <= number <= high:
            raise ValueError(f"Invalid value for {name} (valid values {shown}): {number}")
    first, last = ends[0], ends[-1]
    if dash and name == "DayOfWeek" and first == SUNDAY:
        first = 0
    if first > last:
        raise ValueError("Minimum value must be less than maximum value")
    return first, last


def java_integer(word: str) -> int:
    if not word.removeprefix("+").isdecimal():
        raise ValueError(f'For input string: "{word}"')
    return int(word)
