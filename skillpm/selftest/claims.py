"""SK7: the claims about a verifier, and the report of a claim that does not hold.

Sources: reward functions were seen to be exploited by answers that do nothing, that claim their own success, that hold
the right answer among others, and by verdicts that depend on more than the answer (arXiv 2606.01066, 2604.15149).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from skillpm.formats.as_json import as_json
from skillpm.model.finding import Finding, RuleText, Severity

ASKED = 80  # characters of a request that a sentence quotes
SHOWN = 200  # characters of an answer that a sentence quotes
KEPT = 4000  # characters of an answer that a report carries


def _claim(code: str, title: str, what: str, why: str) -> RuleText:
    return RuleText(code, title, what, why, Severity.ERROR, Severity.ERROR)


CLAIMS: Mapping[str, RuleText] = {
    claim.code: claim
    for claim in (
        _claim(
            "SK701",
            "a declared case does not hold",
            "Every row of cases.jsonl.",
            "The author's own claims are the least that must be true.",
        ),
        _claim(
            "SK711",
            "a right answer does not get the maximum",
            "The expected answer of every seed and suite task passes with the score 1.",
            "A model that does what is asked would be trained away from it.",
        ),
        _claim(
            "SK721",
            "an answer that does nothing is paid",
            "Empty, prose, echoes of the prompt, a dump of the schema and claims of success are worth at most "
            "`verifier.idle_at_most` of skill.yaml.",
            "A policy finds it at once, and learns nothing else.",
        ),
        _claim(
            "SK722",
            "an answer that cannot be run is paid",
            "What the contract refuses (text after the answer, two answers, a key twice, huge and deep JSON) is worth "
            "at most `verifier.idle_at_most` of skill.yaml.",
            "The executor would refuse what the model was paid for.",
        ),
        _claim(
            "SK723",
            "an answer with one mistake is paid as a right one",
            "The expected answer with one field changed does not pass, and is worth at most "
            "`verifier.wrong_at_most` of skill.yaml.",
            "What is never missed is never learned: the field becomes noise.",
        ),
        _claim(
            "SK724",
            "the answer of another task is paid",
            "The expected answer of another task does not pass, and is worth at most `verifier.wrong_at_most`.",
            "One answer for every question would do.",
        ),
        _claim(
            "SK725",
            "a look-alike is paid as a right answer",
            "The expected answer with a letter of another script, a full-width digit or an invisible character.",
            "It looks right to people and is another file, host or flag to a program.",
        ),
        _claim(
            "SK731",
            "the same answer gets another verdict",
            "The same batch again gives the same verdicts and rewards, bit by bit.",
            "Differences of reward within a group would be noise, and a run could not be repeated.",
        ),
        _claim(
            "SK732",
            "the verdict depends on the order",
            "The batch in reverse gives the same verdicts.",
            "An answer would be paid for its neighbours.",
        ),
        _claim(
            "SK733",
            "the verdict depends on the size of the batch",
            "Answers judged alone, in batches of 64 and all at once get the same verdicts.",
            "Training and evaluation judge in batches of different sizes.",
        ),
        _claim(
            "SK734",
            "the verdict depends on the worker",
            "Two new workers, with half of the answers each, give the same verdicts.",
            "With another number of workers the same run would train another model.",
        ),
        _claim(
            "SK741",
            "a reward outside -1 to 1",
            "What every reward pays for every probe.",
            "Rewards are added with weights; one that is larger drowns the others.",
        ),
        _claim(
            "SK742",
            "a reward fails",
            "A reward raises, or returns what is not a finite number.",
            "Its column would have holes exactly where a policy is worst.",
        ),
        _claim(
            "SK751",
            "the verifier could not judge",
            "Fuzzed answers, too, get a verdict: nothing that a model writes makes the code raise, hang or exit.",
            "An answer that breaks its judge is never punished.",
        ),
        _claim(
            "SK761",
            "a verdict takes too long",
            "Each takes less than `verifier.seconds` of skill.yaml, the best of three times.",
            "The accelerator waits for the slowest verdict of a step.",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class TaskRef:
    """A task and where it stands. ``line`` is 1-based, None where it is not known."""

    name: str
    path: str
    line: int | None
    request: str
    expected: Any


@dataclass(frozen=True, slots=True)
class Counterexample:
    """An answer for which a claim does not hold, as small as it could be made.

    Attributes:
        place: the task that it answers.
        completion: the answer.
        among: the other answers of its batch, where they matter.
    """

    place: TaskRef
    completion: str
    among: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it; very long texts are clipped, with their length."""
        return {
            "task": self.place.name,
            "request": clipped(self.place.request, KEPT),
            "expected": self.place.expected,
            "completion": clipped(self.completion, KEPT),
            "characters": len(self.completion),
            "among": [clipped(text, KEPT) for text in self.among],
        }


@dataclass(frozen=True, slots=True)
class Broken:
    """A claim that does not hold.

    Attributes:
        code: of the claim.
        how: which probe showed it, such as ``fenced``.
        example: the answer.
        seen: what was seen of it.
    """

    code: str
    how: str
    example: Counterexample
    seen: str

    def finding(self) -> Finding:
        """Return the finding of this claim."""
        place, among = self.example.place, self.example.among
        others = f" among {', '.join(map(_quoted, among))}" if among else ""
        answer = f"{_quoted(self.example.completion)}{others} to {_quoted(place.request, ASKED)}"
        message = f"{CLAIMS[self.code].title}: {self.how}: {answer}: {self.seen}"
        return Finding(code=self.code, severity=Severity.ERROR, path=place.path, line=place.line, message=message)

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        return {
            **as_json(self.finding()),
            "how": self.how,
            "seen": self.seen,
            "counterexample": self.example.document(),
        }


def clipped(text: str, length: int) -> str:
    """Return a text, its middle left out where it is longer."""
    if len(text) <= length:
        return text
    half = length // 2
    return f"{text[:half]}[… {len(text) - 2 * half} characters …]{text[-half:]}"


def _quoted(text: str, length: int = SHOWN) -> str:
    return json.dumps(clipped(text, length), ensure_ascii=False)
