"""Does a skill's verifier keep its promises? Its own cases, and probes made from every seed and suite task.

Source of the probes: what reward functions were seen to be exploited by: answers that do nothing, gold answers with one
mistake, claims of success, and verdicts that change when the same answer comes again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from skillpm.errors import DocumentError
from skillpm.model.episode import Episode
from skillpm.model.skill import Skill
from skillpm.model.suite import Case
from skillpm.model.task import Message, Task
from skillpm.model.verdict import Judgement
from skillpm.runtime.catalogue import Contributions
from skillpm.runtime.probes import gold_text, idle_answers, mutations
from skillpm.runtime.scoring import Scorer
from skillpm.runtime.skillfiles import SkillFiles

__all__ = ["Broken", "Kind", "Selftest", "selftest"]

Kind = Literal["full_reward", "zero_reward", "malformed", "determinism", "gold", "no-op", "mutation", "repeat"]
MAX_TASKS = 200  # seeds and suite tasks that are probed, spread evenly over all of them
MAX_BROKEN = 50  # broken claims of one kind that are told one by one


@dataclass(frozen=True, slots=True)
class Broken:
    """A claim that does not hold: which one, of which case or task, and what was seen."""

    kind: Kind
    name: str
    seen: str


@dataclass(frozen=True, slots=True)
class Selftest:
    """What became of one skill's claims.

    Attributes:
        skill: whose.
        verifier: the file that judges; empty where nothing does.
        checked: claims by kind.
        failed: claims by kind that do not hold.
        broken: the first of those, with what was seen.
    """

    skill: Skill
    verifier: str
    checked: dict[Kind, int]
    failed: dict[Kind, int]
    broken: tuple[Broken, ...]

    @property
    def ok(self) -> bool:
        """Do all claims hold?"""
        return not self.failed

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints this report."""
        return {
            "skill": self.skill.name,
            "version": self.skill.version,
            "tree": self.skill.tree,
            "verifier": self.verifier,
            "ok": self.ok,
            "claims": [
                {"kind": kind, "checked": count, "failed": self.failed.get(kind, 0)}
                for kind, count in self.checked.items()
            ],
            "broken": [{"kind": item.kind, "name": item.name, "seen": item.seen} for item in self.broken],
        }


@dataclass(frozen=True, slots=True)
class _Probe:
    kind: Kind
    name: str
    episode: Episode
    at_most: float = 0.0  # of a zero_reward case


def selftest(contributions: Contributions, scorer: Scorer) -> Selftest:
    """Check one skill.

    Args:
        contributions: the skill's.
        scorer: was made for the skill.

    Raises:
        PluginError: the skill's code cannot be loaded.
        DocumentError: cases.jsonl is wrong.
    """
    described = scorer.describe(contributions.skill)
    checked: Counter[Kind] = Counter()
    failed: Counter[Kind] = Counter()
    broken: list[Broken] = []
    if described.verifier:
        cases = SkillFiles(contributions.skill).cases()
        for kind, name, seen in _claims(contributions, scorer, cases):
            checked[kind] += 1
            if seen:
                failed[kind] += 1
                broken += [Broken(kind, name, seen)] if failed[kind] <= MAX_BROKEN else []
    return Selftest(contributions.skill, described.verifier, dict(checked), dict(failed), tuple(broken))


def _claims(
    contributions: Contributions, scorer: Scorer, cases: Sequence[Case]
) -> Iterator[tuple[Kind, str, str | None]]:
    """Yield (kind, name, what was seen) of each claim; None where it holds."""
    for case in cases:
        episode = _episode(contributions, case.request, case.expected, case.completion)
        if case.kind == "determinism":
            yield case.kind, case.name, _different(scorer.judge_afresh([episode] * case.repeat))
    probes = [*_case_probes(contributions, cases)]
    for kind, name, made in _task_probes(contributions):
        if isinstance(made, _Probe):
            probes.append(made)
        else:
            yield kind, name, made
    episodes = [probe.episode for probe in probes]
    judgements = scorer.judge(episodes)
    for probe, judgement in zip(probes, judgements, strict=True):
        yield probe.kind, probe.name, _seen(probe, judgement)
    again = list(reversed(scorer.judge_afresh(list(reversed(episodes)))))
    for probe, first, second in zip(probes, judgements, again, strict=True):
        yield "repeat", f"{probe.kind}: {probe.name}", _different([first, second])


