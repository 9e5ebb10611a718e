"""Thresholds of confidence: what they promise holds on answers that they have not seen, and few answers give none."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest

from skillpm.errors import CheckError
from skillpm.evals.calibration import calibrated, fewest
from skillpm.model.calibration import SkillCalibration
from skillpm.model.evaluation import Arm, EvaluatedSkill, Evaluation, Record
from skillpm.model.verdict import Verdict


def records(pairs: Iterable[tuple[float | None, bool]], **more: object) -> tuple[Record, ...]:
    return tuple(
        Record.model_validate(
            {"task": str(number), "skill": "demo", "suite": "core", "request": "x", "expected": 1, "completion": "x",
             "argv": None, "verdict": Verdict(status="passed" if right else "failed", score=float(right)),
             "exact": right, "valid_json": True, "finish_reason": "stop", "prompt_tokens": 1, "completion_tokens": 1,
             "confidence": confidence, **more}
        )
        for number, (confidence, right) in enumerate(pairs)
    )  # fmt: skip


def thresholds(found: tuple[Record, ...], target: float = 0.95, **settings: Any) -> SkillCalibration:
    arm = Arm.model_validate({"name": "sft", "model": "m", "records": found, "seconds": 1, "settings": settings})
    skills = (EvaluatedSkill(name="demo", version="1", tree="t"), EvaluatedSkill(name="other", version="1", tree="t"))
    return calibrated(Evaluation(skills=skills, task_sets=(), arms=(arm,), data=""), arm, target, "w").skills["demo"]


def drawn(chance: random.Random, size: int) -> list[tuple[float, bool]]:
    """Answers that are right as often as they say."""
    confidences = [chance.betavariate(5, 1) ** 0.25 if chance.random() < 0.8 else chance.random() for _ in range(size)]
    return [(confidence, chance.random() < confidence) for confidence in confidences]


def test_what_acts_is_right_as_often_as_promised_on_other_answers() -> None:
    """With 95 % confidence, so of 60 calibrations a few may miss."""
    chance, kept, acting = random.Random(5), 0, 0
    other = drawn(chance, 20_000)
    for _ in range(60):
        act = thresholds(records(drawn(chance, 300))).act
        if act is None:
            continue
        acting += 1
        beyond = [right for confidence, right in other if confidence >= act.confidence]
        kept += sum(beyond) / len(beyond) >= 0.95
    assert acting > 20 and kept >= 0.9 * acting


def test_decisions_follow_from_the_bounds() -> None:
    found = thresholds(
        records([(0.99, True)] * 100 + [(0.7, number % 3 > 0) for number in range(60)] + [(0.1, False)] * 20)
    )
    assert found.act is not None and found.refuse is not None and found.answers == 180
    assert (found.act.confidence, found.act.right, found.act.answers) == (0.99, 100, 100) and found.act.bound >= 0.95
    assert found.refuse.confidence == 0.1 and found.refuse.bound <= 0.5
    words = [found.decide(value) for value in (1.0, 0.99, 0.98, 0.11, 0.1, 0.0, None)]
    assert words == ["act", "act", "confirm", "confirm", "refuse", "refuse", "confirm"]


def test_a_model_that_is_sure_of_what_is_wrong_never_acts() -> None:
    found = thresholds(records([(0.99, False)] * 60 + [(0.5, True)] * 100))
    assert found.act is None and found.decide(1.0) == "confirm"


def test_a_model_that_is_always_right_is_never_refused() -> None:
    found = thresholds(records([(number / 100, True) for number in range(100)]))
    assert found.refuse is None and found.act is not None and found.act.confidence == 0.0


def test_rows_of_few_templates_tell_less() -> None:
    right = [(0.9 + number / 1000, True) for number in range(80)]
    assert thresholds(records(right)).act is not None
    assert thresholds(records(right, tags=("template:one",))).act is None


def test_as_many_templates_as_answers_are_needed_however_many_answers_each_has() -> None:
    """Answers of one template are right together: 40 templates that are all right say nothing of the next 5 %."""
    for templates, acts in ((40, False), (80, True)):
        found = [
            item for number in range(templates) for item in records([(0.9, True)] * 4, tags=(f"template:{number}",))
        ]
        assert (thresholds(tuple(found)).act is not None) == acts
        surer = [item.model_copy(update={"confidence": 0.9 + place / 10_000}) for place, item in enumerate(found)]
        assert (thresholds(tuple(surer)).act is not None) == acts, "the surest 80 answers are of 20 templates"


@pytest.mark.parametrize(
    ("found", "settings", "words"),
    [
        (records([(0.9, True)] * 72), {}, "73 answers are needed to know that 95% are right, and demo has 72"),
        (records([(None, True)] * 200), {}, "do not say how sure the model was"),
        (records([(0.9, True)] * 200), {"temperature": 0.7}, "are drawn by chance"),
        (records([(0.9, True)] * 200, repeat=1), {}, "do not say"),
    ],
)
def test_too_little_gives_no_threshold_and_says_so(
    found: tuple[Record, ...], settings: dict[str, Any], words: str
) -> None:
    assert fewest(0.95) == 73
    with pytest.raises(CheckError, match=words):
        thresholds(found, **settings)
