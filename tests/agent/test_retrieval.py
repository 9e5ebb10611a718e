"""What a model reads besides the request: found by words, within a budget, and never more than data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from skillpm.agent.retrieval import Library, passages_of, read_passages, skill_block
from skillpm.model.skill import Skill
from skillpm.ops.learning.converse import skill_texts
from tests.conftest import SKILLS

CASES = Path(__file__).parents[1] / "cases"

TEXT = "Intro.\n\n# Disks\n\nA full disk stops services.\n\n## Memory ##\n\nThe kernel kills processes.\n"


def test_a_text_is_split_at_its_headings_and_where_it_is_long() -> None:
    assert [(item.heading, item.text) for item in passages_of("a.md", TEXT)] == [
        ("", "Intro."),
        ("Disks", "A full disk stops services."),
        ("Memory", "The kernel kills processes."),
    ]
    long = passages_of("b.md", "\n\n".join(["word " * 100] * 9))
    assert len(long) > 2 and max(len(item.text) for item in long) < 2500


def test_the_passage_that_shares_most_words_is_first_whatever_their_endings() -> None:
    library = Library({"a.md": TEXT})
    assert library.search("why was my process killed?")[0].heading == "Memory"
    assert library.search("disks")[0].place == "a.md (Disks)"
    for nothing in ("", "?!", '" OR 1 --', "zebra"):
        assert library.search(nothing) == []


def by_first_letter(texts: Sequence[str]) -> list[list[float]]:
    """An embedding model to which texts mean the same that begin with the same letter."""
    return [[float(text.strip().casefold().startswith(letter)) for letter in "dmz"] for text in texts]


def test_a_model_of_meaning_finds_what_shares_no_word_and_words_count_more() -> None:
    library = Library({"a.md": TEXT}, by_first_letter)
    assert [item.heading for item in library.search("malloc fails", 1)] == ["Memory"]
    assert [item.heading for item in library.search("my full house", 2)] == ["Disks", "Memory"]
    assert library.search("?!") == []


def test_passages_and_skill_text_keep_to_their_budget_and_say_what_is_left_out() -> None:
    passages = passages_of("a.md", TEXT)
    text, read = read_passages(passages, 10)
    assert [item.heading for item in read] == ["", "Disks"] and "[a.md (Disks)]" in text and "kernel" not in text
    assert read_passages(passages, 1) == ("", [])
    block, left_out = skill_block("demo", "one\ntwo\nthree", 2)
    assert block == '<skill_content name="demo">\none\n</skill_content>' and left_out == 10


@pytest.mark.parametrize(("count", "least"), [(1, 75), (3, 92), (5, 96)])
def test_of_a_hundred_questions_about_the_bundled_skills_most_find_their_passage(count: int, least: int) -> None:
    skills = [Skill(name, "1", "0" * 64, SKILLS / name) for name in ("incident-triage", "langgraph-cli", "shell-tools")]
    library = Library({f"{skill.name}/{path}": text for skill in skills for path, text in skill_texts(skill).items()})
    questions = yaml.safe_load((CASES / "retrieval.yaml").read_text(encoding="utf-8"))
    missed = [
        question
        for words, asked in questions.items()
        for question in asked
        if not any(words in passage.text for passage in library.search(question, count))
    ]
    assert sum(map(len, questions.values())) == 100
    assert 100 - len(missed) >= least, missed
