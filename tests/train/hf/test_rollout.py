"""What a step of GRPO is made of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from trl.trainer.utils import add_fused_lm_head

from skillpm.cli.output import PlainProgress
from skillpm.model.episode import Episode
from skillpm.model.training import StageInput
from skillpm.model.verdict import Judgement, Verdict
from skillpm.train.columns import Rewarder
from skillpm.train.grpo import Grpo
from skillpm.train.hf.model import load_conversation, load_model
from skillpm.train.hf.packing import PrefixPacking
from skillpm.train.hf.rollout import Drawing, Playing, Rollouts, play, sample_groups
from skillpm.train.hf.row_scores import GroupTrainer, packed
from skillpm.train.hf.stages import Training, open_model, run_stages
from skillpm.train.processes import Job, Judging
from skillpm.train.run_folder import RunFolder
from tests.train.hf.test_stages import plan_of, tell_nobody
from tests.train.hf.test_stages_kinds import pay_by_text


def pay_even(episodes: Sequence[Episode]) -> list[Judgement]:
    """Pay the rows of one skill by what is answered, and those of the other alike."""
    alike = Judgement(verdict=Verdict(status="failed", score=0.0), rewards={"graded": 0.0})
    return [
        paid if episode.task.skill == "even" else alike
        for episode, paid in zip(episodes, pay_by_text(episodes), strict=True)
    ]


def test_a_step_asks_on_where_answers_are_paid_alike(tiny_model: Path, tmp_path: Path, loaded: Any) -> None:
    """Six of twelve rows are paid alike: live groups come first, and dead ones only fill the step."""
    loaded.generation_config.eos_token_id = list(range(40, 140))  # so that answers end
    conversation = load_conversation(tiny_model).stopping_with(loaded)
    shares = []
    for refill in (0, 1, 5):
        stage = Grpo(kind="grpo", prompts=6, generations=3, refill=refill, max_new_tokens=16, temperature=2.0)
        plan = plan_of(stage, rows=12).stages[0].plan
        rewarder = Rewarder({row.task.key: row.task for row in plan.rows}, pay_even, 0.2)
        given = StageInput(loaded, conversation, plan, pay_even, tell_nobody, 2, tmp_path, lambda step, figures: None)

        rollouts = Rollouts(stage, given, plan.rows, rewarder)
        groups, figures = rollouts.groups(loaded, 0, 6)

        live = [group.live for group in groups]
        assert live == sorted(live, reverse=True) and [group.row.task.skill == "even" for group in groups] == live
        assert sum(live) / 6 == figures["groups/live"]
        asked = [key for key, (due, _) in rollouts.draws.record.items() if due]
        assert {group.row.task.key for group in groups} <= {*asked} and len(asked) == figures["groups/asked"]
        shares.append(figures["groups/live"])
    assert shares[0] == figures["groups/live_at_first"] < shares[1] <= shares[2] == 1

    last = groups[-1]
    alone = sample_groups(
        loaded,
        conversation,
        [last.played[0].prompt],
        samples=3,
        temperature=2.0,
        max_new_tokens=16,
        batch_size=3,
        seed=2,
    )
    assert alone == [[played.tokens for played in last.played]], "an answer does not depend on those beside it"


def look_once(episodes: Sequence[Episode]) -> list[Episode]:
    """Show something after the first answer, and end with the second."""
    return [episode if len(episode.messages) > 1 else episode.shown("port 8001") for episode in episodes]


@torch.no_grad()
def test_an_episode_is_what_the_template_writes_and_has_the_probabilities_of_a_plain_pass(
    ending_model: Path, tmp_path: Path
) -> None:
    """Before each answer stand the tokens of the template, and in the tree of all rows each token scores as alone."""
    model = load_model(ending_model, "float32").eval()
    conversation = load_conversation(ending_model).stopping_with(model)
    plan = plan_of(Grpo(kind="grpo"), rows=6).stages[0].plan
    rewarder = Rewarder({row.task.key: row.task for row in plan.rows}, pay_even, 0.2)
    report = (2, tmp_path, lambda step, figures: None)
    given = StageInput(model, conversation, plan, pay_even, tell_nobody, *report, observe=look_once)

    groups = play(given, model, plan.rows, Playing(Drawing(3, 2.0, 16, 18, 0), 4), rewarder)

    played = [item for group in groups for item in group]
    assert len(played) == 18
    assert {len(item.episode.messages) for item in played} >= {3}
    assert any(len({item.episode.said for item in group}) == 3 for group in groups), "samples of a group differ"
    whole = 0
    for item in played:
        said, messages = item.episode.said, item.episode.task.prompt
        turns, own, tokens = [(), said[:2]][-(1 + (0 in item.own)) :], [*item.own, 0], [*item.prompt, *item.tokens]
        if len(said) == 1:
            continue
        starts = [place for place in range(len(item.own)) if own[place] > (own[place - 1] if place else 0)]
        assert len(starts) == len(turns)
        for turn, start in zip(turns, starts, strict=True):
            assert tokens[: len(item.prompt) + start] == conversation.prompt((*messages, *turn))
        whole += len(turns) == 2
    assert whole > 0
    width = max(len(item.prompt) for item in played), max(len(item.tokens) for item in played)
    pads = [(width[0] - len(item.prompt), width[1] - len(item.tokens)) for item in played]
    rows = [[2] * a + item.prompt + item.tokens + [2] * b for item, (a, b) in zip(played, pads, strict=True)]
    ids = torch.tensor(rows)
    seen = [[0] * a + [1] * (len(row) - a - b) + [0] * b for row, (a, b) in zip(rows, pads, strict=True)]
    mask = torch.tensor(seen)
    add_fused_lm_head(model, outputs=("log_probs", "entropy"), temperature=1.0)
    scores, _ = packed(PrefixPacking())(model, ids, mask, width[1])
    for item, row in zip(played, scores, strict=True):
        logs = model(torch.tensor([[*item.prompt, *item.tokens]])).logits[0].log_softmax(dim=-1)
        plain = [float(logs[len(item.prompt) + place - 1, token]) for place, token in enumerate(item.tokens)]
        assert row[: len(plain)].tolist() == pytest.approx(plain, abs=1e-4)


@pytest.mark.slow
def test_grpo_learns_from_all_answers_of_an_episode_and_not_from_what_was_shown(
    ending_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verifier sees the whole episode; what the environment showed is masked in the loss."""
    taken: list[dict[str, Any]] = []
    seen: list[Episode] = []
    loss = GroupTrainer._compute_loss

    def spied(self: GroupTrainer, model: Any, inputs: dict[str, Any]) -> Any:
        taken.append(inputs)
        return loss(self, model, inputs)

    def pay(episodes: Sequence[Episode]) -> list[Judgement]:
        seen.extend(episodes)
        return pay_by_text(episodes)

    monkeypatch.setattr(GroupTrainer, "_compute_loss", spied)
    stage = Grpo(kind="grpo", steps=1, prompts=4, generations=3, refill=0, validate_on=2, max_new_tokens=16)
    plan = plan_of(stage.model_copy(update={"temperature": 2.0, "micro_batch": 12, "learning_rate": 1e-2}), rows=6)
    folder = RunFolder(tmp_path)
    judging = Judging(pay, tell_nobody, look_once)
    training = Training(open_model(Job(plan.recipe, ending_model)), judging, folder, PlainProgress())
    run_stages(plan, [item.trainer.load() for item in plan.stages], training)

    (inputs,) = taken
    text = load_conversation(ending_model).text
    own, ids = inputs["tool_mask"].bool(), inputs["completion_ids"]
    shown = [
        text(row[~mine & live.bool()].tolist())
        for row, mine, live in zip(ids, own, inputs["completion_mask"], strict=True)
    ]
    assert any("port 8001" in part for part in shown)
    assert not any("8001" in text(row[mine].tolist()) for row, mine in zip(ids, own, strict=True))
    assert {len(episode.messages) for episode in seen} >= {3}
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    (step,) = [row for row in rows if "loss" in row]
    live = inputs["completion_mask"] * inputs["tool_mask"]
    assert step["grad_norm"] > 0 and step["completions/mean_length"] >= float(live.sum() / 12)
