"""Consent holds for exactly the content and the wishes that were shown, and is asked for only where code would run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from skillpm.errors import ConsentError, DocumentError, PolicyError
from skillpm.model.manifest import Permissions
from skillpm.model.skill import Skill
from skillpm.model.trust_policy import TrustPolicy
from skillpm.trust.consent import Consents
from tests.skill_code import Bench

CODE = {"verifier.py": "def verify(attempts, contract):\n    return []\n"}
WISHES = 'manifest: 1\nversion: 1.0.0\npython: ["regex"]\npermissions: {network: true, run: [df, free]}\n'


def version(bench: Bench, folder: str, permissions: str) -> Skill:
    """Return the content of one version of the skill ``coded``."""
    text = f"manifest: 1\nversion: 1.0.0\npermissions: {permissions}\n"
    return dataclasses.replace(bench.skill({**CODE, "skill.yaml": text}, name=folder), name="coded")


def test_code_needs_consent_and_data_does_not(bench: Bench, consents: Consents) -> None:
    coded = bench.skill(CODE, name="coded")
    assert consents.granted(bench.skill()) and not consents.granted(coded)
    assert consents.granted(dataclasses.replace(coded, bundled=True))


def test_consent_is_remembered_for_this_content_alone(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "consents.json"
    skill, other = bench.skill(CODE, name="first"), bench.skill(CODE, name="second")
    for item in (skill, other):
        Consents(path).grant(Consents(path).request(item))
    assert Consents(path).granted(skill) and Consents(path).granted(other)
    assert not Consents(path).granted(dataclasses.replace(skill, tree="0" * 64))


def test_asking_says_the_content_what_would_run_and_what_it_wants(bench: Bench, consents: Consents) -> None:
    skill = bench.skill({**CODE, "skill.yaml": WISHES, "grammar/parse.py": ""})
    request = consents.request(skill)
    shown = "\n".join(request.lines())
    for text in (skill.tree, "grammar/parse.py", str(skill.root / "verifier.py"), "network", "the commands df, free"):
        assert text in shown
    with pytest.raises(ConsentError) as caught:
        consents.demand([skill, skill])
    assert caught.value.exit_code == 6 and "--yes" in str(caught.value.hint)
    assert "the package regex" in str(caught.value.hint)
    assert caught.value.details["skills"][0]["tree"] == skill.tree


def test_a_version_that_asks_for_more_is_shown_as_such(bench: Bench, consents: Consents) -> None:
    consents.grant(consents.request(version(bench, "old", "{run: [df]}")))
    same, more = version(bench, "same", "{run: [df]}"), version(bench, "more", "{network: true, run: [df]}")
    assert not consents.granted(more)
    assert "new since coded 1.0.0: the network" in consents.request(more).sentence()
    other = dataclasses.replace(same, version="1.1", tree="1" * 64)
    assert not consents.granted(other) and not consents.request(other).grows


def test_a_policy_narrows_what_code_is_given_and_a_wider_one_asks_again(bench: Bench, tmp_path: Path) -> None:
    skill, path = bench.skill({**CODE, "skill.yaml": WISHES}), tmp_path / "consents.json"
    narrow = Consents(path, policies=[TrustPolicy(network=False), TrustPolicy(run=("df",))])
    assert narrow.request(skill).access.permissions == Permissions(run=("df",))
    narrow.grant(narrow.request(skill))
    assert narrow.granted(skill)
    wide = Consents(path)
    assert not wide.granted(skill) and "the network, the command free" in wide.request(skill).sentence()


def test_a_policy_can_agree_in_advance_but_not_to_more_than_before(bench: Bench, tmp_path: Path) -> None:
    old, more = version(bench, "old", "{run: [df]}"), version(bench, "more", "{run: [df, free]}")
    unlocked = bench.skill(CODE, name="unlocked")
    trees = frozenset({old.tree, more.tree})
    consents = Consents(tmp_path / "consents.json", rule="locked", locked=lambda: dict.fromkeys(trees, ()))
    assert consents.grant_by_policy([old, unlocked]) == [consents.request(unlocked)]
    assert consents.grant_by_policy([more]) == [consents.request(more)], "it asks for more than it had"
    always = Consents(tmp_path / "consents.json", rule="always")
    assert [item.skill for item in always.grant_by_policy([unlocked, more])] == [more]
    assert {grant.by for grant in consents.grants().values()} == {"policy"}


def test_a_policy_can_forbid_all_code_even_what_was_agreed_to(bench: Bench, tmp_path: Path) -> None:
    skill, path = bench.skill(CODE), tmp_path / "consents.json"
    Consents(path).grant(Consents(path).request(skill))
    consents = Consents(path, rule="never")
    assert not consents.granted(skill) and consents.granted(dataclasses.replace(skill, bundled=True))
    with pytest.raises(PolicyError) as caught:
        consents.grant(consents.request(skill))
    assert caught.value.exit_code == 6


def test_what_is_taken_back_is_asked_for_again(bench: Bench, consents: Consents) -> None:
    first, second = bench.skill(CODE, name="first"), bench.skill(CODE, name="second")
    consents.grant(consents.request(first), consents.request(second))
    assert [grant.skill for grant in consents.revoke(lambda tree, grant: tree == first.tree).values()] == [
        "first 1.0.0"
    ]
    assert consents.missing([first, second]) == [consents.request(first)]


@pytest.mark.parametrize("text", ["", "[]", '{"granted": {"x": "y"}}', '{"consents": 1, "other": 2}'])
def test_a_damaged_record_is_an_error_and_no_consent(bench: Bench, tmp_path: Path, text: str) -> None:
    path = tmp_path / "consents.json"
    path.write_text(text)
    with pytest.raises(DocumentError, match=r"consents\.json") as caught:
        Consents(path).granted(bench.skill(CODE))
    assert caught.value.hint == "remove the file to be asked again"
