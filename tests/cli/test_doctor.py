"""``skillpm doctor``: what this machine can do, without importing what it asks about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from skillpm.sandbox.sandbox import choose
from tests.shop import MakeProject


def test_everything_is_told_with_a_level_and_a_hint_where_it_is_not_ok(project: MakeProject) -> None:
    here = project({".claude": {}})
    document = here.call("doctor", "--json").ok().document
    checks = {check["name"]: check for check in document["checks"]}
    assert {
        "python",
        "platform",
        "cores",
        "memory",
        "torch",
        "trl",
        "peft",
        "accelerator",
        "pip",
        "command",
        "git",
        "environments of skills",
    } <= set(checks)
    assert document["ok"], "a warning is no error"
    assert {check["level"] for check in checks.values()} <= {"ok", "warning"}
    assert all(bool(check["hint"]) is (check["level"] != "ok") for check in checks.values())
    assert checks["sandbox of skill code"]["found"] == str(choose())
    assert "it does not stop" in checks["sandbox of skill code"]["note"]
    assert checks["agents"]["found"] == "Claude Code"
    assert "python" in here.call("doctor").ok().out


def test_a_damaged_project_is_an_error_that_is_told_with_all_else(project: MakeProject) -> None:
    here = project({"skillpm.lock": "not json"})
    document = here.call("doctor", "--json").fails(1).document
    checks = {check["name"]: check for check in document["checks"]}
    assert not document["ok"] and "pip" in checks
    assert checks["installed skills"]["level"] == "error" and "skillpm.lock" in checks["installed skills"]["found"]
    told = here.call("doctor").fails(1, "1 error, ")
    assert "hint: installed skills: " in told.out or checks["installed skills"]["hint"] is None


def test_torch_is_not_imported(project: MakeProject) -> None:
    here = project({"torch.py": "raise SystemExit('torch was imported')"})
    here.run("doctor", PYTHONPATH=f"{here.root}:{here.environment['PYTHONPATH']}").ok()


OURS = "#!/usr/bin/python3\nimport sys\nfrom skillpm.__main__ import main\nsys.exit(main())\n"
THEIRS = "#!/usr/bin/python3\nimport sys\nfrom skillpm.cli import main\nsys.exit(main())\n"


def test_another_program_of_our_name_on_path_is_told(project: MakeProject) -> None:
    here = project({"theirs": {"skillpm*": THEIRS}, "ours": {"skillpm*": OURS}})
    theirs, ours = here.root / "theirs", here.root / "ours"

    def command(*folders: Path) -> dict[str, Any]:
        path = ":".join(map(str, (*folders, "/usr/bin", "/bin")))
        document = here.call("doctor", "--json", PATH=path).ok().document
        return next(check for check in document["checks"] if check["name"] == "command")

    assert command(ours, theirs)["level"] == "ok"
    assert command(theirs, ours)["hint"] == f"put {ours} first in PATH"
    told = command(theirs)
    assert (told["level"], told["hint"]) == ("warning", "run `python -m skillpm` in place of `skillpm`")
    assert f"{theirs}/skillpm is another program" in told["found"]
    assert "python -m skillpm" in command()["note"]


def test_a_machine_without_git_is_told(project: MakeProject) -> None:
    here = project({"bin": {"git*": "#!/bin/sh\nexit 1\n"}, "none": {"x": ""}})
    for folder, says in (("none", "not found"), ("bin", "does not start")):
        document = here.call("doctor", "--json", PATH=str(here.root / folder)).ok().document
        git = next(check for check in document["checks"] if check["name"] == "git")
        assert (git["level"], says in git["found"], bool(git["hint"])) == ("warning", True, True)


def test_another_distribution_of_our_name_is_told(project: MakeProject) -> None:
    metadata = "Metadata-Version: 2.1\nName: skillpm\nVersion: 0.1.0\n"
    here = project({"site": {"skillpm-0.1.0.dist-info": {"METADATA": metadata}}})
    path = f"{here.environment['PYTHONPATH']}:{here.root}/site"
    document = here.call("doctor", "--json", PYTHONPATH=path).ok().document
    check = next(check for check in document["checks"] if check["name"] == "distribution")
    assert (check["level"], "skillpm 0.1.0, another project" in check["found"]) == ("warning", True)


def test_a_misspelt_variable_is_told_and_others_are_not(project: MakeProject) -> None:
    here = project()
    ours = ("SKILLPM_TOKEN_HOST", "SKILLPM_SIGNING_KEY", "SKILLPM_PUBLISHER", "SKILLPM_MCP_TOKEN")
    rest: dict[str, Any] = dict.fromkeys(ours, "x")
    checks = here.call("doctor", "--json", SKILLPM_CONCENT="never", **rest).ok().document["checks"]
    hints = [(check["found"], check["hint"]) for check in checks if check["name"] == "environment"]
    says = "SKILLPM_CONCENT is not a variable of skillpm, so it has no effect"
    assert hints == [(says, "did you mean `SKILLPM_CONSENT`?")]
