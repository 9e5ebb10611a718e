"""What skill code can do in each sandbox: the attempts of tests/cases/sandbox.yaml, and the table of docs/sandbox.md.

Runs them at every level of this machine, with every version of Landlock up to its own, and as root also without
capabilities. Prints what differs from what the data say, then the table:

    python benchmarks/security.py [--level LEVEL] [--only WORD] [--control] [--write]

``--control`` only runs the harmless ones without any sandbox: an attempt that fails there shows nothing. ``--write``
puts the table into docs/sandbox.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from skillpm.errors import PolicyError  # noqa: E402
from skillpm.sandbox import privileges  # noqa: E402
from skillpm.sandbox.sandbox import LEVELS, Sandbox, choose  # noqa: E402
from tests.battery import MARKS, VERIFIER, Attempt, Outside, attempts, battery, cases, table, user  # noqa: E402


def sandboxes(level: str | None) -> Iterator[Sandbox]:
    """Yield the levels of this machine, each with every version of Landlock."""
    for name in LEVELS if level is None else (level,):
        try:
            sandbox = choose(name)
        except PolicyError as error:
            print(f"{user()}: {error.message}")
            continue
        yield from (replace(sandbox, landlock=version) for version in range(sandbox.landlock, 0, -1))
        if not sandbox.landlock or name == "bubblewrap":
            yield replace(sandbox, landlock=0)


def examine(level: str | None, chosen: list[Attempt]) -> int:
    """Print what differs from the data; return how much."""
    wrong = 0
    for sandbox in sandboxes(level):
        bare = sandbox.level == "bubblewrap" and not sandbox.landlock
        begin, differences = time.monotonic(), []
        with battery(sandbox) as runner:
            for attempt in chosen:
                through, word = runner.run(attempt)
                if through != attempt.expected(sandbox.level, user()):
                    differences.append(
                        f"  {attempt.name} ({attempt.row}): {'goes through' if through else 'held'}: {word}"
                    )
        mark = " (without Landlock: not in the table)" if bare else ""
        seconds = time.monotonic() - begin
        print(f"{user()}, {sandbox.level}, Landlock {sandbox.landlock}{mark}: {len(chosen)} attempts, "
              f"{len(differences)} differ from the table, {seconds:.0f} s")  # fmt: skip
        print("\n".join(differences), end="\n" if differences else "", flush=True)
        wrong += 0 if bare else len(differences)
    return wrong


def control(chosen: list[Attempt]) -> None:
    """Print the attempts that do not even go through without a sandbox."""
    head = VERIFIER.replace("{NUMBERS}", repr(cases()["numbers"])).replace("from skillpm.plugin import Verdict", "")
    for attempt in chosen:
        if attempt.harmful or not attempt.control or attempt.row == "leave":
            continue
        with tempfile.TemporaryDirectory() as folder:
            outside = Outside(Path(folder))
            own = Path(folder, "own")
            own.mkdir()
            for name in ("SKILL.md", "verifier.py"):
                (own / name).write_text("x")
            names = {**outside.names(), "OWN": str(own)}
            code = f"{head}\nresult = run({attempt.code!r}, {names!r})\nsys.exit(0 if result else 'false')"
            code = code.replace("Path(__file__).parent", f"Path({str(own)!r})")
            done = subprocess.run([sys.executable, "-"], input=code, capture_output=True, text=True, cwd=own)
            if done.returncode:
                print(f"without a sandbox, {attempt.name} ({attempt.row}): {done.stderr[-200:]}")
            outside.close()


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--level", choices=LEVELS)
    parser.add_argument("--only", default="", help="attempts whose name or row contains this")
    parser.add_argument("--control", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--bare", action="store_true", help="give up all capabilities first")
    options = parser.parse_args()
    if options.bare:
        privileges.drop()
    chosen = [attempt for attempt in attempts() if options.only in (attempt.row, "") or options.only in attempt.name]
    if options.control:
        control(chosen)
        return 0
    wrong = examine(options.level, chosen)
    if user() == "root":
        level = ["--level", options.level] if options.level else []
        words = [sys.executable, __file__, "--bare", "--only", options.only, *level]
        wrong += subprocess.run(words, env={**os.environ, "PYTHONPATH": str(ROOT)}).returncode
    if not options.bare:
        print(table())
    if options.write:
        page = ROOT / "docs" / "sandbox.md"
        before, rest = page.read_text(encoding="utf-8").split(MARKS[0])
        after = rest.split(MARKS[1])[1]
        page.write_text(f"{before}{MARKS[0]}{table()}{MARKS[1]}{after}", encoding="utf-8")
    return min(wrong, 99)


if __name__ == "__main__":
    sys.exit(main())
