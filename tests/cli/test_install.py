"""install, uninstall, list and show speak to people on a terminal and to programs through --json."""

from __future__ import annotations

from pathlib import Path

import pytest

from skillpm.clients.table import UNIVERSAL
from tests.shop import MakeProject, skill_files


@pytest.mark.parametrize("command", ["install", "uninstall", "list", "show"])
def test_every_command_helps_without_importing_what_it_does_not_need(project: MakeProject, command: str) -> None:
    outcome = project().run(command, "--help").ok()
    assert "Example: skillpm" in outcome.out
    assert "--json" in outcome.out


def test_a_no_op_install_imports_neither_pydantic_nor_yaml_nor_the_resolver(project: MakeProject, shop: Path) -> None:
    import subprocess
    import sys

    place = project()
    place.call("install", "top", "--registry", shop).ok()
    code = (
        "import sys; from skillpm.cli.main import main; main(['install'], standalone_mode=False);"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=place.root, env=dict(place.environment), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not loaded & {"pydantic", "yaml", "nab_resolver", "packaging", "jinja2", "jsonschema", "rich", "torch"}


def test_install_prints_what_changed_and_says_the_rest_on_stderr(project: MakeProject, shop: Path) -> None:
    outcome = project().call("install", "top", "--registry", shop).ok()
    assert [line.split()[:3] for line in outcome.out.splitlines()] == [
        ["skill", "version", "change"],
        ["base", "1.1", "added"],
        ["top", "1.0", "added"],
    ]
    assert "2 added; folders: .agents/skills" in outcome.err


def test_uninstall_removes_what_only_the_skill_needed(project: MakeProject, shop: Path) -> None:
    place = project()
    place.call("install", "top", "--registry", shop).ok()
    done = place.call("uninstall", "top", "--json").ok().document
    assert {(item["name"], item["change"]) for item in done["skills"]} == {("base", "removed"), ("top", "removed")}
    assert not list((place.root / UNIVERSAL).iterdir())
    assert place.call("list", "--json").ok().document["skills"] == []


def test_uninstall_keeps_what_was_asked_for_itself(project: MakeProject, shop: Path) -> None:
    place = project()
    place.call("install", "base<2", "top", "--registry", shop).ok()
    place.call("uninstall", "top").ok()
    assert [item["name"] for item in place.call("list", "--json").document["skills"]] == ["base"]


def test_uninstall_refuses_what_another_skill_requires(project: MakeProject, shop: Path) -> None:
    place = project()
    place.call("install", "top", "--registry", shop).ok()
    before = (place.root / "skillpm.lock").read_bytes()
    place.call("uninstall", "base").fails(2, "base is required by top", "uninstall top as well")
    assert (place.root / "skillpm.lock").read_bytes() == before
    place.call("uninstall", "base", "top").ok()


def test_uninstall_of_an_unknown_name_suggests_a_near_one(project: MakeProject, shop: Path) -> None:
    place = project()
    place.call("install", "top", "--registry", shop).ok()
    place.call("uninstall", "tops").fails(2, "`top`")


def test_uninstall_refuses_an_edited_folder(project: MakeProject, shop: Path) -> None:
    place = project()
    place.call("install", "top", "--registry", shop).ok()
    place.write({UNIVERSAL: {"top": {"notes.md": "mine"}}})
    place.call("uninstall", "top").fails(2, "edited", "--force")
    assert (place.root / UNIVERSAL / "base").exists(), "nothing was removed"
    place.call("uninstall", "top", "--dry-run", "--json").ok()
    place.call("uninstall", "top", "--force").ok()
    assert (place.root / ".skillpm/kept/top/notes.md").read_text() == "mine"


def test_list_shows_skills_with_their_state(project: MakeProject, shop: Path) -> None:
    place = project()
    assert "no skill is installed" in place.call("list").ok().err
    place.call("install", "top", "--registry", shop).ok()
    place.write({UNIVERSAL: {"base": {"notes.md": "mine"}}})
    found = place.call("list", "--json").ok().document
    assert {item["name"]: item["state"] for item in found["skills"]} == {"base": "changed", "top": "ok"}
    assert found["skills"][0]["folders"] == [".agents/skills/base"]
    assert found["skills"][0]["description"].startswith("Shows base")
    (place.root / UNIVERSAL / "top").rename(place.root / "away")
    assert "missing" in place.call("list").ok().out


def test_show_describes_installed_bundled_published_and_local_skills(project: MakeProject, shop: Path) -> None:
    files = {
        **skill_files("mine", requires={"base": ">=1"}),
        "contract.yaml": "contract: 1\ntools:\n"
        "- {name: look, input_schema: {type: object}, confirm: never}\n- {name: stop, input_schema: {type: object}}\n",
        "verifier.py": "raise SystemExit('code ran')\n",
        "seeds": {"a.jsonl": '{"request": "x", "expected": {}}\n{"request": "y", "expected": {}}\n'},
        "suites": {"s.yaml": "name: small\ntasks:\n- request: z\n  expected: {}\n"},
        "cases.jsonl": '{"name": "c", "kind": "malformed", "expected": {}, "completion": "x"}\n',
    }
    place = project({"mine": files})
    local = place.call("show", "./mine", "--json").ok().document
    assert (local["name"], local["version"], local["requires"]) == ("mine", "1.0", {"base": ">=1"})
    assert (local["seeds"], local["suites"], local["cases"]) == (2, {"small": 1}, 1)
    assert (local["code"], local["installed"], len(local["files"])) == (["verifier.py"], False, 7)
    assert local["tools"] == {"look": "never", "stop": "always"}
    assert "look (confirm: never), stop (confirm: always)" in place.call("show", "./mine").ok().out
    assert place.call("show", "langgraph-cli", "--json").ok().document["source"] == "bundled"
    published = place.call("show", "base<2", "--registry", shop, "--json").ok().document
    assert (published["version"], published["releases"]) == ("1.1", ["2.0", "1.1", "1.0"])
    place.call("install", "top", "--registry", shop).ok()
    installed = place.call("show", "top", "--json").ok().document
    assert installed["installed"]
    assert len(installed["archive"]) == 64
    assert "Shows top" in place.call("show", "top").ok().out
    place.call("show", "nothing-like-it").fails(2, "no registry knows")
    place.call("show", "base==7", "--registry", shop).fails(3, "you require base==7")


def test_errors_are_one_json_document_where_asked(project: MakeProject) -> None:
    outcome = project().call("install", "no-such-skill", "--json").fails(2, "error:")
    assert outcome.document["error"] == "unknown-skill"
    assert outcome.document["details"]["names"] == ["no-such-skill"]


def test_hostile_text_is_escaped_on_its_way_to_the_terminal(project: MakeProject) -> None:
    files = skill_files("mine")
    files["SKILL.md"] = (
        files["SKILL.md"].replace("Shows mine", '"Shows \\x1b[31mred').replace("testing.\n", 'testing."\n')
    )
    place = project({"mine": files})
    for arguments in (["install", "./mine"], ["list"], ["show", "mine"]):
        outcome = place.call(*arguments)
        assert "\x1b" not in outcome.out + outcome.err
