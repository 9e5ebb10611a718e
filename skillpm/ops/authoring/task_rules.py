"""Rules that need the rooms above layout: what synthesis.yaml would make, what seeds and suites ask twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from skillpm.errors import DocumentError
from skillpm.layout.rule import RuleSet
from skillpm.layout.subject import Subject
from skillpm.model.finding import Problem

if TYPE_CHECKING:
    from skillpm.contract.contract import Contract
    from skillpm.layout.package import Row
    from skillpm.model.rule_fit import Flaw
    from skillpm.model.synthesis import SynthesisDocument
    from skillpm.model.task import Seed

MAX_PROBLEMS = 50  # of one rule in one skill
TASK_RULES = RuleSet()
_CONTRADICTORY, _TWICE, _REFUSED = "contradictory", "twice", "refused"


def _synthesis(subject: Subject) -> SynthesisDocument | None:
    """Return synthesis.yaml where it could be read; other skills import nothing."""
    has_one = subject.package is not None and "synthesis.yaml" in subject.package.documents
    return subject.package.synthesis.value if subject.package and has_one else None


def seed_rows(subject: Subject) -> Iterator[Row[Seed]]:
    """Yield the seeds that can be read."""
    return (row for read in (subject.package.seeds if subject.package else ()) for row in read.value or ())


def suite_rows(subject: Subject) -> Iterator[Row[Any]]:
    """Yield the tasks of suites that can be read."""
    return (row for suite in (subject.package.suites if subject.package else ()) for row in suite.tasks.value or ())


def compiled_contract(subject: Subject) -> Contract | None:
    """Return the contract where there is one that compiles."""
    if subject.package is None or "contract.yaml" not in subject.package.documents:
        return None
    from skillpm.contract.contract import Contract

    document = subject.package.contract.value
    try:
        return None if document is None else Contract(document)
    except DocumentError:
        return None  # SK551 reports it


def _problems(subject: Subject, flaws: Iterable[Flaw]) -> Iterator[Problem]:
    """Yield flaws of synthesis.yaml at their lines."""
    assert subject.package is not None
    read = subject.package.synthesis
    for flaw in islice(flaws, MAX_PROBLEMS):
        yield Problem(flaw.message, read.line_of(flaw.location), read.path, flaw.hint)


@TASK_RULES.install_error(
    "SK514", "optional slot inside a value", why="Rows without the slot would get a label with a hole."
)
def optional_pieces(subject: Subject) -> Iterator[Problem]:
    """A slot with a probability below 1 and no `otherwise` inside a text, list or object of `args`."""
    if document := _synthesis(subject):
        from skillpm.synth.checker import label_flaws

        yield from _problems(subject, label_flaws(document))


@TASK_RULES.install_error("SK515", "one text says two values", why="Requests with that text have two answers.")
def shared_texts(subject: Subject) -> Iterator[Problem]:
    """Texts of two values or of two slots, a text that is another value, and clauses that leave out their value."""
    if document := _synthesis(subject):
        from skillpm.synth.checker import text_flaws
        from skillpm.synth.wording import clause_flaws

        yield from _problems(subject, chain(text_flaws(document), clause_flaws(document)))


@TASK_RULES.install_error(
    "SK516", "slot that no request can say", why="The task, or every row with the slot, is never made."
)
def unsayable_slots(subject: Subject) -> Iterator[Problem]:
    """Slots that no request, clause and constraint lets a row draw and say, and tasks that the contract refuses."""
    if document := _synthesis(subject):
        from skillpm.synth.checker import unsayable_flaws
        from skillpm.synth.wording import impossible_rows

        yield from _problems(subject, unsayable_flaws(document))
        if (contract := compiled_contract(subject)) is not None:
            yield from _problems(subject, impossible_rows(document, contract))


@TASK_RULES.warning("SK517", "never shown in training", why="A model is measured on what it was never taught.")
def missing_classes(subject: Subject) -> Iterator[Problem]:
    """Kinds, tools, given and null arguments, and enum members that no task and no training phrasing makes."""
    document = _synthesis(subject)
    if subject.package is None or "contract.yaml" not in subject.package.documents:
        return
    contract = subject.package.contract.value
    if document is None or contract is None or "plugin.py" in subject.files:
        return  # a plugin may make what synthesis.yaml does not
    from skillpm.synth.checker import missing_classes, missing_kinds

    seeds = [row.value for row in seed_rows(subject)]
    yield from _problems(subject, missing_kinds(document, contract.answers, seeds))
    yield from _problems(subject, missing_classes(document, {tool.name: tool for tool in contract.tools}, seeds))


@TASK_RULES.warning("SK518", "a special token", why="Rows that hold one are thrown away: they would end a message.")
def special_tokens(subject: Subject) -> Iterator[Problem]:
    """Special tokens of chat templates, such as `<|im_end|>`, in synthesis.yaml and seeds."""
    if subject.package is None:
        return
    from skillpm.model.task import canonical_json
    from skillpm.synth.special_tokens import special_texts, special_token

    hint = "write it in another way, or leave it out"
    if document := _synthesis(subject):
        read = subject.package.synthesis
        for place, token in special_texts(document):
            yield Problem(f"`{token}` is a special token of chat templates", read.line_of(place), read.path, hint)
    for row in seed_rows(subject):
        found = special_token(row.value.request, canonical_json(row.value.expected))
        if found is not None:
            yield Problem(f"`{found}` is a special token of chat templates", row.line, row.path, hint)


@TASK_RULES.warning("SK519", "rows that are doubtful", why="They are thrown away, or teach a value that was not meant.")
def doubtful_rows(subject: Subject) -> Iterator[Problem]:
    """Requests that say a value by themselves, blanks, exchanged slots, unused pools, answers that are refused."""
    if document := _synthesis(subject):
        from skillpm.synth.wording import doubtful_answers, doubtful_wordings

        yield from _problems(subject, doubtful_wordings(document))
        if (contract := compiled_contract(subject)) is not None:
            yield from _problems(subject, doubtful_answers(document, contract))


@TASK_RULES.warning("SK530", "a value of another format", why="Decoding by the contract can never write it.")
def other_formats(subject: Subject) -> Iterator[Problem]:
    """Expected values of seeds and suites that are not of the `format` in their schema, such as the date 2026-02-30."""
    contract = compiled_contract(subject)
    if contract is None:
        return
    from skillpm.contract.validator import compiled

    schemas = {
        name: tool.input_schema for name, tool in contract.tools.items() if '"format"' in json.dumps(tool.input_schema)
    }
    strict = {name: compiled(schema, formats=True) for name, schema in schemas.items()}
    for row in chain(seed_rows(subject), suite_rows(subject)) if strict else ():
        expected = _without_null(row.value.expected)
        if not isinstance(expected, dict) or str(expected.get("tool")) not in strict or "args" not in expected:
            continue
        name, arguments = str(expected["tool"]), expected["args"]
        error = next(strict[name].iter_errors(arguments), None)
        if error is not None and compiled(schemas[name]).is_valid(arguments):
            place = ".".join(map(str, error.instance_path))
            yield Problem(f"`{place}`: {error.message[:120]}", row.line, row.path, "correct the value, or the `format`")


@TASK_RULES.install_error(
    "SK526", "one request, two answers", why="No model can give both; the best possible score is 50 %."
)
def contradictory_requests(subject: Subject) -> Iterator[Problem]:
    """Equal requests with different expected answers among seeds and suites, or among the rules."""
    if document := _synthesis(subject):
        from skillpm.synth.wording import contradictions, fixed_answers

        yield from _problems(subject, contradictions(document))
        yield from _against_rules(subject, fixed_answers(document))
    yield from (problem for kind, problem in _repeated_requests(subject) if kind == _CONTRADICTORY)


@TASK_RULES.warning("SK527", "a request stands twice", why="It counts twice, or is merged without a word.")
def duplicate_requests(subject: Subject) -> Iterator[Problem]:
    """Equal requests with one expected answer among seeds and suites."""
    yield from (problem for kind, problem in _repeated_requests(subject) if kind == _TWICE)


@TASK_RULES.error("SK529", "a suite asks one request twice", why="`eval` refuses the suite: the request counts double.")
def repeats_in_suites(subject: Subject) -> Iterator[Problem]:
    """Requests that stand twice in one suite, whatever their case and white space."""
    yield from (problem for kind, problem in _repeated_requests(subject) if kind == _REFUSED)


@TASK_RULES.error(
    "SK528", "a seed stands in a suite", why="Nobody may train on what measures: `synth` and `train` refuse the skill."
)
def seeds_in_suites(subject: Subject) -> Iterator[Problem]:
    """Seeds that ask the same as a suite task."""
    measured = {}
    if suites := [*suite_rows(subject)]:
        from skillpm.synth.contamination import skeleton
        from skillpm.synth.dedupe import normal_form

        measured = {skeleton(normal_form(row.value.request)): _place(row) for row in suites}
    for row in seed_rows(subject) if measured else ():
        place = measured.get(skeleton(normal_form(row.value.request)))
        if place is not None:
            yield Problem(
                f"`{row.value.request[:80]}` is a task of {place}", row.line, row.path, "take one of them out"
            )


def _against_rules(subject: Subject, answers: Mapping[str, tuple[str, str]]) -> Iterator[Problem]:
    """Yield seeds and suite tasks to which a task of synthesis.yaml has another answer."""
    from skillpm.model.task import canonical_json
    from skillpm.synth.dedupe import normal_form

    contract = cache(partial(compiled_contract, subject))  # compiled once, where two answers differ
    for row in chain(seed_rows(subject), suite_rows(subject)):
        task, answer = answers.get(normal_form(row.value.request), ("", ""))
        if answer and not _is_same(contract, canonical_json(_without_null(row.value.expected)), answer):
            message = f"`{row.value.request[:80]}`: task `{task}` of synthesis.yaml has another answer"
            yield Problem(message, row.line, row.path, "correct one of the two")


def _repeated_requests(subject: Subject) -> Iterator[tuple[str, Problem]]:
    """Yield each request that was asked before, and of which kind the repetition is."""
    if subject.package is None:
        return
    from skillpm.model.task import canonical_json, request_key
    from skillpm.synth.dedupe import normal_form

    suites = {suite.tasks.path for suite in subject.package.suites}
    # suites may name one file: its rows are the same rows
    rows = {(row.path, row.line, row.value.request): row for row in chain(seed_rows(subject), suite_rows(subject))}
    seen: dict[str, tuple[str, str]] = {}
    in_suites: dict[tuple[str, str], str] = {}  # (suite, request as eval compares it) -> place
    contract = cache(partial(compiled_contract, subject))
    for row in rows.values():
        answer = canonical_json(_without_null(row.value.expected))
        place = _place(row)
        first, other = seen.setdefault(normal_form(row.value.request), (place, answer))
        twin = in_suites.setdefault((row.path, request_key(row.value.request)), place) if row.path in suites else place
        if first != place:
            is_same = _is_same(contract, other, answer)
            kind = _CONTRADICTORY if not is_same else _REFUSED if twin != place else _TWICE
            what = "the same is asked" if is_same else "another answer is expected"
            message = f"`{row.value.request[:80]}`: {what} in {twin if kind == _REFUSED else first}"
            yield kind, Problem(message, row.line, row.path, "keep one of the two")


def _place(row: Row[Any]) -> str:
    return f"{row.path}:{row.line}" if row.line else row.path


def _is_same(find_contract: Callable[[], Contract | None], one: str, other: str) -> bool:
    """Are two answers in JSON the same for the contract, such as two spellings of one command line?"""
    if one == other or (contract := find_contract()) is None:
        return one == other

    try:
        return contract.judge(json.loads(one), contract.render(json.loads(other))).status == "passed"
    except DocumentError:
        return False


def _without_null(value: object) -> object:
    """Return an expected answer without null: an argument that is null and one that is absent are one."""
    if isinstance(value, dict):
        return {key: _without_null(item) for key, item in value.items() if item is not None}
    return [_without_null(item) for item in value] if isinstance(value, list | tuple) else value
