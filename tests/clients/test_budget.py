"""What of a list of skills an agent's model gets to see."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillpm.clients.agent import Budget, Overflow
from skillpm.clients.budget import Entry, fit_list
from skillpm.clients.table import AGENTS


def entries(*sizes: int) -> list[Entry]:
    return [Entry(f"s{number}", "d" * size, "x") for number, size in enumerate(sizes)]


def budget(overflow: Overflow, characters: int = 30, entry: str = "{name}{description}") -> Budget:
    return Budget(characters, None, 100, entry, overflow)


@pytest.mark.parametrize("overflow", list(Overflow))
def test_a_list_that_fits_exactly_is_seen_whole(overflow: Overflow) -> None:
    found = fit_list(entries(8, 8, 8), budget(overflow))
    assert found.fits and (found.used, found.limit, found.skills) == (30, 30, 3)
    assert (found.affected, found.dropped, found.length) == (0, (), None)


def test_forgotten_descriptions_are_counted_as_if_the_longest_went_first() -> None:
    assert fit_list(entries(1, 20, 9), budget(Overflow.FORGET)).affected == 1
    assert fit_list(entries(20, 20, 20), budget(Overflow.FORGET)).affected == 2


def test_descriptions_are_cut_to_the_greatest_length_that_fits() -> None:
    found = fit_list(entries(2, 20, 30), budget(Overflow.SHORTEN))
    assert (found.length, found.affected, found.dropped) == (11, 2, ())


def test_where_names_alone_are_too_many_skills_go() -> None:
    found = fit_list(entries(*[5] * 20), budget(Overflow.SHORTEN))
    assert found.length == 0 and found.affected == 20 and len(found.dropped) > 5


def test_a_list_that_is_cut_ends_before_the_first_skill_that_does_not_fit() -> None:
    assert fit_list(entries(20, 20, 1, 1), budget(Overflow.CUT)).dropped == ("s1", "s2", "s3")


def test_a_description_counts_no_more_than_its_own_limit_and_in_one_line() -> None:
    assert fit_list(entries(5_000), budget(Overflow.FORGET, 200)).used == 102
    assert fit_list([Entry("a", "x\n\n  y", "")], budget(Overflow.FORGET)).used == len("ax y")


def test_in_xml_a_description_counts_escaped() -> None:
    assert fit_list([Entry("a", "<&>", "")], budget(Overflow.CUT, 99, "<{name}>{description}")).used == len(
        "<a>&lt;&amp;&gt;"
    )


def test_of_one_name_in_two_folders_one_counts() -> None:
    assert fit_list([Entry("a", "user", ""), Entry("a", "project", "")], budget(Overflow.CUT)).used == len("aproject")


@pytest.mark.parametrize(
    ("name", "usual", "large"),
    [("claude-code", 8_000, 40_000), ("codex", 8_000, 80_000), ("github-copilot", 15_000, 15_000)],
)
def test_the_known_budgets(name: str, usual: int, large: int) -> None:
    known = AGENTS[name].budget
    assert known and (known.limit(None), known.limit(1_000_000)) == (usual, large)


@given(st.lists(st.integers(0, 60), max_size=30), st.integers(0, 400), st.sampled_from(list(Overflow)))
def test_what_is_left_always_fits(sizes: list[int], characters: int, overflow: Overflow) -> None:
    found = fit_list(entries(*sizes), budget(overflow, characters))
    assert found.fits == (found.used <= characters)
    assert found.affected <= found.skills and (found.fits or found.affected > 0 or overflow is Overflow.FORGET)
    kept = [(f"s{number}", size) for number, size in enumerate(sizes) if f"s{number}" not in found.dropped]
    if overflow is not Overflow.FORGET:
        limit = 60 if found.length is None else found.length
        assert sum(len(name) + min(size, limit) for name, size in kept) <= characters
