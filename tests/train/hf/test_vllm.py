"""Answers that vLLM samples: those of the policy, with its probabilities; and what is refused before a row is made.

What asks the real vLLM runs where the program ``vllm`` is on PATH.
"""

from __future__ import annotations

import json
import math
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from skillpm.errors import TrainingError, UsageError
from skillpm.train.distil import Distil
from skillpm.train.grpo import Grpo, Rloo
from skillpm.train.hf.model import load_conversation, load_model
from skillpm.train.hf.rollout import Answer, Drawing, sample_answers
from skillpm.train.hf.stages import machine_record, open_model
from skillpm.train.hf.tuned import tuned
from skillpm.train.hf.vllm import _GUARD, VllmSampler
from skillpm.train.launch import Launch, check_shares
from skillpm.train.processes import Job
from skillpm.train.recipe import Data, Lora, Recipe
from tests.random_models import TINY, save_random_model
from tests.train.hf.test_stages import make_rows, plan_of, run
from tests.train.hf.test_stages_kinds import pay_by_text

STAGE = Grpo(
    kind="grpo", rollouts="vllm", steps=2, prompts=4, generations=4, refill=0, validate_on=0, max_new_tokens=16
)
RECIPE = Recipe(stages=(STAGE,), lora=Lora(rank=8), dtype="float32", data=Data(refine=0))

real = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(shutil.which("vllm") is None, reason="vLLM is not on PATH"),
]


@pytest.fixture(scope="module")
def wide_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model with heads as wide as vLLM computes them."""
    shape = {**TINY, "num_attention_heads": 4, "head_dim": 64}
    return save_random_model(tmp_path_factory.mktemp("wide") / "model", shape, gain=4)


def move(model: Any, seed: int) -> None:
    """Give the adapter of a model other weights."""
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(0, 0.3)


@pytest.fixture(scope="module")
def policy(wide_model: Path) -> Any:
    return tuned(load_model(wide_model, "float32"), RECIPE).eval()


@pytest.fixture(scope="module")
def server(wide_model: Path, policy: Any) -> Iterator[VllmSampler]:
    sampler = VllmSampler(wide_model, policy)
    yield sampler
    sampler.close()


@pytest.fixture(params=["own", pytest.param("vllm", marks=real)])
def ask(request: pytest.FixtureRequest, wide_model: Path, policy: Any) -> Callable[..., list[list[Answer]]]:
    """Return what samples answers of the policy, as it is now, to the requests of a few rows."""
    conversation = load_conversation(wide_model)

    def asked(temperature: float, samples: int) -> list[list[Answer]]:
        sampler: Any = sample_answers
        if request.param == "vllm":
            server = request.getfixturevalue("server")
            server.follow(policy)
            sampler = server.answers
        prompts = [conversation.prompt(row.task.prompt) for row in make_rows(6)]
        how = Drawing(samples, temperature, max_new_tokens=12, batch_size=24, seed=5)
        groups: list[list[Answer]] = sampler(policy, conversation, prompts, how)
        assert [len(group) for group in groups] == [samples] * len(prompts)
        for prompt, group in zip(prompts, groups, strict=True):
            for answer in group:
                hold(policy, conversation, prompt, answer, temperature)
        return groups

    return asked


@torch.no_grad()
def hold(model: Any, conversation: Any, prompt: list[int], answer: Answer, temperature: float) -> None:
    """An answer ends with its first end token or at the limit, and each token has the score of a plain pass."""
    ends = conversation.stops
    assert not ends & {*answer.tokens[:-1]}
    assert len(answer.tokens) == 12 or answer.tokens[-1] in ends
    logits = model(torch.tensor([[*prompt, *answer.tokens]])).logits[0, len(prompt) - 1 : -1]
    if temperature == 0:
        assert answer.tokens == logits.argmax(dim=-1).tolist()
    elif answer.scores:
        logs = (logits / temperature).log_softmax(dim=-1)
        plain = [float(log[token]) for log, token in zip(logs, answer.tokens, strict=True)]
        assert answer.scores == pytest.approx(plain, abs=1e-3)


def test_a_sampler_follows_the_policy(ask: Callable[..., list[list[Answer]]], policy: Any) -> None:
    """Greedy answers are those of plain passes, and drawn ones have their probabilities; also when it has moved."""
    told = []
    for seed in (1, 2):
        move(policy, seed)
        told.append([answer.tokens for (answer,) in ask(0.0, 1)])
        drawn = ask(2.0, 3)
        assert any(len({tuple(answer.tokens) for answer in group}) == 3 for group in drawn)
    assert told[0] != told[1]


SERVER = """#!{python}
import http.server, json, os, pathlib, signal, socketserver, sys, time
path = sys.argv[sys.argv.index("--uds") + 1]
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if not child:
    time.sleep(600)
