"""Consent holds for exactly the content that was agreed to, and is asked for only where code would run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from skillpm.errors import ConsentError, DocumentError
from skillpm.model.skill import Skill
from skillpm.runtime.consent import Consents, explain

MakeSkill = Callable[..., Skill]
CODE = {"verifier.py": "def verify(attempts, contract):\n    return []\n"}


def test_code_needs_it_and_data_does_not(make_skill: MakeSkill, consents: Consents) -> None:
    coded = make_skill(CODE, name="coded")
    assert consents.granted(make_skill()) and not consents.granted(coded)
    assert consents.granted(dataclasses.replace(coded, bundled=True))


def test_it_is_remembered_for_this_content_alone(make_skill: MakeSkill, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "consents.json"
    skill, other = make_skill(CODE, name="first"), make_skill(CODE, name="second")
    Consents(path).grant(skill)
    Consents(path).grant(other)
    assert Consents(path).granted(skill) and Consents(path).granted(other)
    assert not Consents(path).granted(dataclasses.replace(skill, tree="0" * 64))


def test_asking_says_what_would_run_and_what_it_wants(make_skill: MakeSkill, consents: Consents) -> None:
    manifest = 'manifest: 1\nversion: 1.0.0\npython: ["regex"]\npermissions: {network: true, run: [df]}\n'
    skill = make_skill({**CODE, "skill.yaml": manifest})
    for text in (str(skill.root / "verifier.py"), "the network", "to run df", "the packages regex"):
        assert text in explain(skill)
    with pytest.raises(ConsentError) as caught:
        consents.demand([skill, skill])
    assert caught.value.exit_code == 6 and "--yes" in str(caught.value.hint)


@pytest.mark.parametrize("text", ["", "[]", '{"granted": {"x": "y"}}', '{"consents": 1, "other": 2}'])
def test_a_damaged_record_is_an_error_and_no_consent(make_skill: MakeSkill, tmp_path: Path, text: str) -> None:
    path = tmp_path / "consents.json"
    path.write_text(text)
    with pytest.raises(DocumentError, match=r"consents\.json"):
        Consents(path).granted(make_skill(CODE))
