"""Completions judged per second: in process, through one sandboxed worker, through two, beside four peers.

Workload, the same for all: 512 prompts with 8 completions each and three rewards (format, name, argument F1); 25 % have
one wrong value, 15 % another tool, 10 % are cut short; seed 0. The weighted rewards of all add up to 3365.975, which is
checked in every peer.

- bare: the three functions and nothing else
- verifiers 0.1: `Rubric.score_group` in groups of 8
- verifiers 0.4: `Task.score` with three async rewards, gathered by 8
- openenv: `WeightedSum` of three `Rubric`s
- HTTP verify: one POST for each completion to a FastAPI server in a process of its own, 64 at once: NeMo Gym's shape
- NeMo Gym: the same to the resources server of nemo-gym itself, with its models of rows and its middleware. It needs a
  Python of its own, 3.12 or newer: make the environment below --peers with that

Ours does more than they do: it refuses duplicate keys, validates the JSON Schema, builds the argv and pays three
rewards. Figures are by CPU time, of all processes that take part; those of two workers are by the clock, beside one
worker by the clock.

    python benchmarks/scoring.py                        # peers that are installed below --peers; others are said
    python benchmarks/scoring.py --install              # makes a virtual environment for each of them first
    python benchmarks/scoring.py --peers FOLDER --passes 3
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
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

CHECKSUM = 3365.975
WEIGHTS = (0.2, 0.3, 0.5)
PEERS = {
    "verifiers 0.1": ["verifiers==0.1.14"],
    "verifiers 0.4": ["verifiers==0.4.0"],
    "openenv": ["openenv==0.10.0"],
    "HTTP verify": ["fastapi", "uvicorn", "aiohttp"],
    "NeMo Gym": ["nemo-gym==0.4.0"],
}
HEAD = "contract: 1\nsystem_prompt: Answer with JSON.\ntools:\n"
TOOL = """
  - name: t%d
    input_schema:
      type: object
      properties: {path: {type: string}, rows: {type: integer}, to: {type: string}, strict: {type: boolean}}
    argv: [convert, {flag: --rows, value: rows}]
"""
CONTRACT = HEAD + "".join(TOOL % number for number in range(17))
OWN = "def verify(attempts, contract):\n    return [attempt.verdict for attempt in attempts]\n"

Pair = tuple[dict[str, Any], str]


def workload(first_row: int = 0) -> list[Pair]:
    """Return (gold, completion) pairs; another first row makes other texts of the same kind."""
    chance = random.Random(0)
    pairs = []
    for index in range(512):
        arguments = {"path": f"f{index}.csv", "rows": first_row + index, "to": "json", "strict": index % 2 == 0}
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


# what all peers pay


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


FUNCTIONS = (well_formed, right_tool, right_arguments)


def weighted(text: str, gold: dict[str, Any]) -> float:
    return sum(weight * function(text, gold) for weight, function in zip(WEIGHTS, FUNCTIONS, strict=True))


def checked(total: float) -> None:
    if abs(total - CHECKSUM) > 0.01:
        raise SystemExit(f"another workload: the rewards add up to {total:.3f}, not to {CHECKSUM}")


def rate(
    count: int, work: Callable[[], object], passes: int, clock: Callable[[], float] = time.process_time
) -> dict[str, float]:
    """Return completions per second, the median of some passes, by a clock and by the wall's."""
    seconds, walls = [], []
    for _ in range(passes):
        wall, start = time.perf_counter(), clock()
        work()
        seconds.append(clock() - start)
        walls.append(time.perf_counter() - wall)
    return {"cpu": count / max(statistics.median(seconds), 1e-9), "wall": count / statistics.median(walls)}


# the peers, each run by an interpreter of its own


def bare(pairs: list[Pair], passes: int) -> dict[str, float]:
    checked(sum(weighted(text, gold) for gold, text in pairs))
    return rate(len(pairs), lambda: [function(text, gold) for function in FUNCTIONS for gold, text in pairs], passes)


