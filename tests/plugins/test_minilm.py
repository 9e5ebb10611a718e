"""plugins/skillpm-minilm: passages ranked by meaning, with the real model."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from skillpm.agent.retrieval import Library
from skillpm.model.skill import Skill
from skillpm.ops.learning.converse import skill_texts
from skillpm.runtime.host import Host
from tests.conftest import ROOT, SKILLS


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.syspath_prepend(str(ROOT / "plugins/skillpm-minilm"))
    import skillpm_minilm

    host = Host()
    host.register(skillpm_minilm, "minilm", "skillpm-minilm 0.1.0")
    return host


def test_texts_of_like_meaning_have_vectors_of_like_direction(host: Host) -> None:
    embedder = host.embedder()
    assert embedder is not None and embedder.embed([]) == []
    one, like, other = embedder.embed(["who eats my memory?", "RAM is used up by a process", "a recipe for bread"])
    length, near, far = (sum(a * b for a, b in zip(one, vector, strict=True)) for vector in (one, like, other))
    assert len(one) == 384 and length == pytest.approx(1, abs=1e-3) and near > far + 0.2


def test_of_a_hundred_questions_more_find_their_passage_than_by_words_alone(host: Host) -> None:
    embedder = host.embedder()
    assert embedder is not None
    names = ("incident-triage", "langgraph-cli", "shell-tools")
    skills = [Skill(name, "1", "0" * 64, SKILLS / name) for name in names]
    texts = {f"{skill.name}/{path}": text for skill in skills for path, text in skill_texts(skill).items()}
    library = Library(texts, embedder.embed)
    questions = yaml.safe_load(Path(ROOT / "tests/cases/retrieval.yaml").read_text(encoding="utf-8"))
    found = [
        [words in passage.text for passage in library.search(question)]
        for words, asked in questions.items()
        for question in asked
    ]
    assert len(found) == 100
    for count, least in ((1, 79), (3, 93), (5, 99)):
        assert sum(any(places[:count]) for places in found) >= least
