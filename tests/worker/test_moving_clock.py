"""A verdict that depends on the time or on the process is another one where these move."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import datetime
from skillpm.worker.moving_clock import move
day, noon = datetime.date(2024, 3, 5), datetime.datetime(2024, 3, 5, 12)
move()
import datetime, os, time
from datetime import date, datetime as moment
looks = {
    "hour": lambda: time.localtime().tm_hour, "second": lambda: int(time.time()) % 10, "weekday": date.today,
    "text": lambda: time.strftime("%H"), "month": lambda: moment.now().month,
    "zone": lambda: moment.now(datetime.UTC).hour,
    "process": lambda: os.getpid() % 64, "nanoseconds": lambda: time.time_ns() // 10**9 % 7, "text of it": time.ctime,
}
for name, look in looks.items():
    assert len({look() for _ in range(900)}) > 6, name
assert isinstance(moment.now() + datetime.timedelta(1), datetime.datetime)
for item in (day, noon, date.today(), moment.now(), moment.now().date(), moment.fromisoformat("2024-03-05")):
    assert isinstance(item, datetime.date), item
assert isinstance(noon, moment) and not isinstance(day, moment) and issubclass(moment, date)
class Own(date): pass
assert isinstance(Own(2024, 3, 5), Own) and not isinstance(day, Own) and not isinstance(7, date)
assert time.localtime(0).tm_year == 1970 and 1 > time.monotonic() - time.monotonic() > -1
"""


def test_every_clock_but_those_for_durations_shows_another_time_at_each_look() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