calls = pathlib.Path({calls!r})
calls.write_text(f"{{child}}\\n")

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{{"version": "0.11.2"}}')

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with calls.open("a") as file:
            file.write(f"{{self.path.split('/')[-1]}} {{json.loads(body)['lora_name']}}\\n")
        self.do_GET()

    def log_message(self, *_):
        pass

socketserver.UnixStreamServer(path, Handler).serve_forever()
"""


def runs(process: str) -> bool:
    """Does a process run, and does not only wait to be forgotten?"""
    try:
        return ") Z " not in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False


def test_each_policy_has_a_name_of_its_own_and_nothing_runs_on_after_the_end(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second stage counts its steps anew, so a step names no policy; a server that does not end is killed whole."""
    script, calls = tmp_path / "vllm", tmp_path / "calls"
    script.write_text(SERVER.format(python=sys.executable, calls=str(calls)))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("skillpm.train.hf.vllm._ENDING", 0.2)
    job = Job(RECIPE, tiny_model)
    opened = open_model(job)
    assert opened.vllm is not None and machine_record(job, opened)["vllm"] == "0.11.2"
    for _ in ("the only step of a stage", "that of the next stage"):
        opened.vllm.follow(opened.model)
    opened.close()
    child, *asked = calls.read_text().splitlines()
    assert asked == ["load_lora_adapter policy-1", "load_lora_adapter policy-2", "unload_lora_adapter policy-1"]
    deadline = time.monotonic() + 30  # what the kernel has been told to end may wait for a processor
    while runs(child):
        assert time.monotonic() < deadline
        time.sleep(0.01)


