"""A process ends with the one that started it."""

from __future__ import annotations

import signal
import subprocess
import sys

import psutil
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone does this")

CHILD = """
import os, signal, sys, time
from skillpm.sandbox.parent import end_with_parent
end_with_parent(int(sys.argv[1]), signal.Signals(int(sys.argv[2])))
os.write(1, f"{os.getpid()}\\n".encode())
os.execvp("sleep", ["sleep", "600"])
"""
PARENT = """
import os, signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], str(os.getpid()), sys.argv[2]])
signal.pause()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_program_ends_with_a_parent_that_is_killed(number: signal.Signals) -> None:
    words = [sys.executable, "-c", PARENT, CHILD, str(int(number))]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    assert psutil.wait_procs([child], timeout=30)[1] == []


def test_a_process_whose_parent_has_ended_before_ends_at_once() -> None:
    ended = subprocess.run([sys.executable, "-c", CHILD, str(2**22), "9"], timeout=300)
    assert ended.returncode == 3
