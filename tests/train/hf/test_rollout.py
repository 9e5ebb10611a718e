"""What a step of GRPO is made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from skillpm.model.episode import Episode
from skillpm.model.training import StageInput
from skillpm.model.verdict import Judgement, Verdict
from skillpm.train.columns import Rewarder
from skillpm.train.grpo import Grpo
from skillpm.train.hf.model import load_conversation
from skillpm.train.hf.rollout import Rollouts, sample_groups
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
    conversation = load_conversation(tiny_model)
    loaded.generation_config.eos_token_id = list(range(40, 140))  # so that answers end
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
        loaded, conversation, [last.prompt], samples=3, temperature=2.0, max_new_tokens=16, batch_size=3, seed=2
    )
    assert alone == [last.answers], "an answer does not depend on those beside it"