KILLED = """
import os, signal, subprocess, sys
guard, folder, *program = sys.argv[1:]
subprocess.Popen([sys.executable, "-P", guard, str(os.getpid()), folder, *program], start_new_session=True)
while not os.path.exists(f"{folder}/started"):
    pass
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_training_leaves_no_server_and_no_folder(tmp_path: Path) -> None:
    folder = tmp_path / "vllm"
    (folder / "policy-1").mkdir(parents=True)
    program = "sleep 600 & echo $! > $0/../process; touch $0/started; wait"
    trainer = subprocess.run([sys.executable, "-c", KILLED, str(_GUARD), str(folder), "sh", "-c", program, str(folder)])
    assert trainer.returncode == -signal.SIGKILL
    process, last = (tmp_path / "process").read_text().strip(), time.monotonic() + 60
    while (folder.exists() or runs(process)) and time.monotonic() < last:
        time.sleep(0.05)
    assert not folder.exists() and not runs(process)


class Beside:
    """Samples as vLLM does, in this process: each answer comes with the score of each token, here by a plain pass."""

    def __init__(self, source: Path, model: Any) -> None:
        self.version, self.followed = "0", 0

    def follow(self, model: Any) -> None:
        self.followed += 1

    def answers(self, model: Any, conversation: Any, prompts: Any, how: Drawing, **rest: Any) -> list[list[Answer]]:
        groups = sample_answers(model, conversation, prompts, how, **rest)
        return [
            [Answer(answer.tokens, scores=scores_of(model, prompt, answer, how.temperature)) for answer in group]
            for prompt, group in zip(prompts, groups, strict=True)
        ]

    def close(self) -> None:
        assert self.followed


class Other(Beside):
    """Gives each answer a lower probability than this process does."""

    def answers(self, *arguments: Any, **rest: Any) -> list[list[Answer]]:
        return [
            [Answer(answer.tokens, scores=[answer.scores[0] - math.log(1.1), *answer.scores[1:]]) for answer in group]
            for group in super().answers(*arguments, **rest)
        ]


@torch.no_grad()
def scores_of(model: Any, prompt: list[int], answer: Answer, temperature: float) -> list[float]:
    logits = model(torch.tensor([[*prompt, *answer.tokens]])).logits[0, len(prompt) - 1 : -1]
    logs = (logits / temperature).log_softmax(dim=-1)
    return [float(log[token]) for log, token in zip(logs, answer.tokens, strict=True)]


SHAPE: dict[str, Any] = {"steps": 2, "prompts": 4, "validate_on": 0, "max_new_tokens": 16, "learning_rate": 1e-2}
GROUPS: dict[str, Any] = {**SHAPE, "generations": 4, "refill": 0, "temperature": 2.0}
ALL = [Grpo(kind="grpo", **GROUPS), Rloo(kind="rloo", updates=2, **GROUPS), Distil(kind="distil", **SHAPE)]


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("stage", ALL, ids=lambda stage: stage.kind)
def test_a_stage_learns_the_same_from_the_answers_of_another_engine(
    ending_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: Any
) -> None:
    """Where both compute alike; the ratio of their probabilities is 1 then, and in the log."""
    monkeypatch.setattr("skillpm.train.hf.stages.VllmSampler", Beside)
    logs = []
    for engine in ("own", "vllm"):
        plan = plan_of(stage.model_copy(update={"rollouts": engine}), rows=8)
        rows = run(plan, ending_model, tmp_path / engine, pay_by_text)
        logs.append([row for row in rows if "loss" in row])
    for own, other in zip(*logs, strict=True):
        assert other["loss"] == pytest.approx(own["loss"], rel=1e-3, abs=1e-4)
        assert other["grad_norm"] == pytest.approx(own["grad_norm"], rel=1e-3) and own["grad_norm"] > 0
    if stage.kind != "distil":
        ratios = [row[RATIO] for row in logs[1] if RATIO in row]
        assert ratios == pytest.approx([1] * len(ratios), abs=1e-3) and ratios


@pytest.mark.filterwarnings("default")
def test_an_answer_of_rloo_counts_by_the_ratio_of_its_probabilities(
    ending_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Rloo(kind="rloo", rollouts="vllm", **{**GROUPS, "steps": 1})
    norms = []
    for engine, ratio in ((Beside, 1.0), (Other, 1.1)):
        monkeypatch.setattr("skillpm.train.hf.stages.VllmSampler", engine)
        rows = run(plan_of(stage, rows=8), ending_model, tmp_path / engine.__name__, pay_by_text)
        (step,) = [row for row in rows if "loss" in row]
        assert step[RATIO] == pytest.approx(ratio, rel=1e-3)
        norms.append(step["grad_norm"])
    assert norms[1] / norms[0] == pytest.approx(1.1, rel=1e-2)


RATIO = "sampling/importance_sampling_ratio/mean"


@pytest.mark.parametrize("stage", [pytest.param(stage, marks=real, id=stage.kind) for stage in ALL])
def test_a_stage_learns_from_what_vllm_samples(wide_model: Path, tmp_path: Path, stage: Any) -> None:
    """The ratio of the probabilities here and there is in the log, and is 1 where both compute alike."""
    model = Path(shutil.copytree(wide_model, tmp_path / "ending"))
    (model / "generation_config.json").write_text(json.dumps({"eos_token_id": list(range(40, 140))}))
    plan = plan_of(stage.model_copy(update={"rollouts": "vllm"}), rows=8)
    steps = [row for row in run(plan, model, tmp_path / "run", pay_by_text) if "loss" in row]
    assert len(steps) == 2 and all(row["grad_norm"] > 0 for row in steps)
    ratios = [row[RATIO] for row in steps if RATIO in row]
    assert ratios == pytest.approx([1] * len(ratios), abs=1e-2) and (ratios or stage.kind == "distil")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"tune": "full"}, "so `tune` is `lora`"),
        ({"lora": Lora(dora=True)}, "so `lora.dora` is off"),
        ({"lora": Lora(quantization="nf4")}, "so `lora.quantization` is `none`"),
        ({"lora": Lora(rank=1000)}, "so `lora.rank` is at most 512"),
    ],
)
def test_a_policy_that_is_no_plain_adapter_is_refused(change: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=f"vLLM takes each policy as an adapter to the model's own weights, {rule}"):
        Recipe(stages=(STAGE,), **change)
    Recipe(stages=(STAGE.model_copy(update={"rollouts": "own"}),), **change)


def test_several_processes_are_refused() -> None:
    with pytest.raises(UsageError, match="stage grpo: vLLM samples for one process"):
        check_shares(RECIPE, Launch(2))


@pytest.mark.parametrize(
    ("program", "told"),
    [
        (None, "needs the program vllm, and no folder of PATH has it"),
        ("echo 'ValueError: Model architectures [Tiny] are not supported'; exit 1", "vLLM does not serve this model: "
         r"ValueError: Model architectures \[Tiny\] are not supported"),
        ("exit 3", "vLLM does not serve this model: no reason given"),
    ],
)  # fmt: skip
def test_a_server_that_does_not_begin_says_why_when_the_model_is_opened(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str | None, told: str
) -> None:
    """That is before a row is made; and nothing is left."""
    (tmp_path / "bin").mkdir()
    if program is not None:
        script = tmp_path / "bin/vllm"
        script.write_text(f"#!/bin/sh\n{program}\n")
        script.chmod(0o755)
    (tmp_path / "rest").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "rest"))
    with pytest.raises(TrainingError, match=told):
        open_model(Job(RECIPE, tiny_model))
    assert not list((tmp_path / "rest").iterdir())
