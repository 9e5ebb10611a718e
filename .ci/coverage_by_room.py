"""Prints the branch coverage of each room of skillpm/: ``python .ci/coverage_by_room.py build/coverage.json``."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path, PurePath

COUNTS = ("num_statements", "covered_lines", "num_branches", "covered_branches")


def room(path: str) -> str:
    """Return the folder of a module below skillpm/, or the module itself where it is in none."""
    parts = PurePath(path).parts
    deep = 3 if parts[1] in ("ops", "train") and len(parts) > 3 else 2
    return "/".join(parts[1:deep])


def main() -> None:
    """Add up lines and branches by room, as `coverage report` does for the whole."""
    report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    rooms: dict[str, Counter[str]] = {}
    for path, file in report["files"].items():
        for name in (room(path), "all"):
            rooms.setdefault(name, Counter()).update({count: file["summary"][count] for count in COUNTS})
    print(f"{'room':20} {'lines':>6} {'branches':>8} {'covered':>8}")
    for name in sorted(rooms, key=lambda name: (name == "all", name)):
        lines, covered, branches, taken = (rooms[name][count] for count in COUNTS)
        share = (covered + taken) / max(1, lines + branches)
        print(f"{name:20} {lines:6} {branches:8} {share:8.1%}")


if __name__ == "__main__":
    main()
