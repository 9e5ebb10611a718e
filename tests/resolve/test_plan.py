"""A plan is the difference between a resolution and the lock."""

from __future__ import annotations

from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.release import Release
from skillpm.model.requirement import Requirement
from skillpm.model.source import BUNDLED, Source
from skillpm.resolve.plan import Change, needed, plan, requirers

A, B = "a" * 64, "b" * 64


def release(version: str = "1.0", tree: str = A, archive: str = A) -> Release:
    return Release(version=version, archive=archive, tree=tree, size=0)


def entry(name: str, version: str = "1.0", tree: str = A, **requires: str) -> LockedSkill:
    return LockedSkill(name=name, version=version, source=BUNDLED, archive=A, tree=tree, requires=requires)


def test_every_name_is_added_replaced_removed_or_kept() -> None:
    lock = Lock(skills=(entry("gone"), entry("new-version"), entry("other-bytes"), entry("same")))
    chosen = {"same": release(), "new-version": release("2.0"), "other-bytes": release(tree=B), "fresh": release()}
    made = plan(chosen, dict.fromkeys(chosen, BUNDLED), [Requirement("fresh")], lock)
    assert {step.name: step.change for step in made.steps} == {
        "fresh": Change.ADDED,
        "gone": Change.REMOVED,
        "new-version": Change.REPLACED,
        "other-bytes": Change.REPLACED,
        "same": Change.KEPT,
    }
    assert [skill.name for skill in made.lock.skills] == ["fresh", "new-version", "other-bytes", "same"]
    assert made.lock.requirements == ("fresh",)


def test_another_archive_of_the_same_tree_is_no_change() -> None:
    made = plan({"a": release(archive=B)}, {"a": BUNDLED}, [], Lock(skills=(entry("a"),)))
    assert made.steps[0].change is Change.KEPT
    assert made.lock.skills[0].archive == A


def test_another_source_is_a_change() -> None:
    made = plan({"a": release()}, {"a": Source.parse("path:../a")}, [], Lock(skills=(entry("a"),)))
    assert made.steps[0].change is Change.REPLACED


def test_what_is_needed_follows_requirements_through_cycles() -> None:
    lock = Lock(skills=(entry("a", b=""), entry("b", a=""), entry("c", a=""), entry("d")))
    assert needed(lock, ["a", "unknown"]) == {"a", "b"}
    assert requirers(lock, "a") == ["b", "c"]
