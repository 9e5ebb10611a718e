"""docs/tutorial.md does what it says: its files are written, its commands typed, its outputs seen."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.shop import MakeProject

PAGE = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_every_block_of_the_page_does_what_it_says(project: MakeProject) -> None:
    world = project({"bin": {"skillpm*": f'#!/bin/sh\nexec {sys.executable} -m skillpm "$@"\n'}})
    environment = {**world.environment, "PATH": f"{world.root / 'bin'}:{world.environment['PATH']}"}
    said = ""
    for kind, text in BLOCKS:
        if kind == "sh":
            said = ""
            for line in text.splitlines():
                done = subprocess.run(
                    ["sh", "-euc", line], cwd=world.root, env=environment, capture_output=True, text=True, timeout=110
                )
                assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
                said += done.stdout + done.stderr
        elif kind == "text":
            for line in text.splitlines():
                assert line in said
        else:
            name, _, content = text.partition("\n")
            world.write({name.removeprefix("# "): content})

    rows = [json.loads(line) for line in (world.root / "data/train.jsonl").read_text().splitlines()]
    held = [json.loads(line) for line in (world.root / "data/held_out.jsonl").read_text().splitlines()]
    assert len(rows) == 60 and len(held) == 12
    owned = [row for row in rows if "rule:owned_marks" in row["tags"]]
    assert len(owned) > 10
    assert not any(name in row["prompt"][-1]["content"] for row in owned for name in ("grace", "margaret"))
