"""Validate 1,000 generated skills in one process, beside the reference validator where it is installed.

The peer is ``skills-ref`` (``pip install skills-ref``, console script ``agentskills``). Its command checks one skill a
process; here its Python function ``validate`` is called for every skill in one process, which is the faster of its two
ways, and the imports of both sides are counted apart. It reads SKILL.md only; ours looks at every file.

    python benchmarks/validate.py [--skills 1000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path


def write_skills(root: Path, count: int) -> None:
    """Write valid skills of three files each: 100 lines of instructions, a script, a reference."""
    script = "".join(f"print({number})\n" for number in range(20))
    reference = "".join(f"Line {number} of the reference says a little more about it.\n" for number in range(200))
    for number in range(count):
        name = f"bench-skill-{number:04d}"
        body = "".join(
            f"{line}. Do step {line} of skill {number}, then look at what it printed.\n" for line in range(100)
        )
        head = f"---\nname: {name}\ndescription: Does the work of skill {number}. Use when it is asked for.\n"
        files = {
            "SKILL.md": f'{head}license: MIT\nmetadata:\n  version: "1.0.0"\n---\n\n# {name}\n\n{body}',
            "scripts/run.py": script,
            "references/REFERENCE.md": reference,
        }
        for path, text in files.items():
            (root / name / path).parent.mkdir(parents=True, exist_ok=True)
            (root / name / path).write_text(text, encoding="utf-8")


def ours(root: Path) -> int:
    from skillpm.ops.validate import Level, validate

    return sum(report.ok for report in validate([root], level=Level.STRICT))


def peer(root: Path) -> int:
    from skills_ref import validate

    return sum(not validate(folder) for folder in sorted(root.iterdir()))


def seconds(work: Callable[[Path], int], root: Path, rounds: int, count: int) -> float:
    """Return the median wall time; the first, warming round is not counted."""
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        valid = work(root)
        times.append(time.perf_counter() - start)
        assert valid == count, f"{work.__name__} found {valid} of {count} skills valid"
    return statistics.median(times[1:])


def process(root: Path) -> float:
    """Return the wall time of our command with its start-up."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "skillpm", "validate", "--level", "strict", root], check=True, capture_output=True
    )
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--skills", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_skills(root, options.skills)
        our_time = seconds(ours, root, options.rounds, options.skills)
        has_peer = importlib.util.find_spec("skills_ref") is not None
        peer_time = seconds(peer, root, options.rounds, options.skills) if has_peer else None
        command = process(root)
    print(f"{'what':<52}{'peer':>10}{'ours':>10}{'ratio':>8}")
    shown, ratio = ("-", "-") if peer_time is None else (f"{peer_time:.2f} s", f"{our_time / peer_time:.2f}")
    print(f"{f'validate {options.skills} skills, one process':<52}{shown:>10}{f'{our_time:.2f} s':>10}{ratio:>8}")
    print(f"{'the same as a command, with start-up':<52}{'-':>10}{f'{command:.2f} s':>10}{'-':>8}")
    if peer_time is None:
        print("skills-ref is not installed: pip install skills-ref")


if __name__ == "__main__":
    main()