def verifiers_old(pairs: list[Pair], passes: int) -> dict[str, float]:
    import verifiers as vf

    def of(function: Callable[[str, dict[str, Any]], float]) -> Callable[..., float]:
        def reward(completion: Any, info: dict[str, Any]) -> float:
            return function(completion[-1]["content"], info)

        reward.__name__ = function.__name__
        return reward

    rubric = vf.Rubric(funcs=[of(function) for function in FUNCTIONS], weights=list(WEIGHTS))

    def states() -> list[Any]:
        return [
            vf.State(prompt=[], completion=[{"role": "assistant", "content": text}], info=gold, answer="", task="",
                     timing={}, trajectory=[])
            for gold, text in pairs
        ]  # fmt: skip

    async def score(batch: list[Any]) -> None:
        for start in range(0, len(batch), 8):
            await rubric.score_group(batch[start : start + 8])

    first = states()
    asyncio.run(score(first))
    checked(sum(state["reward"] for state in first))
    batches = [states() for _ in range(passes)]  # scoring writes into them, so each pass has its own
    return rate(len(pairs), lambda: asyncio.run(score(batches.pop())), passes)


def verifiers_new(pairs: list[Pair], passes: int) -> dict[str, float]:
    import verifiers.v1 as vf

    class Data(vf.TaskData):  # type: ignore[misc,name-defined]
        gold: dict[str, Any]

    def of(function: Callable[[str, dict[str, Any]], float], weight: float) -> Any:
        async def reward(self: Any, trace: Any) -> float:
            return function(trace.text, self.data.gold)

        reward.__name__ = function.__name__
        return vf.reward(weight=weight)(reward)

    class ToolTask(vf.Task[Data]):  # type: ignore[misc,name-defined]
        well_formed = of(well_formed, WEIGHTS[0])
        right_tool = of(right_tool, WEIGHTS[1])
        right_arguments = of(right_arguments, WEIGHTS[2])

    class Trace:
        """The members of a trace that scoring reads and writes; its own cost is not counted."""

        def __init__(self, text: str) -> None:
            self.text = text
            self.rewards: dict[str, float] = {}
            self.metrics: dict[str, float] = {}

        def record_reward(self, name: str, value: float, weight: float = 1.0, *_: Any, **__: Any) -> None:
            self.rewards[name] = value * weight

        def record_metric(self, name: str, value: float, *_: Any, **__: Any) -> None:
            self.metrics[name] = value

    tasks = [ToolTask(Data(idx=index, prompt="", gold=gold)) for index, (gold, _) in enumerate(pairs)]

    async def score(traces: Sequence[Trace]) -> None:
        for start in range(0, len(traces), 8):
            group = zip(tasks[start : start + 8], traces[start : start + 8], strict=True)
            await asyncio.gather(*(task.score(trace) for task, trace in group))

    first = [Trace(text) for _, text in pairs]
    asyncio.run(score(first))
    checked(sum(sum(trace.rewards.values()) for trace in first))
    return rate(len(pairs), lambda: asyncio.run(score([Trace(text) for _, text in pairs])), passes)


def openenv(pairs: list[Pair], passes: int) -> dict[str, float]:
    from openenv.core.rubrics import Rubric, WeightedSum

    def of(function: Callable[[str, dict[str, Any]], float]) -> Any:
        def forward(self: Any, action: Any, observation: Any) -> float:
            return function(action, observation)

        return type(function.__name__, (Rubric,), {"forward": forward})()

    rubric = WeightedSum([of(function) for function in FUNCTIONS], weights=list(WEIGHTS))
    checked(sum(rubric(text, gold) for gold, text in pairs))
    return rate(len(pairs), lambda: [rubric(text, gold) for gold, text in pairs], passes)


SERVER = """
import sys
sys.path.insert(0, sys.argv[1])
from scoring import weighted
from fastapi import FastAPI
from pydantic import BaseModel
import uvicorn

class Request(BaseModel):
    response: dict
    verifier_metadata: dict

class Response(Request):
    reward: float

app = FastAPI()

@app.post("/verify")
async def verify(body: Request) -> Response:
    text = body.response["output"][-1]["content"]
    return Response(**body.model_dump(), reward=weighted(text, body.verifier_metadata))

uvicorn.run(app, port=int(sys.argv[2]), log_level="error")
"""


