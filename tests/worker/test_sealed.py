"""What is agreed to is what runs: exactly the counted files of a folder, from a copy that nobody edits."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from skillpm.errors import IntegrityError
from skillpm.layout.tree import FolderTree
from skillpm.runtime.skillfiles import SkillFiles
from skillpm.sandbox.limits import Limits
from skillpm.storage.store import Store
from skillpm.worker.sealed import SealedCopies
from tests.skill_code import Bench, episode

HEAD = """
import os
from skillpm.plugin import Verdict

def reply(text, attempts):
    return [Verdict(status="failed", score=0.0, reasons=(text,)) for _ in attempts]

def verify(attempts, contract):
"""
SAYS = f"{HEAD}    return reply('%s', attempts)\n"
DIES = f"{HEAD}    if attempts[0].completion == 'die':\n        os._exit(3)\n    return reply('first', attempts)\n"
LOOKS = f"{HEAD}    return reply(' '.join(sorted(os.listdir(os.path.dirname(__file__)))), attempts)\n"


def test_a_folder_with_code_runs_from_a_copy_that_has_its_counted_files_alone(
    bench: Bench, copies: SealedCopies
) -> None:
    skill = bench.skill({"verifier.py": SAYS % "x", ".venv/payload.py": "", ".git/config": "", "__pycache__/a.pyc": ""})
    sealed = copies.seal(skill)
    assert sealed.root != skill.root and sealed.place == skill.root and sealed.tree == skill.tree
    assert FolderTree(sealed.root).uncounted() == [] and FolderTree(skill.root).uncounted()
    assert FolderTree(sealed.root).paths() == FolderTree(skill.root).paths()
    assert copies.seal(sealed) == sealed and copies.seal(skill) == sealed


def test_an_installed_skill_runs_from_the_store_unless_something_lies_beside_its_files(
    bench: Bench, copies: SealedCopies
) -> None:
    skill = bench.skill({"verifier.py": SAYS % "x"})
    stored = replace(skill, root=copies.store.add(FolderTree(skill.root)))
    assert copies.seal(stored) == stored and not copies.copies.root.exists()
    (stored.root / "__pycache__").mkdir()
    assert copies.seal(stored).root == copies.copies.path(skill.tree)


def test_a_damaged_copy_is_made_anew(bench: Bench, copies: SealedCopies) -> None:
    skill = bench.skill({"verifier.py": SAYS % "x"})
    copy = copies.seal(skill).root
    (copy / "verifier.py").write_text(SAYS % "forged")
    (copy / ".venv").mkdir()
    assert (copies.seal(skill).root / "verifier.py").read_text() == SAYS % "x"
    assert FolderTree(copy).uncounted() == []


@pytest.mark.parametrize(
    ("path", "odd"),
    [
        ("verifier.py", lambda path: path.symlink_to("impl.py")),
        ("data", lambda path: path.symlink_to("/etc")),
        ("pipe", os.mkfifo),
        ("SKILL.MD", lambda path: path.write_text("")),
        ("IMPL.py/x", lambda path: (path.parent.mkdir(), path.write_text(""))),
    ],
)  # fmt: skip
def test_a_folder_with_anything_irregular_does_not_run_and_says_why(
    bench: Bench, copies: SealedCopies, path: str, odd: Callable[[Path], object]
) -> None:
    skill = bench.skill({"impl.py": SAYS % "x"})
    odd(skill.root / path)
    assert SkillFiles(skill).code() == []
    with pytest.raises(IntegrityError, match=rf"serving 1\.0\.0 does not run: .*{path.partition('/')[0]}"):
        copies.seal(skill)


def test_a_copy_from_earlier_lets_nothing_irregular_pass(bench: Bench, copies: SealedCopies) -> None:
    skill = bench.skill({"verifier.py": SAYS % "x"})
    copies.seal(skill)
    (skill.root / "data").symlink_to("/etc")
    with pytest.raises(IntegrityError, match="data is a symlink"):
        copies.seal(skill)


def test_a_folder_that_changes_after_it_was_read_is_refused_and_one_that_was_sealed_runs_as_it_was(
    bench: Bench, copies: SealedCopies
) -> None:
    skill, other = bench.skill({"verifier.py": SAYS % "x"}), bench.skill({"verifier.py": SAYS % "x"}, name="other")
    copies.seal(skill)
    for item in (skill, other):
        (item.root / "verifier.py").write_text(SAYS % "swapped")
    assert (copies.seal(skill).root / "verifier.py").read_text() == SAYS % "x"
    with pytest.raises(IntegrityError, match=r"other 1\.0\.0 changed"):
        copies.seal(other)


def test_workers_that_start_again_run_the_bytes_that_the_first_one_ran(bench: Bench) -> None:
    skill = bench.skill({"verifier.py": DIES})
    with bench.scorer(skill, limits=Limits(batch_seconds=5.0)) as scorer:
        assert scorer.judge([episode("x")])[0].verdict.reasons == ("first",)
        (skill.root / "verifier.py").write_text(SAYS % "second")
        assert scorer.judge([episode("die")])[0].verdict.status == "errored"
        assert scorer.judge([episode("y")])[0].verdict.reasons == ("first",)


@pytest.mark.parametrize("path", ["verifier.py", "new.txt", ".venv/payload.py"])
def test_no_worker_starts_in_a_folder_that_is_not_what_was_agreed_to(
    bench: Bench, copies: SealedCopies, path: str
) -> None:
    skill = bench.skill({"verifier.py": SAYS % "x"})
    with bench.scorer(skill) as scorer:
        changed = copies.seal(skill).root / path
        changed.parent.mkdir(exist_ok=True)
        changed.write_text(SAYS % "swapped")
        (judgement,) = scorer.judge([episode("x")])
    assert judgement.verdict.status == "errored" and "changed" in judgement.verdict.reasons[0]


def test_code_that_comes_to_a_folder_of_data_does_not_run(bench: Bench) -> None:
    skill = bench.skill()
    with bench.scorer(skill) as scorer:
        (skill.root / "verifier.py").write_text(SAYS % "never shown")
        (judgement,) = scorer.judge([episode("x")])
    assert judgement.verdict.status == "errored" and "never shown" not in judgement.verdict.reasons


def test_a_worker_finds_no_file_that_the_digest_does_not_count(bench: Bench) -> None:
    skill = bench.skill({"verifier.py": LOOKS, ".venv/payload.py": "x", ".git/config": "x", ".DS_Store": "x"})
    with bench.scorer(skill) as scorer:
        (judgement,) = scorer.judge([episode("x")])
    assert judgement.verdict.reasons == ("SKILL.md contract.yaml skill.yaml verifier.py",)


def test_the_copies_are_a_store_of_their_own(bench: Bench, copies: SealedCopies) -> None:
    skill = bench.skill({"verifier.py": SAYS % "x"})
    sealed = copies.seal(skill)
    assert Store(copies.copies.root).digests() == [skill.tree] and copies.store.digests() == []
    shutil.rmtree(skill.root)
    assert copies.seal(sealed) == sealed and sealed.root.is_dir()
