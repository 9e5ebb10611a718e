"""Synthesis, whole: seeds and families go into the collectors of training, then of held-out, and come out as tasks.

The same skills, seed and counts give the same bytes on every machine and under any number of workers: chance is seeded
by digests, nothing is ordered by a hash table of text, and verdicts arrive in the order of the rows.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from math import ceil
from typing import TYPE_CHECKING, Any

from skillpm.errors import DocumentError
from skillpm.model.ports import Judge
from skillpm.model.progress import NO_PROGRESS, Progress
from skillpm.model.suite import Suite
from skillpm.model.synthesis import SynthesisDocument
from skillpm.model.task import TRACE, Seed, Split, Task
from skillpm.storage.temporary_lines import shuffled
from skillpm.synth.answers import Answers
from skillpm.synth.contamination import RUN, SuiteIndex
from skillpm.synth.dedupe import normal_form
from skillpm.synth.family import Family, RuleRunner, declared_family, plugin_family, random_of
from skillpm.synth.offer import Offer
from skillpm.synth.profile import OverlapCheck, Profile, SkillProfile, SplitProfile, untaught
from skillpm.synth.rephrase import Rephraser, Rephrasing
from skillpm.synth.rows import Row, RowCollector
from skillpm.synth.rule_language import RuleLanguage
from skillpm.synth.sample import Sampler, Side
from skillpm.synth.split import Division, HeldOut, divide
from skillpm.synth.spool import TaskLines
from skillpm.synth.wording import check_document

if TYPE_CHECKING:
    from skillpm.runtime.catalogue import Contributions

BATCH = 512  # rows that go to the verifier in one message
REPHRASED_BATCH = 32  # where a model writes anew: a person sees how far it is
MISSES_IN_A_ROW = 1_000  # a family that gives nothing new so often is exhausted
MISSES_A_ROW = 50  # and so is one that misses this often for each row asked of it
SEEDS_BESIDE_RULES = 0.5  # the most that seeds are of the rows, while rules give others
DOUBTS = 10  # about the rules of a skill that are told one by one
SEED = "seed"
_NO_RULES = SynthesisDocument.made(
    synthesis=1, held_out=0.0, slips=0.0, framed=1.0, frames=(), clauses={}, values={}, tasks=()
)  # of a skill without synthesis.yaml


@dataclass(frozen=True)
class Synthesis:
    """What was made.

    Attributes:
        lines: the tasks of each side, on disk.
    """

    lines: Mapping[Split, TaskLines]
    profile: Profile

    @cached_property
    def train(self) -> tuple[Task, ...]:
        """The training tasks, in memory."""
        return tuple(self.lines["train"].tasks())

    @cached_property
    def held_out(self) -> tuple[Task, ...]:
        """The held-out tasks, in memory."""
        return tuple(self.lines["held_out"].tasks())


class _Maker:
    """Makes the rows of one skill."""

    def __init__(
        self,
        contributions: Contributions,
        judge: Judge,
        suites: SuiteIndex,
        seed: int,
        rephrasing: Rephrasing | None,
        progress: Progress,
    ) -> None:
        self.contributions = contributions
        self.name, self._word = contributions.skill.name, contributions.skill.word
        self.collectors: dict[Split, RowCollector] = {}
        self.asked: dict[Split, int] = {}
        self.notes: list[str] = []
        self._seeds: dict[Split, int] = {}  # how many rows stand before those of rules, with those that were dropped
        self._shortages: dict[Split, str] = {}
        self._measured: dict[Split, SplitProfile] = {}
        document = self._document = contributions.synthesis or _NO_RULES
        doubts = check_document(document, contributions.contract, f"{self.name}/synthesis.yaml")
        self.notes += (doubt.message for doubt in doubts[:DOUBTS])
        if len(doubts) > DOUBTS:
            self.notes.append(f"{len(doubts) - DOUBTS} more doubts about its rules: run `skillpm validate`")
        # What people approved in use is no part of the skill. If it moved the split, a later round would measure on
        # what an earlier one has learned.
        own = [seed for seed in contributions.seeds if TRACE not in seed.tags]
        self.division = divide(document, own, contributions.contract)
        self._held_out = HeldOut(document, self.division)
        self._answers = Answers(contributions.contract)
        self._judge = judge
        self._verifier = None if contributions.is_judged_by_contract else judge
        self._suites = suites
        self._seed = seed
        self._progress = progress
        self._rephraser = None if rephrasing is None else Rephraser(rephrasing, self._held_out)
        self._near: set[str] = set()  # requests of seeds that are nearly a suite's
        self.said_suites = suites.said_by(RuleLanguage(document))
        self._note_suites()

    def _note_suites(self) -> None:
        """Say which suite tasks are near to what is trained on, each with its counterpart."""
        if self.said_suites:
            place, phrasing = self.said_suites[0]
            requests = "a suite request" if len(self.said_suites) == 1 else f"{len(self.said_suites)} suite requests"
            self.notes.append(f"rules can say {requests} with other values: {place} is `{phrasing}`")
        for seed in self.contributions.seeds:
            form = normal_form(seed.request)
            if same := self._suites.place_of(form):  # of what was approved in use; another seed is refused
                self.notes.append(f"a seed is left out: {seed.request[:80]!r} asks the same as {same}")
            elif shared := self._suites.shared_run(form):
                self.notes.append(f"a seed is left out: {seed.request[:80]!r} shares {RUN} words with {shared}")
            elif near := self._one_word_from(form, seed):
                self._near.add(seed.request)
                self.notes.append(f"a seed is left out: {seed.request[:80]!r} is but for a word {near}")

    def _one_word_from(self, form: str, seed: Seed) -> str | None:
        """Return the suite task with the answer of a seed, and its request but for one word."""
        for task, place in self._suites.beside(form):
            with suppress(DocumentError):  # of another skill's task
                if self._identity(task.expected) == self._identity(seed.expected):
                    return place
        return None

    def _identity(self, expected: Any) -> str:
        return self._answers.identity(self._answers.of(expected))

    def make(self, split: Split, asked: int, others: Sequence[_Maker], run: RuleRunner | None) -> None:
        """Fill the rows of one side; ``others`` have made those of the other side."""
        elsewhere = [other.collectors["train"] for other in others]
        twins = [other for other in others if other is not self and other.has_contract_of(self)]

        def is_trained(text: str) -> bool:
            return any(twin.trains(text) for twin in twins)

        prompt = self.contributions.prompt
        rows = RowCollector(self.name, prompt, self._answers, split, self._suites, elsewhere, is_trained)
        self.collectors[split], self.asked[split] = rows, asked
        rows.avoid(self._suites.tasks)
        self._progress.start(f"{self.name} {split.replace('_', '-')}", asked)
        families = self._families(split, asked, run)
        approved, own = self._seeds_to_learn() if split == "train" else [[], []]
        seeds = iter(approved + own)
        most = max(len(approved), ceil(asked * SEEDS_BESIDE_RULES)) if families else asked
        self._take_seeds(rows, seeds, min(asked, most))
        self._seeds[split] = rows.kept.next_number
        self._fill(rows, families, asked)
        self._take_seeds(rows, seeds, asked)
        if left := sum(1 for _ in seeds):
            seeds_left = f"{left} of {len(approved) + len(own)} seeds are left out"
            self.notes.append(f"{seeds_left}: ask for more rows to learn from more seeds")
        for family in families:
            rows.rejected.update(family.rejected)
        if len(rows.kept) < asked:
            self._shortages[split] = _shortage(rows, families)
        self._progress.finish()

    def _seeds_to_learn(self) -> list[list[Seed]]:
        """Return what people approved in use, without what shows what is held out, and the skill's own by chance."""
        used = [seed for seed in self.contributions.seeds if TRACE in seed.tags]
        approved = [seed for seed in used if not self._held_out.stands_in(seed.request, seed.expected)]
        if left := len(used) - len(approved):
            self.notes.append(f"{left} approved requests are left out: they show what is held out of training")
        own = [seed for seed in self.contributions.seeds if TRACE not in seed.tags]
        mixed = random_of(self.name, SEED, self._seed).sample(own, len(own))
        return [[seed for seed in seeds if seed.request not in self._near] for seeds in (approved, mixed)]

    def _take_seeds(self, rows: RowCollector, seeds: Iterator[Seed], goal: int) -> None:
        """Take the next seeds until there are ``goal`` rows, or no more seeds."""
        while drawn := [*islice(seeds, max(0, goal - len(rows.kept)))]:
            offers = [
                Offer(SEED, seed.request, seed.expected, "trace" if TRACE in seed.tags else "seed", seed.tags)
                for seed in drawn
            ]
            before = len(rows.kept)
            rows.verify([row for row in rows.take(offers) if isinstance(row, Row)], self._verifier, self._word)
            self._progress.advance(max(0, len(rows.kept) - before))

    def _families(self, split: Split, asked: int, run: RuleRunner | None) -> list[Family]:
        families: list[Family] = []
        side = Side(self._document, self.division, split)
        for sampler in [Sampler(side, rule) for rule in self._document.rules]:
            if sampler.possible:
                families.append(declared_family(sampler, skill=self.name, split=split, seed=self._seed))
            else:
                self.notes.append(f"task `{sampler.rule.name}` has nothing that could be held out")
        for rule in self.contributions.rules:
            if run is not None:
                both = 2 * asked  # the rule makes tasks of both sides, and some of them are refused
                seeds = self.contributions.seeds
                families.append(
                    plugin_family(run, rule, skill=self.name, seeds=seeds, split=split, seed=self._seed, count=both)
                )
        return families

    def _fill(self, rows: RowCollector, families: Sequence[Family], asked: int) -> None:
        """Take rows by weight; what an exhausted family leaves goes to the others."""
        # A round ends with all rows there, or with a family fewer. Only a request that turns out to have two answers
        # takes a row back from a family that was full; the bound is for that, so that no skill can go round for ever.
        active = list(families)
        for _ in range(2 * len(families) + 4):
            missing = asked - len(rows.kept)
            if missing <= 0 or not active:
                return
            # of what is missing, not of all: so the weights hold among those that still give something
            quotas = _apportion(missing, [family.weight for family in active])
            goals = [rows.kept.families[family.name] + quota for family, quota in zip(active, quotas, strict=True)]
            full = [self._take(rows, family, goal) for family, goal in zip(active, goals, strict=True)]
            active = [family for family, is_full in zip(active, full, strict=True) if is_full]

    def _take(self, rows: RowCollector, family: Family, goal: int) -> bool:
        """Take rows from one family until it has given ``goal``; False where it is exhausted."""
        wanted = goal - rows.kept.families[family.name]
        misses = in_a_row = 0
        rephraser = self._rephraser if rows is self.collectors.get("train") else None
        batch = BATCH if rephraser is None else REPHRASED_BATCH
        while (missing := goal - rows.kept.families[family.name]) > 0:
            candidates: list[Row] = []
            while len(candidates) < min(batch, missing):
                # Two bounds, because a family can run dry in two ways: at once, and by an ever rarer new row. The
                # second grows with what is asked, or a long run would be cut where a short one is not.
                bound = min(MISSES_IN_A_ROW - in_a_row, MISSES_IN_A_ROW + MISSES_A_ROW * wanted - misses)
                drawn = [*islice(family.offers, max(0, min(batch - len(candidates), missing - len(candidates), bound)))]
                if not drawn:
                    break
                outcomes = iter(rows.take([offer for offer in drawn if offer is not None]))
                for row in (None if offer is None else next(outcomes) for offer in drawn):
                    if isinstance(row, Row):
                        candidates.append(row)
                        in_a_row = 0
                    else:
                        misses, in_a_row = misses + 1, in_a_row + 1
            if not candidates:
                return False
            # Rows count from when they are offered, so the batch is taken off again here. An ambiguous request may
            # have cost an earlier row: then fewer are gained than verified, at worst less than none.
            before = rows.kept.families[family.name] - len(candidates)
            if rephraser is not None:
                candidates = rephraser.rephrase(rows, candidates, self.contributions.contract, self._judge)
            rows.verify(candidates, self._verifier, self._word)
            gained = max(0, rows.kept.families[family.name] - before)
            misses += len(candidates) - gained
            self._progress.advance(gained)
        return True

    def write(self, split: Split, lines: TaskLines) -> None:
        """Write the tasks of one side, what people wrote first and the others shuffled, and measure them."""
        collector = self.collectors[split]
        kept = iter(collector.kept)
        lines.extend([*islice(kept, collector.kept.before(self._seeds[split]))])
        # families were filled one after the other: unshuffled, a reader of the first rows would see one family only
        bits = random_of(self.name, "order", split, self._seed).getrandbits
        for part in shuffled(kept, collector.kept.size, bits):
            lines.extend(part)
        self._measured[split] = collector.profile(
            asked=self.asked[split],
            shortage=self._shortages.get(split, ""),
            rephrased=self._rephraser.outcomes if self._rephraser is not None and split == "train" else {},
        )

    def profile(self) -> SkillProfile:
        """Return what happened."""
        sides = self._measured
        return SkillProfile(
            tree=self.contributions.skill.tree,
            train=sides["train"],
            held_out=sides["held_out"],
            pools=dict(self.division.pools),
            phrasings=_phrasing_sizes(self._document, self.division),
            notes=(*self.notes, *untaught(sides["train"], sides["held_out"])),
        )

    def has_contract_of(self, other: _Maker) -> bool:
        """Do two skills have one and the same contract, so that a value of one is a value of the other?"""
        mine, theirs = self.contributions.contract, other.contributions.contract
        return mine is not None and theirs is not None and mine.document == theirs.document

    def trains(self, text: str) -> bool:
        """May a training row show the value with this text, or does one?"""
        return self.division.sides.get(text) is False or hash(text) in self.collectors["train"].shown

    def leaked_values(self) -> int:
        """Count the values of split pools that both sides show: zero."""
        return sum(value in self.collectors["train"].shown for value in self.collectors["held_out"].shown)