GYM_SERVER = """
import sys
sys.path.insert(0, sys.argv[1])
from scoring import weighted
import uvicorn
from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig, BaseVerifyRequest, BaseVerifyResponse, SimpleResourcesServer
)

class Request(BaseVerifyRequest):
    verifier_metadata: dict

class Server(SimpleResourcesServer):
    async def verify(self, body: Request) -> BaseVerifyResponse:
        text = body.response.output[-1].content[-1].text
        return BaseVerifyResponse(**body.model_dump(), reward=weighted(text, body.verifier_metadata))

config = BaseResourcesServerConfig(name="bench", host="127.0.0.1", port=int(sys.argv[2]), entrypoint="", domain="agent")
server = Server.model_construct(config=config)
app = server.setup_webserver()
server.setup_exception_middleware(app)
uvicorn.run(app, port=int(sys.argv[2]), log_level="error")
"""


def plain_row(text: str, gold: dict[str, Any]) -> dict[str, Any]:
    return {"response": {"output": [{"content": text}]}, "verifier_metadata": gold}


def gym_row(text: str, gold: dict[str, Any]) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    message = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": content}
    response = {"id": "r", "created_at": 0, "model": "m", "object": "response", "output": [message], "tools": []}
    response |= {"parallel_tool_calls": False, "tool_choice": "auto"}
    return {"responses_create_params": {"input": "convert"}, "response": response, "verifier_metadata": gold}


def http(pairs: list[Pair], passes: int) -> dict[str, float]:
    return posted(SERVER, [plain_row(text, gold) for gold, text in pairs], passes)


def nemo_gym(pairs: list[Pair], passes: int) -> dict[str, float]:
    return posted(GYM_SERVER, [gym_row(text, gold) for gold, text in pairs], passes)


def posted(program: str, bodies: list[dict[str, Any]], passes: int) -> dict[str, float]:
    """Measure a server that answers one POST for each completion, with its client."""
    import aiohttp

    sys.path.insert(0, str(Path(__file__).parent / "parts"))
    from running import running

    async def verify(port: int) -> float:
        turn = asyncio.Semaphore(64)

        async def one(session: Any, body: dict[str, Any]) -> float:
            async with turn, session.post(f"http://127.0.0.1:{port}/verify", json=body) as response:
                return float((await response.json())["reward"])

        async with aiohttp.ClientSession() as session:
            return sum(await asyncio.gather(*(one(session, body) for body in bodies)))

    with running([sys.executable, "-c", program, str(Path(__file__).parent)]) as server:
        checked(asyncio.run(verify(server.port)))
        clock = partial(_with_server, server.pid)
        return rate(len(bodies), lambda: asyncio.run(verify(server.port)), passes, clock)


def _with_server(pid: int) -> float:
    return time.process_time() + cpu_seconds(pid)


AS_PEER = {
    "verifiers 0.1": verifiers_old,
    "verifiers 0.4": verifiers_new,
    "openenv": openenv,
    "HTTP verify": http,
    "NeMo Gym": nemo_gym,
}