def _case_probes(contributions: Contributions, cases: Sequence[Case]) -> Iterator[_Probe]:
    for case in cases:
        if case.kind != "determinism":
            episode = _episode(contributions, case.request, case.expected, case.completion)
            yield _Probe(case.kind, case.name, episode, case.at_most)


def _task_probes(contributions: Contributions) -> Iterator[tuple[Kind, str, _Probe | str]]:
    """Yield the probes of seeds and suite tasks, or what is wrong with a task."""
    contract = contributions.contract
    for name, request, expected in _tasks(contributions):
        try:
            gold = gold_text(contract, expected)
            complete = None if contract is None else contract.complete(expected)
        except DocumentError as error:
            yield "gold", name, error.rule
            continue
        texts: list[tuple[Kind, str, str]] = [("gold", name, gold)]
        texts += [("no-op", f"{name}, {how}", text) for how, text in idle_answers(request) if text != gold]
        if contract is not None and complete is not None:
            texts += [("mutation", f"{name}, {how}", text) for how, text in mutations(contract, complete)]
        for kind, label, text in texts:
            yield kind, label, _Probe(kind, label, _episode(contributions, request, expected, text))


def _tasks(contributions: Contributions) -> list[tuple[str, str, Any]]:
    """Return (name, request, expected) of seeds and suite tasks, at most MAX_TASKS, spread evenly."""
    found = [(f"seed {number}", seed.request, seed.expected) for number, seed in enumerate(contributions.seeds, 1)]
    for suite in contributions.suites:
        tasks = suite.tasks if not isinstance(suite.tasks, str) else ()
        found += [(f"{suite.name} {number}", task.request, task.expected) for number, task in enumerate(tasks, 1)]
    step = max(1, -(-len(found) // MAX_TASKS))
    return found[::step]


def _episode(contributions: Contributions, request: str, expected: Any, completion: str) -> Episode:
    task = Task.of(
        skill=contributions.skill.name,
        system=contributions.prompt,
        request=request,
        expected=expected,
        split="suite",
        origin="suite",
    )
    answer = Message.model_construct(role="assistant", content=completion)
    return Episode.model_construct(task=task, messages=(answer,), finish_reason="stop", usage=None)


def _seen(probe: _Probe, judgement: Judgement) -> str | None:
    """Return what was seen where the claim does not hold."""
    verdict = judgement.verdict
    perfect = verdict.status == "passed" and verdict.score == 1.0
    if probe.kind in ("full_reward", "gold"):
        return None if perfect else _text(judgement)
    if verdict.status == "errored":
        return _text(judgement)
    paid = verdict.score if verdict.score is not None else 0.0
    if probe.kind == "zero_reward":
        return None if verdict.status != "passed" and paid <= probe.at_most else _text(judgement)
    if probe.kind == "malformed":
        return None if verdict.status != "passed" and judgement.argv is None else _text(judgement)
    return None if verdict.status != "passed" and paid < 1.0 else _text(judgement)


def _different(judgements: Sequence[Judgement]) -> str | None:
    """Return what was seen where judgements of one answer are not all equal, or could not be made."""
    first = judgements[0]
    if first.verdict.status == "errored":
        return _text(first)
    other = next((item for item in judgements if item != first), None)
    return None if other is None else f"{_text(first)}, and then {_text(other)}"


def _text(judgement: Judgement) -> str:
    verdict = judgement.verdict
    argv = "" if judgement.argv is None else f", argv {[list(command) for command in judgement.argv]}"
    reasons = f": {'; '.join(verdict.reasons)}" if verdict.reasons else ""
    return f"{verdict.status} with score {verdict.score}{argv}{reasons}"[:500]
