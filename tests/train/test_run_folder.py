"""The names of run folders, which say in which order the runs began, and what is said of damaged ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from skillpm.errors import DocumentError
from skillpm.train.run_folder import RunFolder


def test_a_run_has_a_name_after_those_of_all_before_it_whatever_the_clock_says(tmp_path: Path) -> None:
    (tmp_path / "20991231-235958-from-the-future").mkdir()
    for other in ("notes", "99999999-999999-x", "99991231-235959-x"):  # which no name can follow
        (tmp_path / other).mkdir()
    names = [RunFolder.create(tmp_path, slug).path.name for slug in ("z", "a", "a")]
    assert names == ["20991231-235959-z", "21000101-000000-a", "21000101-000001-a"]


def test_runs_of_one_second_have_two_names(tmp_path: Path) -> None:
    names = [RunFolder.create(tmp_path / "runs", slug).path.name for slug in ("b", "a", "a")]
    assert len({*names}) == 3 and names == sorted(names)


def test_a_run_that_may_be_moved_has_a_name_after_those_in_that_folder(tmp_path: Path) -> None:
    runs, candidates = tmp_path / "runs", tmp_path / "candidates"
    assert RunFolder.create(candidates, "a", runs).path.parent == candidates  # which are not there yet
    (runs / "20991231-235958-a").mkdir(parents=True)
    assert RunFolder.create(candidates, "a", runs).path.name == "20991231-235959-a"


def test_a_damaged_document_has_a_hint_and_a_recipe_that_cannot_be_read_a_warning(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.write("stages/sft/stage.json", "{")
    with pytest.raises(DocumentError) as error:
        run.finished_stage("sft")
    assert error.value.hint and f"`skillpm runs prune {tmp_path}` removes it" in error.value.hint
    assert "recipe.yaml" in run.without_recipe and "No such file" in run.without_recipe
    run.write("recipe.yaml", "[")
    assert "recipe.yaml" in run.without_recipe
    run.write("recipe.yaml", "recipe: 1")
    assert run.without_recipe == ""
