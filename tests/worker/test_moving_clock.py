"""A verdict that depends on the time or on the process is another one where these move, and an honest one is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAD = """
import datetime
from pathlib import Path
from skillpm.worker.moving_clock import Moving
day, noon = datetime.date(2024, 3, 5), datetime.datetime(2024, 3, 5, 12)
moving = Moving(Path(__file__).parent)
moving.start()
import os, time
from datetime import date, datetime as moment
"""
LOOKS = """
import threading
looks = {
    "hour": lambda: time.localtime().tm_hour, "second": lambda: int(time.time()) % 10, "weekday": date.today,
    "text": lambda: time.strftime("%H"), "month": lambda: moment.now().month,
    "zone": lambda: moment.now(datetime.UTC).hour, "clock": lambda: int(time.clock_gettime(time.CLOCK_REALTIME)) % 10,
    "nanoseconds": lambda: time.time_ns() // 10**9 % 7, "text of it": time.ctime, "thread": threading.get_native_id,
    "process": lambda: os.getpid() % 64, "digit": lambda: os.getpid() % 10, "parent": os.getppid,
    "group": lambda: os.getpgid(0) % 7,
}
years, hours = [{(moving.begin(), read())[1] for _ in range(900)} for read in (
    lambda: moment.now().year, lambda: (moment.now().weekday(), moment.now().hour)
)]
assert len(years) > 20 and len(hours) == 7 * 24
for name, look in looks.items():
    assert len({(moving.begin(), look()) for _ in range(900)}) > 6, name
moving.begin()
seen = [(time.time(), time.time(), moment.now()) for _ in range(50)]
assert all(0 <= end - start < 1 and -1e-5 < now.timestamp() - end < 1 for start, end, now in seen)  # of microseconds
assert all(abs(seen[n][0] - seen[n + 1][0]) > 9 for n in range(49))
assert time.localtime(0).tm_year == 1970 and 1 > time.monotonic() - time.monotonic() > -1
"""
DATES = """
import copy, functools, pickle
assert isinstance(moment.now() + datetime.timedelta(1), datetime.datetime)
for item in (day, noon, date.today(), moment.now(), moment.now().date(), moment.fromisoformat("2024-03-05")):
    assert isinstance(item, datetime.date), item
    assert pickle.loads(pickle.dumps(item)) == copy.deepcopy(item) == item
    assert type(item) is (moment if hasattr(item, "hour") else date), item
assert isinstance(noon, moment) and not isinstance(day, moment) and issubclass(moment, date)
assert repr(date(2024, 3, 5)) == repr(day) == "datetime.date(2024, 3, 5)" and date(2024, 3, 5) == day
class Own(date): pass
own = Own.fromisoformat("2024-03-05")
assert isinstance(own, Own) and not isinstance(day, Own) and not isinstance(7, date) and type(own) is Own
form = functools.singledispatch(lambda item: "something")
form.register(date, lambda item: "a day")
assert form(day) == form(date.today()) == form(own) == "a day" and form(7) == "something"
from pydantic import BaseModel
class Dated(BaseModel):
    day: date
    at: moment
assert Dated(day="2024-03-05", at="2024-03-05T12:00:00").model_dump() == {"day": day, "at": noon}
"""
PROCESSES = """
import multiprocessing, subprocess, sys, tempfile
from concurrent.futures import ProcessPoolExecutor
for _ in range(3):
    moving.begin()
    child = multiprocessing.get_context("fork").Process(target=print)
    child.start()
    child.join()
    assert child.exitcode == 0
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        assert list(pool.map(abs, [-1, 2])) == [1, 2]
    with tempfile.NamedTemporaryFile() as one, tempfile.NamedTemporaryFile() as other:
        assert one.name != other.name
    assert subprocess.run([sys.executable, "-c", ""], check=True).returncode == 0
    assert os.getpid() == os.getpid()
    os.kill(os.getpid(), 0)
    os.killpg(os.getpgrp(), 0)
    assert os.getpgid(os.getpid()) == os.getpgid(pid=os.getpid()) == os.getpgrp()
    assert os.sched_getaffinity(os.getpid())
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, start_new_session=True) as reader:
        assert os.getpgid(reader.pid) == os.getsid(reader.pid) == reader.pid
        os.kill(-reader.pid, 0)
        os.kill(-os.getpgrp(), 0)
"""


def holds(folder: Path, code: str) -> None:
    script = folder / "verifier.py"
    script.write_text(HEAD + code)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_clock_but_those_for_durations_shows_another_time_for_each_answer(tmp_path: Path) -> None:
    holds(tmp_path, LOOKS)


def test_dates_are_dates_whoever_made_them(tmp_path: Path) -> None:
    holds(tmp_path, DATES)


def test_libraries_that_compare_process_numbers_work(tmp_path: Path) -> None:
    holds(tmp_path, PROCESSES)
