"""Evaluation overhead: what a sample and a start cost beside the model, beside inspect-ai where it is installed.

Both sides answer a scripted text at once, judge it, and write their log; each run is a process of its own, its CPU time
counts its children (our worker) too. A sample costs the difference between a long and a short run; a start is the
short run. The peer (``pip install inspect-ai==0.3.285``) is asked with ``mockllm/model`` and a scorer that parses the
same JSON; without ``--peer PYTHON`` a figure measured earlier on two shared cores stands, marked as such.

A second table has the memory and the CPU time of each command that reads a stored evaluation, and of ``eval`` itself,
at ``--records`` answers, half of them wrong.

    python benchmarks/evaluation.py [--samples 1000] [--rounds 3] [--peer /path/to/python] [--records 100000]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

EARLIER = (0.42, 3.31)  # ms a sample, s a start, of inspect-ai 0.3.285
SKILL = "---\nname: bench\ndescription: Starts a server. Use it when someone wants a server.\n---\nPorts are numbers.\n"
CONTRACT = """\
contract: 1
system_prompt: Answer with one JSON object.
tools:
  - name: dev
    input_schema:
      type: object
      properties: {port: {type: integer}, quiet: {type: boolean}}
      required: [port]
      additionalProperties: false
    argv: [server, {flag: --port, value: port}]
"""
PEER = """
import json, sys
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput, get_model
from inspect_ai.scorer import CORRECT, INCORRECT, Score, accuracy, scorer

@scorer(metrics=[accuracy()])
def tool_call():
    async def score(state, target):
        try:
            right = json.loads(state.output.completion) == json.loads(target.text)
        except ValueError:
            right = False
        return Score(value=CORRECT if right else INCORRECT)
    return score

rows = [json.loads(line) for line in open(sys.argv[1])]
samples = [Sample(input=row["request"], target=json.dumps(row["expected"])) for row in rows]
outputs = [ModelOutput.from_content("mockllm/model", json.dumps(row["expected"])) for row in rows]
eval(Task(dataset=samples, scorer=tool_call()), model=get_model("mockllm/model", custom_outputs=outputs),
     display="none", log_format="eval", log_dir=sys.argv[2])
"""


class Scripted:
    """A policy that knows every answer."""

    name = "scripted"

    def complete(self, prompts: Sequence[Sequence[object]], *, max_new_tokens: int) -> Iterator[tuple[int, object]]:
        """Answer at once."""
        from skillpm.model.ports import Completion

        for index in range(len(prompts)):
            text = json.dumps({"tool": "dev", "args": {"port": index + 1, "quiet": None}})
            yield index, Completion(text, 40, 20, "stop")


def ours(folder: Path, output: Path) -> None:
    """Evaluate the skill in ``folder`` and write evaluation.json and report.html."""
    from skillpm.cli.output import PlainProgress
    from skillpm.evals.asking import Asking
    from skillpm.ops.context import Context
    from skillpm.ops.learning.evaluate import Evaluator, evaluate_model
    from skillpm.settings import load_settings

    context = Context(load_settings(project=folder, environment={"SKILLPM_HOME": str(folder / "home")}))
    evaluator = Evaluator(context, Asking(), PlainProgress(), lambda request, settings: Scripted())
    evaluate_model(evaluator, context.skills([str(folder / "bench")]), str(folder / "model"), output=output)


def write_work(folder: Path, samples: int) -> None:
    """Write the skill, the stand-in for a model's folder, and the peer's rows."""
    rows = [
        {"request": f"start it on {port}", "expected": {"tool": "dev", "args": {"port": port, "quiet": None}}}
        for port in range(1, samples + 1)
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    files = {
        "bench/SKILL.md": SKILL,
        "bench/contract.yaml": CONTRACT,
        "bench/suites/ports.yaml": "name: ports\ntasks: ports.jsonl\n",
        "bench/suites/ports.jsonl": lines,
        "model/config.json": "{}",
        "rows.jsonl": lines,
        "peer.py": PEER,
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


class Answers(Sequence[Any]):
    """Records of the skill's tasks, made when they are asked for; of two seeds, other ones are wrong."""

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self.seed = seed

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, place: Any) -> Any:
        if not 0 <= place < self.count:
            raise IndexError(place)
        from skillpm.model.evaluation import Record
        from skillpm.model.task import Task
        from skillpm.model.verdict import Verdict

        port, right = place + 1, random.Random(place * 10 + self.seed).random() < 0.5
        expected = {"tool": "dev", "args": {"port": port, "quiet": None}}
        answer = {"tool": "dev", "args": {"port": port if right else port + 1, "quiet": None}}
        task = Task.of(
            skill="bench", system="", request=f"start it on {port}", expected=expected, split="suite", origin="suite"
        )
        why = () if right else (f"`port` is {port + 1} where {port} was expected",)
        return Record(
            task=task.key,
            skill="bench",
            suite="ports",
            request=task.request,
            expected=expected,
            completion=json.dumps(answer),
            argv=(("server", "--port", str(answer["args"]["port"])),),
            verdict=Verdict(status="passed" if right else "failed", score=float(right), reasons=why),
            rewards={"exact_match": float(right), "only_json": 1.0},
            exact=right,
            valid_json=True,
            finish_reason="stop",
            prompt_tokens=40,
            completion_tokens=20,
            tags=(f"template:{place % 500}",) if place % 2 else ("port", f"part {place % 7}"),
        )


