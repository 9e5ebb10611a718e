"""Duplicates: the index finds exactly what comparing all pairs finds."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillpm.synth.dedupe import SMALL, Deduplicator, Finding, normal_form

WORDS = st.sampled_from(list("abcdefghijkl"))


def jaccard(left: frozenset[str], right: frozenset[str]) -> Fraction:
    return Fraction(len(left & right), len(left | right)) if left | right else Fraction(1)


def oracle(rows: list[tuple[str, str]]) -> list[Finding]:
    """Compare every pair."""
    targets: dict[str, set[str]] = {}
    kept: list[tuple[str, frozenset[str]]] = []
    findings = []
    for form, target in rows:
        words = frozenset(form.split())
        known = targets.setdefault(form, set())
        if known and known != {target}:
            known.add(target)
            findings.append(Finding.AMBIGUOUS)
        elif known:
            findings.append(Finding.DUPLICATE)
        elif any(other == target and jaccard(words, seen) >= Fraction(4, 5) for other, seen in kept):
            findings.append(Finding.NEAR_DUPLICATE)
        else:
            findings.append(Finding.NEW)
            kept.append((target, words))
        known.add(target)
    return findings


def findings(duplicates: Deduplicator, rows: list[tuple[str, str]]) -> list[Finding]:
    """Judge each row as synthesis does: an ambiguous request loses its earlier row, too."""
    found = []
    for number, (form, target) in enumerate(rows):
        found.append(duplicates.add(form, target, number))
        if found[-1] is Finding.AMBIGUOUS:
            duplicates.forget(form)
    return found


@given(st.lists(st.tuples(st.lists(WORDS, max_size=14).map(" ".join), st.sampled_from(["x", "y"])), max_size=80))
def test_findings_are_those_of_comparing_all_pairs(rows: list[tuple[str, str]]) -> None:
    duplicates = Deduplicator()
    assert findings(duplicates, rows) == oracle(rows)


@given(st.integers(0, 10_000), st.sampled_from([3, 6, 12, 20, 26]), st.sampled_from([16, 1 << 12]))
def test_large_groups_are_searched_exactly(seed: int, length: int, block: int) -> None:
    """Groups far above the size at which the index takes over, in one block and in several."""
    chance = random.Random(seed)
    vocabulary = [f"w{number}" for number in range(2 * length)]
    base = [" ".join(chance.sample(vocabulary, length)) for _ in range(6)]
    rows = []
    for _ in range(160):
        words = chance.choice(base).split()
        for _ in range(chance.randrange(4)):
            place = chance.randrange(len(words)) if words else 0
            words[place : place + chance.randrange(2)] = chance.sample(vocabulary, chance.randrange(2))
        rows.append((" ".join(words), "x"))
    duplicates = Deduplicator()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skillpm.synth.dedupe._BLOCK", block)
        assert findings(duplicates, rows) == oracle(rows)


def test_long_requests_behind_short_ones_are_searched_exactly() -> None:
    duplicates = Deduplicator()
    for number in range(SMALL + 3):
        assert duplicates.add(f"start one{number} on port two{number}", "x", number) is Finding.NEW
    words = [f"word{number}" for number in range(3_000)]
    assert duplicates.add(" ".join(words), "x", SMALL + 3) is Finding.NEW
    assert duplicates.add(" ".join(words[:2_400]), "x", SMALL + 4) is Finding.NEAR_DUPLICATE
    assert duplicates.add(" ".join(words[:2_399]), "x", SMALL + 5) is Finding.NEW


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Start  the server.", "start the server"),
        ("Start 'the' server!", "start the server?!"),
        ("(Start) “the” server…", "start the server…"),
        ("list caf\u00e9", "list cafe\u0301"),
        ("\uff53tart the server", "start the server"),
        ("start\u200b the ser\u00adver", "start the server"),
        ("don’t start it", "don't start it"),
    ],
)
def test_marks_around_words_and_their_encoding_do_not_count(left: str, right: str) -> None:
    assert normal_form(left) == normal_form(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [("tag v1.2", "tag v12"), ("open .env", "open env"), ("check /", "check"), ("in ..", "in"), ("./a", "../a")],
)
def test_marks_of_a_value_do_count(left: str, right: str) -> None:
    assert normal_form(left) != normal_form(right)


@given(st.text(max_size=40))
def test_the_normal_form_is_its_own_normal_form(text: str) -> None:
    once = normal_form(text)
    assert normal_form(once) == once


@given(st.lists(st.tuples(st.lists(WORDS, max_size=6).map(" ".join), st.sampled_from("xyz"), st.booleans())))
def test_what_has_a_row_and_how_many_targets_the_rows_have(steps: list[tuple[str, str, bool]]) -> None:
    """Of each step: a request, its target, and whether the row that it may become is dropped again."""
    duplicates, rows = Deduplicator(), dict[str, tuple[str, int]]()
    for number, (form, target, is_dropped) in enumerate(steps):
        finding = duplicates.add(form, target, number)
        if finding is Finding.NEW:
            rows[form] = (target, number)
        if finding is Finding.AMBIGUOUS or is_dropped:
            assert duplicates.forget(form) == rows.pop(form, (target, None))[1]
        assert (hash(form) in duplicates) == (form in rows)
        assert duplicates.targets == len({target for target, _ in rows.values()})
    assert sorted(duplicates) == sorted(map(hash, rows))


def test_letters_are_words_where_a_script_has_no_spaces() -> None:
    duplicates = Deduplicator()
    forms = [
        normal_form(text) for text in ("请把报告复制到备份", "把报告复制到备份", "把 报告 复制到 备份", "删掉旧的报告")
    ]
    assert findings(duplicates, [(form, "x") for form in forms]) == [
        Finding.NEW,
        Finding.NEAR_DUPLICATE,
        Finding.DUPLICATE,
        Finding.NEW,
    ]