def _shortage(rows: RowCollector, families: Sequence[Family]) -> str:
    """Return why there are fewer rows than were asked for."""
    if not families:
        return "nothing in the skill makes any"
    reasons = ", ".join(f"{reason}: {count}" for reason, count in rows.rejected.most_common(3))
    return f"no more distinct ones were found ({reasons or 'the rules ended'})"


def _apportion(total: int, weights: Sequence[float]) -> list[int]:
    """Divide a total by weights into whole parts (largest remainder; the earlier of equals first)."""
    whole = sum(weights)
    exact = [total * weight / whole for weight in weights]
    parts = [int(share) for share in exact]
    order = sorted(range(len(parts)), key=lambda place: (parts[place] - exact[place], place))
    for place in order[: total - sum(parts)]:
        parts[place] += 1
    return parts


def _phrasing_sizes(document: SynthesisDocument, division: Division) -> dict[str, tuple[int, int]]:
    lists = {"frames": document.frames} if document.frames else {}
    for rule in document.rules:
        lists[f"{rule.name}.requests"] = rule.requests
        lists.update({f"{rule.name}.clauses.{slot}": texts for slot, texts in rule.clauses.items()})
    return {
        place: (len(division.phrasings_of(texts, "train")), len(division.phrasings_of(texts, "held_out")))
        for place, texts in lists.items()
    }


