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
from skillpm.model.task import Task

QUOTED_REQUEST = 80  # characters of a request in a sentence
QUOTED_ANSWER = 200  # characters of an answer in a sentence
REPORTED = 4000  # characters of a text in a JSON report


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
            "Empty, prose, echoes of the prompt, a dump of the schema, claims of success and the texts of the "
            "verifier's own code are worth at most `verifier.idle_at_most` of skill.yaml.",
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
            "The expected answer with one field changed, cut, spelled otherwise or swapped with another does not "
            "pass, and is worth at most `verifier.wrong_at_most`, unless `compare` of the contract calls it the same.",
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
            "The expected answer with letters of another script, full-width and mathematical ones, accents, invisible "
            "and control characters.",
            "It looks right to people and is another file, host or flag to a program.",
        ),
        _claim(
            "SK726",
            "a hedge is paid",
            "The expected answer joined with another, among all others, or in a thought before another does not pass, "
            "and is worth at most `verifier.wrong_at_most`.",
            "A policy names everything that could be right.",
        ),
        _claim(
            "SK727",
            "a pattern is paid",
            "`.*`, `*`, `%` and the like, alone or in place of letters, and letters in place of a mark of the expected "
            "answer, are worth at most `verifier.wrong_at_most`.",
            "It matches where a verifier reads the answer, or the expected answer, as a pattern.",
        ),
        _claim(
            "SK728",
            "an answer of another kind is paid",
            "Where the contract takes questions, refusals and texts: a call in place of one, one in place of a call, "
            "and each in place of another is worth at most `verifier.wrong_at_most`.",
            "A model would call a tool for everything, or refuse everything.",
        ),
        _claim(
            "SK729",
            "a longer wrong answer is paid more",
            "A long text in place of a value or of the answer is worth no more than a short one, and neither is white "
            "space behind the right answer.",
            "A policy writes long answers, and no better ones.",
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
            "Answers judged alone, in batches of 2 to 64 and all at once get the same verdicts.",
            "Training and evaluation judge in batches of different sizes.",
        ),
        _claim(
            "SK734",
            "the verdict depends on the worker",
            "Two new workers, with half of the answers each, clocks that show another time for each answer and process "
            "numbers that are others in each batch, give the same verdicts; at most 2,000 answers, spread evenly.",
            "With other workers, or at another hour, the same run would train another model.",
        ),
        _claim(
            "SK735",
            "the verdict changes with time",
            "Answers judged thousands of times, in batches of one task as training judges them, get the same verdicts.",
            "A verifier that counts, or that errs once in thousands, is found by a long run and not by a short test.",
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
            "SK743",
            "a reward pays for a wrong answer",
            "What every declared reward pays for each wrong answer: no more than the same limits, and less than for "
            "the right one.",
            "The trainer pays rewards, not verdicts: what is paid is what is learned.",
        ),
        _claim(
            "SK744",
            "a reward pays the same for every answer",
            "What every declared reward pays for right, wrong and idle answers; one that a recipe uses by default pays "
            "something for wrong ones, if only 0.",
            "It teaches nothing, or it teaches that any answer will do.",
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
    task: Task

    @property
    def request(self) -> str:
        """What is asked."""
        return self.task.request

    @property
    def expected(self) -> Any:
        """The expected answer."""
        return self.task.expected


@dataclass(frozen=True, slots=True)
class Counterexample:
    """An answer for which a claim does not hold, as small as it could be made.

    Attributes:
        among: the other answers of its batch, where they matter.
    """

    place: TaskRef
    completion: str
    among: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it; very long texts are clipped, with their length."""
        return {
            "task": self.place.name,
            "request": clipped(self.place.request, REPORTED),
            "expected": self.place.expected,
            "completion": clipped(self.completion, REPORTED),
            "characters": len(self.completion),
            "among": [clipped(text, REPORTED) for text in self.among],
        }


@dataclass(frozen=True, slots=True)
class Broken:
    """A claim that does not hold.

    Attributes:
        how: which probe showed it, such as ``fenced``.
    """

    code: str
    how: str
    example: Counterexample
    seen: str

    def finding(self) -> Finding:
        """Return the finding of this claim."""
        place, among = self.example.place, self.example.among
        others = f" among {', '.join(map(_quoted, among))}" if among else ""
        answer = f"{_quoted(self.example.completion)}{others} to {_quoted(place.request, QUOTED_REQUEST)}"
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


def _quoted(text: str, length: int = QUOTED_ANSWER) -> str:
    return json.dumps(clipped(text, length), ensure_ascii=False)