def write_stored(path: Path, count: int, seed: int) -> None:
    """Write an evaluation of so many answers, one at a time."""
    from skillpm.model.evaluation import Arm, EvaluatedSkill, Evaluation, TaskSet
    from skillpm.storage.files import write_atomic

    evaluation = Evaluation(
        skills=(EvaluatedSkill(name="bench", version="0", tree="", reward="exact_match"),),
        task_sets=(TaskSet(skill="bench", name="ports", tasks=count, gate={"at_least": 0.4}),),
        arms=(Arm(name="base", model="scripted", records=Answers(count, seed), seconds=0),),
        data="",
    )
    write_atomic(path, evaluation.chunks())


def memory(records: int) -> None:
    """Print the memory and the CPU time of commands over so many answers."""
    print(f"\n{f'{records:,} answers':<34}{'peak MB':<12}CPU s")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_work(folder, records)
        for seed in (1, 2):
            write_stored(folder / f"{seed}.json", records, seed)
        skillpm = [sys.executable, "-m", "skillpm"]
        for what, command in {
            "report": [*skillpm, "report", "1.json"],
            "report, page": [*skillpm, "report", "1.json", "--output", "page.html"],
            "compare": [*skillpm, "compare", "1.json", "2.json"],
            "gate": [*skillpm, "gate", "1.json", "--baseline", "2.json"],
            "rescore": [*skillpm, "rescore", "1.json", "./bench"],
            "eval": [sys.executable, __file__, "--work", name],
        }.items():
            environment = {**os.environ, "SKILLPM_HOME": str(folder / "home"), "SKILLPM_NO_PLUGINS": "1"}
            peak, seconds = peak_of(command, folder, environment)
            print(f"{what:<34}{peak:<12.0f}{seconds:.1f}", flush=True)


def peak_of(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Return the peak memory of a process in MB, and the CPU seconds of it and of its children."""
    null = os.open(os.devnull, os.O_WRONLY)
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=null, stderr=null)
    _, status, usage = os.wait4(process.pid, 0)
    os.close(null)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1, 11):
        raise SystemExit(f"{command} exits {process.returncode}")
    return usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime


def cost(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Return CPU and wall seconds of a process and its children."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - start
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def measure(python: str | None, samples: int, rounds: int) -> tuple[float, float, float]:
    """Return ms of CPU a sample, CPU seconds and wall seconds of a start; ``python`` is the peer's, None for ours."""
    taken: dict[int, list[tuple[float, float]]] = {1: [], samples: []}
    with tempfile.TemporaryDirectory() as name:
        for round_number in range(rounds):
            for count, times in taken.items():
                folder = Path(name) / f"{count}-{round_number}"
                write_work(folder, count)
                own = [sys.executable, __file__, "--work", str(folder)]
                peer = [str(python), str(folder / "peer.py"), str(folder / "rows.jsonl"), str(folder / "logs")]
                times.append(cost(own if python is None else peer, {**os.environ, "SKILLPM_NO_PLUGINS": "1"}))
    short, long = ([statistics.median(column) for column in zip(*times, strict=True)] for times in taken.values())
    return (long[0] - short[0]) / (samples - 1) * 1000, short[0], short[1]


def main() -> None:
    """Print one table: what, peer, ours, ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", help="a Python that has inspect-ai")
    parser.add_argument("--records", type=int, default=100_000, help="0 for none")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        ours(arguments.work, arguments.work / "out")
        return
    mine = measure(None, arguments.samples, arguments.rounds)
    peer = measure(arguments.peer, arguments.samples, arguments.rounds) if arguments.peer else (*EARLIER, None)
    mark = "" if arguments.peer else " (measured earlier)"
    print(f"{'what':<34}{'inspect-ai' + mark:<32}{'skillpm':<12}ratio")
    for what, theirs, own in zip(("CPU ms a sample", "CPU s a start", "wall s a start"), peer, mine, strict=True):
        shown = "-" if theirs is None else f"{theirs:.3f}"
        ratio = "-" if theirs is None else f"{own / theirs:.2f}"
        print(f"{what:<34}{shown:<32}{own:<12.3f}{ratio}")
    if arguments.records:
        memory(arguments.records)


if __name__ == "__main__":
    main()
