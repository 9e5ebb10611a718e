"""Completions judged per second through a sandboxed worker, beside the bare function and a peer's rubric.

Workload: 512 prompts with 8 completions each; 25 % have one wrong value, 15 % another tool, 10 % are cut short; seed 0.
The peers score the same texts with three Python functions (format, name, argument F1). Ours does more: it refuses
duplicate keys, validates the JSON Schema, builds the argv and pays three rewards, in another process. All figures are
by CPU time, of the host and its worker together, so that a busy machine does not change them.

    python benchmarks/scoring.py                     # peer: the published figure
    python benchmarks/scoring.py --peer PYTHON       # PYTHON: an interpreter that has verifiers==0.1.14
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PUBLISHED_PEER = 12_500.0  # verifiers 0.1.14, completions/s on one core, measured elsewhere
PASSES = 9

HEAD = "contract: 1\nsystem_prompt: Answer with JSON.\ntools:\n"
TOOL = """
  - name: t%d
    input_schema:
      type: object
      properties: {path: {type: string}, rows: {type: integer}, to: {type: string}, strict: {type: boolean}}
    argv: [convert, {flag: --rows, value: rows}]
"""
CONTRACT = HEAD + "".join(TOOL % number for number in range(17))


def workload() -> list[tuple[dict[str, Any], str]]:
    chance = random.Random(0)
    pairs = []
    for index in range(512):
        arguments = {"path": f"f{index}.csv", "rows": index, "to": "json", "strict": index % 2 == 0}
        gold = {"tool": f"t{index % 17}", "args": arguments}
        for _ in range(8):
            answer = json.loads(json.dumps(gold))
            drawn = chance.random()
            if drawn < 0.25:
                answer["args"]["rows"] += 1
            elif drawn < 0.4:
                answer["tool"] = "other"
            text = json.dumps(answer)
            pairs.append((gold, text[:-3] if drawn > 0.9 else text))
    return pairs


def parse(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    good = isinstance(value, dict) and {"tool", "args"} <= value.keys() and isinstance(value["args"], dict)
    return value if good else None


def well_formed(text: str, gold: dict[str, Any]) -> float:
    return 1.0 if parse(text) is not None else 0.0


def right_tool(text: str, gold: dict[str, Any]) -> float:
    value = parse(text)
    return 1.0 if value and value["tool"] == gold["tool"] else 0.0


def right_arguments(text: str, gold: dict[str, Any]) -> float:
    value = parse(text)
    if not value:
        return 0.0
    expected, given = gold["args"], value["args"]
    hits = sum(1 for name, item in expected.items() if name in given and given[name] == item)
    return 2 * hits / (len(expected) + len(given))


def rate(count: int, work: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    seconds = []
    for _ in range(PASSES):
        start = clock()
        work()
        seconds.append(clock() - start)
    return count / statistics.median(seconds)


def bare(pairs: list[tuple[dict[str, Any], str]]) -> float:
    functions = (well_formed, right_tool, right_arguments)
    return rate(len(pairs), lambda: [function(text, gold) for function in functions for gold, text in pairs])


def peer(pairs: list[tuple[dict[str, Any], str]]) -> float:
    import verifiers as vf

    def of(function: Callable[[str, dict[str, Any]], float]) -> Callable[..., float]:
        def reward(completion: Any, info: dict[str, Any]) -> float:
            return function(completion[-1]["content"], info)

        reward.__name__ = function.__name__
        return reward

    rubric = vf.Rubric(funcs=[of(well_formed), of(right_tool), of(right_arguments)], weights=[0.2, 0.3, 0.5])

    def groups() -> list[Any]:
        states = [
            vf.State(prompt=[], completion=[{"role": "assistant", "content": text}], info=gold, answer="", task="",
                     timing={}, trajectory=[])
            for gold, text in pairs
        ]  # fmt: skip
        return [states[start : start + 8] for start in range(0, len(states), 8)]

    async def score(batch: list[Any]) -> None:
        for group in batch:
            await rubric.score_group(group)

    batches = [groups() for _ in range(PASSES)]  # scoring writes into them, so each pass has its own
    return rate(len(pairs), lambda: asyncio.run(score(batches.pop())))


def worker_seconds(process: int) -> float:
    """Return the CPU seconds of another process (Linux)."""
    words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def ours(pairs: list[tuple[dict[str, Any], str]]) -> dict[str, float]:
    from skillpm.model.episode import Episode
    from skillpm.model.skill import Skill
    from skillpm.model.task import Message, Task
    from skillpm.runtime.consent import Consents
    from skillpm.runtime.limits import Limits
    from skillpm.runtime.scoring import Scorer

    episodes = []
    for index, (gold, text) in enumerate(pairs):
        task = Task.of(skill="bench", system="", request=f"{index // 8}", expected=gold, split="train", origin="rule")
        episodes.append(Episode(task=task, messages=(Message(role="assistant", content=text),)))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "contract.yaml").write_text(CONTRACT)
        skill = Skill("bench", "1", "0" * 64, root)
        start = time.perf_counter()
        with Scorer([skill], consents=Consents(root / "none"), limits=Limits(memo_items=0)) as scorer:
            scorer.judge(episodes[:1])
            first = time.perf_counter() - start
            process = scorer._crews["bench"].processes[0]
            assert process is not None

            def both() -> float:
                return time.process_time() + worker_seconds(process.pid)

            batch = rate(len(episodes), lambda: scorer.judge(episodes), both)
            host = rate(len(episodes), lambda: scorer.judge(episodes))
            distinct = rate(len(episodes), lambda: scorer.judge_afresh(episodes), both)
            status = Path(f"/proc/{process.pid}/status")
            resident = int(status.read_text().split("VmRSS:")[1].split()[0]) / 1024 if status.exists() else float("nan")
        with Scorer([skill], consents=Consents(root / "none")) as scorer:
            scorer.judge(episodes)
            memo = rate(len(episodes), lambda: scorer.judge(episodes))
    return {"first": first, "batch": batch, "host": host, "distinct": distinct, "resident": resident, "memo": memo}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="an interpreter that has verifiers==0.1.14")
    parser.add_argument("--as-peer", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    pairs = workload()
    if options.as_peer:
        print(peer(pairs))
        return
    function = bare(pairs)
    theirs, name = PUBLISHED_PEER, "verifiers 0.1.14, published"
    if options.peer:
        done = subprocess.run([options.peer, __file__, "--as-peer"], capture_output=True, text=True, check=True)
        theirs, name = float(done.stdout.split()[-1]), "verifiers 0.1.14, this run"
    measured = ours(pairs)
    distinct = len({(json.dumps(gold), text) for gold, text in pairs})
    rows = [
        (f"GRPO batch of {len(pairs)} ({distinct} distinct), completions/s", name, theirs, measured["batch"]),
        ("the same, every copy judged, completions/s", name, theirs, measured["distinct"]),
        ("the same, all known (memo), completions/s", name, theirs, measured["memo"]),
        ("the same, beside the bare function", "3 functions, no worker", function, measured["batch"]),
        ("the same, CPU of the host alone, completions/s", name, theirs, measured["host"]),
    ]
    print(f"{'what':58} {'peer':28} {'peer':>10} {'ours':>10} {'ratio':>7}")
    for what, who, other, mine in rows:
        print(f"{what:58} {who:28} {other:10,.0f} {mine:10,.0f} {mine / other:7.2f}")
    print(
        f"from nothing to the first verdict: {measured['first']:.2f} s; worker: {measured['resident']:.0f} MB resident"
    )
    print(f"python {sys.version.split()[0]}, {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