def ask_peer(name: str, folder: Path, passes: int, *, install: bool) -> dict[str, float] | str:
    """Return what a peer's interpreter measured, or why it could not."""
    home = folder / name.replace(" ", "-")
    python = home / "bin" / "python"
    if not python.exists():
        if not install:
            return f"not installed in {home}; --install does it"
        steps = ([sys.executable, "-m", "venv", str(home)], [str(python), "-m", "pip", "install", "-q", *PEERS[name]])
        for step in steps:
            done = subprocess.run(step, capture_output=True, text=True)
            if done.returncode:
                return f"cannot be installed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1][:160]}"
    command = [str(python), __file__, "--as-peer", name, "--passes", str(passes)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return f"failed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1][:160]}"
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


# ours


def cpu_seconds(process: int) -> float:
    """Return the CPU seconds of another process (Linux)."""
    words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def resident(process: int) -> float:
    """Return the megabytes that a process has in memory (Linux)."""
    return int(Path(f"/proc/{process}/status").read_text().split("VmRSS:")[1].split()[0]) / 1024


def children() -> list[int]:
    """Return the processes that this one started, and theirs (Linux)."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found - {os.getpid()})


def with_workers() -> float:
    return time.process_time() + sum(cpu_seconds(child) for child in children())


def ours(passes: int) -> dict[str, Any]:
    """Measure ours; every pass has texts that no pass before it had, so nothing but a batch itself is remembered."""
    from skillpm.layout.tree import FolderTree, tree_digest
    from skillpm.model.skill import Skill
    from skillpm.runtime.skillfiles import SkillFiles
    from skillpm.trust.consent import Consents
    from skillpm.worker.judging import BatchJudge
    from skillpm.worker.protocol import judge_request
    from skillpm.worker.scoring import Scorer

    count = len(workload())
    number = iter(range(1_000_000))

    def measured(
        work: Callable[[list[Any]], object], clock: Callable[[], float] = time.process_time
    ) -> dict[str, float]:
        batches = [episodes(workload(1000 * next(number))) for _ in range(passes + 1)]
        work(batches.pop())  # warm
        return rate(count, lambda: work(batches.pop()), passes, clock)

    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "contract.yaml").write_text(CONTRACT)
        skill = Skill("bench", "1", "0" * 64, root)
        judge = BatchJudge(SkillFiles(skill).contract())

        def inside(batch: list[Any]) -> None:
            request = judge_request(batch, None)
            judge.judge(request["tasks"], request["items"])

        found["in process"] = measured(inside)
        consents = Consents(root / "none")
        batch = episodes(workload())
        start = time.perf_counter()
        with Scorer([skill], consents=consents) as scorer:
            scorer.judge(batch[:1])
            found["first"] = time.perf_counter() - start
            found["one worker"] = measured(scorer.judge, with_workers)
            found["host alone"] = measured(scorer.judge)
            found["memory"] = sum(map(resident, children()))
            scorer.judge(batch)
            found["memo"] = rate(count, lambda: scorer.judge(batch), passes)
            with scorer.anew(workers=2) as pool:
                found["two workers"] = measured(pool.judge, with_workers)
        (root / "verifier.py").write_text(OWN)
        skill = replace(skill, tree=tree_digest(FolderTree(root)))
        consents.grant(consents.request(skill))
        with Scorer([skill], consents=consents) as scorer:
            found["own code"] = measured(scorer.judge, with_workers)
    return found


def episodes(pairs: list[Pair]) -> list[Any]:
    from skillpm.model.episode import Episode
    from skillpm.model.task import Message, Task

    made = []
    for index, (gold, text) in enumerate(pairs):
        task = Task.of(skill="bench", system="", request=f"{index // 8}", expected=gold, split="train", origin="rule")
        made.append(Episode(task=task, messages=(Message(role="assistant", content=text),)))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, default=Path(tempfile.gettempdir()) / "skillpm-peers", metavar="FOLDER")
    parser.add_argument("--install", action="store_true", help="make the peers' environments that are not there")
    parser.add_argument("--passes", type=int, default=7)
    parser.add_argument("--as-peer", choices=AS_PEER, help=argparse.SUPPRESS)
    options = parser.parse_args()
    pairs = workload()
    if options.as_peer:
        print(json.dumps(AS_PEER[options.as_peer](pairs, options.passes)))
        return
    peers: dict[str, dict[str, float]] = {"bare": bare(pairs, options.passes)}
    for name in PEERS:
        answer = ask_peer(name, options.peers, options.passes, install=options.install)
        if isinstance(answer, str):
            print(f"{name}: {answer}", file=sys.stderr)
        else:
            peers[name] = answer
    measured = ours(options.passes)
    names = list(peers)
    print(f"{'completions/s by CPU time':44} {'ours':>9} " + " ".join(f"{name:>22}" for name in names))
    print(f"{'':54} " + " ".join(f"{peers[name]['cpu']:>14,.0f}  ratio " for name in names))
    distinct = len({(json.dumps(gold), text) for gold, text in pairs})
    rows = {
        "in process": "in process",
        f"one sandboxed worker, {distinct} of {len(pairs)} distinct": "one worker",
        "one worker, a verifier.py of the skill's own": "own code",
        "one worker, CPU of the host alone": "host alone",
        "all known (memo)": "memo",
    }
    for what, key in rows.items():
        mine = measured[key]["cpu"]
        print(f"{what:44} {mine:9,.0f} " + " ".join(f"{mine / peers[name]['cpu']:>22.2f}" for name in names))
    one, two = measured["one worker"]["wall"], measured["two workers"]["wall"]
    print(f"by the clock: one worker {one:,.0f}, two workers {two:,.0f} completions/s, ratio {two / one:.2f}")
    print(f"from nothing to the first verdict: {measured['first']:.2f} s; worker: {measured['memory']:.0f} MB resident")
    print(f"python {sys.version.split()[0]}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
