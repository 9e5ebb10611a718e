"""`skillpm new` makes a whole skill that is strictly valid and that works, or nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from skillpm.layout.package import Package
from skillpm.layout.tree import FolderTree
from tests.present import present
from tests.serving import compiled
from tests.shop import MakeProject


def test_a_new_skill_is_strictly_valid_and_says_where_it_is(project: MakeProject) -> None:
    root = project()
    outcome = root.call("new", "my-skill", "--directory", "skills").ok()
    assert outcome.out == "skills/my-skill\n" and "skillpm validate" in outcome.err
    checked = root.call("validate", "skills/my-skill", "--level", "strict", "--json").ok()
    assert checked.document["reports"][0]["findings"] == []


def test_a_new_skill_s_seeds_suite_and_cases_agree_with_its_contract(project: MakeProject) -> None:
    root = project()
    root.call("new", "my-skill").ok()
    package = Package(FolderTree(root.root / "my-skill"))
    contract = compiled((root.root / "my-skill/contract.yaml").read_text())
    rows = [row.value for read in package.seeds for row in present(read.value)]
    rows += [row.value for suite in package.suites for row in present(suite.tasks.value)]
    assert len(rows) >= 14
    for seed in rows:
        assert contract.judge(seed.expected, contract.render(seed.expected)).status == "passed"
    for row in present(package.cases.value):
        verdict = contract.judge(row.value.expected, row.value.completion)
        if row.value.kind in ("full_reward", "determinism"):
            assert verdict.score == 1
        elif row.value.kind == "zero_reward":
            assert present(verdict.score) <= present(row.value.at_most)
        else:
            assert verdict.status != "passed" and contract.argv_of(row.value.completion) is None
    assert contract.argv(contract.complete(rows[0].expected)) == (("grep", "-rn", "--", "TODO", "src"),)


def test_a_minimal_skill_is_one_file(project: MakeProject) -> None:
    root = project()
    assert root.call("new", "my-skill", "--minimal", "--json").ok().document == {
        "name": "my-skill", "path": "my-skill", "files": ["SKILL.md"],
    }  # fmt: skip
    root.call("validate", "my-skill", "--level", "strict").ok()


@pytest.mark.parametrize("name", ["My-Skill", "a--b", "-a", "../a", "owner/a", "con", "a" * 65, "ä", "a\n", "."])
def test_a_name_that_cannot_be_a_skill_s_makes_nothing(project: MakeProject, name: str) -> None:
    root = project()
    root.call("new", "--", name).fails(2, "hint: ")
    assert list(root.root.iterdir()) == []


@pytest.mark.parametrize("there", [{"my-skill": {}}, {"my-skill": "a file"}, {"my-skill/notes.md": "mine"}])
def test_what_is_there_is_left_alone(project: MakeProject, there: dict[str, Any]) -> None:
    root = project(there)
    before = sorted(path.as_posix() for path in root.root.rglob("*"))
    root.call("new", "my-skill").fails(2, "already exists")
    assert sorted(path.as_posix() for path in root.root.rglob("*")) == before


def test_a_dangling_link_of_that_name_counts_as_there(project: MakeProject) -> None:
    root = project()
    (root.root / "my-skill").symlink_to("nowhere")
    root.call("new", "my-skill").fails(2, "already exists")


def test_a_folder_that_cannot_be_made_leaves_nothing(project: MakeProject) -> None:
    root = project({"file": "x"})
    error = root.call("new", "my-skill", "--directory", "file/below", "--json").fails(6)
    assert json.loads(error.out)["error"] == "storage"
    assert [path.name for path in root.root.iterdir()] == ["file"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "kind", ["cli", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("api", "sql", "text"))]
)
def test_each_kind_is_valid_has_rows_holds_its_claims_and_is_not_published_untouched(
    project: MakeProject, kind: str
) -> None:
    root = project()
    root.call("new", "my-skill", "--kind", kind).ok()
    checked = root.call("validate", "my-skill", "--level", "strict", "--json").ok()
    assert checked.document["reports"][0]["findings"] == []
    untouched = root.call("validate", "my-skill", "--level", "publish", "--json").fails(1)
    assert {finding["code"] for finding in untouched.document["reports"][0]["findings"]} == {"SK507"}
    profile = root.call("synth", "./my-skill", "--rows", "60", "--held-out", "10", "-o", "rows", "--json").ok().document
    assert profile["skills"]["my-skill"]["train"]["rows"] == 60
    assert profile["skills"]["my-skill"]["held_out"]["rows"] == 10
    shown = root.call("synth", "./my-skill", "--show", "3").ok().out.splitlines()
    assert len(shown) == 6 and all(line.startswith("    ") for line in shown[1::2])
    root.call("selftest", "./my-skill").ok()