@contextmanager
def _garbage_left() -> Iterator[None]:
    """Pause the search for reference cycles: rows make none, and walking over all of them costs a fifth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_garbage_left()
def synthesise(
    contributions: Sequence[Contributions],
    judge: Judge,
    *,
    rows: int,
    held_out: int,
    seed: int,
    run_rule: RuleRunner | None = None,
    progress: Progress = NO_PROGRESS,
    other_suites: Iterable[tuple[str, Suite]] = (),
    rephrasing: Rephrasing | None = None,
) -> Synthesis:
    """Make training and held-out tasks of skills.

    Args:
        contributions: of the skills.
        judge: judges gold answers, such as ``Scorer.judge``.
        rows: training rows of each skill, its seeds among them.
        held_out: held-out rows of each skill.
        seed: other seeds, other rows; what is held out does not depend on it.
        run_rule: runs plugins' rules, such as ``Scorer.synthesise``; without it they give nothing.
        progress: is told how far it is.
        other_suites: (skill, suite) of skills that are installed but not among ``contributions``.
        rephrasing: who writes training requests of rules in other words.

    Raises:
        CheckError: a seed stands in a suite.
        DocumentError: a rule does not fit its contract.
        EndpointError: the server of the model that rephrases failed.
        VerifierError: a verifier can judge nothing.
    """
    mine = [(item.skill.name, suite) for item in contributions for suite in item.suites]
    suites = SuiteIndex([*mine, *other_suites])
    for item in contributions:
        # what was asked in use may well stand in a suite; then it is no row, and nobody has anything to mend
        suites.refuse(item.skill.name, [seed for seed in item.seeds if TRACE not in seed.tags])
    # Training of all skills first: a held-out request must stand in no skill's training rows, for one model learns them
    # all. The other order would let held-out rows take requests, and so change training with the number of them.
    makers = [_Maker(item, judge, suites, seed, rephrasing, progress) for item in contributions]
    for maker in makers:
        maker.make("train", rows, (), run_rule)
    for maker in makers:
        maker.make("held_out", held_out, makers, run_rule)
    return _finished(makers, suites, seed)


def _finished(makers: Sequence[_Maker], suites: SuiteIndex, seed: int) -> Synthesis:
    lines: dict[Split, TaskLines] = {"train": TaskLines(), "held_out": TaskLines()}
    for split, side in lines.items():
        for maker in makers:
            maker.write(split, side)
    rows = {split: [maker.collectors[split] for maker in makers] for split in lines}
    in_suites = {split: sum(any(form in side for side in sides) for form in suites) for split, sides in rows.items()}
    in_both = {key for side in rows["held_out"] for other in rows["train"] for key in side.shared(other)}
    overlap = OverlapCheck(
        train_requests_in_held_out=len(in_both),
        train_requests_in_suites=in_suites["train"],
        held_out_requests_in_suites=in_suites["held_out"],
        held_out_values_in_train=sum(maker.leaked_values() for maker in makers),
        suite_requests_in_rules=tuple(pair for maker in makers for pair in maker.said_suites),
    )
    digests = {split: side.digest for split, side in lines.items()}
    profile = Profile(
        seed=seed, skills={maker.name: maker.profile() for maker in makers}, overlap=overlap, digests=digests
    )
    return Synthesis(lines, profile)
