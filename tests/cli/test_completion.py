"""Shells complete commands, options and names, quickly and without a word where something is wrong."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from skillpm.cli.main import COMMANDS
from tests.conftest import Project
from tests.shop import MakeProject


def completed(place: Project, *words: str) -> list[str]:
    """What click answers when bash asks it for the last of these words."""
    outcome = place.call(COMP_WORDS="\n".join(words), COMP_CWORD=str(len(words) - 1), _SKILLPM_COMPLETE="bash_complete")
    assert outcome.err == ""
    return [line.partition(",")[2] for line in outcome.out.splitlines() if line]


@pytest.fixture
def place(project: MakeProject) -> Project:
    place = project()
    place.call("install", "incident-triage").ok()
    return place


def test_commands_are_those_of_the_table(project: MakeProject) -> None:
    place = project()
    assert completed(place, "skillpm", "") == list(COMMANDS)
    assert completed(place, "skillpm", "uni") == ["uninstall"]
    assert completed(place, "skillpm", "--v") == ["--version", "--verbose"]
    assert completed(place, "skillpm", "cache", "p") == ["prune"]


def test_options_are_those_of_the_command(project: MakeProject) -> None:
    place = project()
    assert completed(place, "skillpm", "verify", "--j") == ["--json"]
    assert completed(place, "skillpm", "completion", "z") == ["zsh"]


def test_names_are_the_installed_ones_and_each_is_offered_once(place: Project) -> None:
    assert completed(place, "skillpm", "uninstall", "") == ["incident-triage", "shell-tools"]
    assert completed(place, "skillpm", "verify", "shell-tools", "") == ["incident-triage"]
    assert completed(place, "skillpm", "tree", "--invert", "s") == ["shell-tools"]
    assert completed(place, "skillpm", "uninstall", "--user", "") == []


def test_an_install_is_offered_what_ships_with_skillpm_as_well(place: Project) -> None:
    assert "langgraph-cli" in completed(place, "skillpm", "install", "")
    assert completed(place, "skillpm", "show", "lang") == ["langgraph-cli"]
    assert completed(place, "skillpm", "install", "./m") == ["./m"], "the shell completes paths itself"


def test_a_damaged_lock_completes_to_nothing(place: Project) -> None:
    for text in ("", "{", "[]", '{"skills": [1]}', '{"skills": [{"name": "$(reboot)"}]}', "[" * 9999):
        place.write({"skillpm.lock": text})
        assert completed(place, "skillpm", "uninstall", "") == [], text


def test_completing_imports_nothing_heavy(place: Project) -> None:
    code = "import sys; from skillpm.cli.main import run\ntry: run([])\nfinally: print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=place.root,
        env={
            **place.environment,
            "COMP_WORDS": "skillpm install ",
            "COMP_CWORD": "2",
            "_SKILLPM_COMPLETE": "bash_complete",
        },
        capture_output=True,
        text=True,
    )
    assert "incident-triage" in done.stdout, done
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert not loaded & {"pydantic", "yaml", "packaging", "nab_resolver", "jinja2", "jsonschema", "rich", "pluggy"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_reads_its_script(project: MakeProject, shell: str, tmp_path: Path) -> None:
    script = project().call("completion", shell).ok().out
    assert "_SKILLPM_COMPLETE" in script
    if shutil.which(shell) is None:
        return
    (tmp_path / "script").write_text(script)
    done = subprocess.run([shell, "-n", tmp_path / "script"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_with_it(place: Project, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "skillpm").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m skillpm "$@"\n')
    (programs / "skillpm").chmod(0o755)
    session = (
        'eval "$(skillpm completion bash)"; COMP_WORDS=(skillpm uninstall incident-triage sh); COMP_CWORD=3; '
        '_skillpm_completion skillpm; echo "${COMPREPLY[*]}"'
    )
    done = subprocess.run(
        ["bash", "-c", session],
        cwd=place.root,
        env={**place.environment, "PATH": f"{programs}:{place.environment['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["shell-tools"], done
    place.call("completion", "tcsh").fails(2, "tcsh")


def test_values_are_completed_like_names(place: Project) -> None:
    assert "claude-code" in completed(place, "skillpm", "install", "--agent", "claude")
    assert completed(place, "skillpm", "schema", "contr") == ["contract"]
    assert "incident-triage" in completed(place, "skillpm", "selftest", "inc")
    (place.root / "runs/20260101-first").mkdir(parents=True)
    assert completed(place, "skillpm", "eval", "--run", "2")[0] == "20260101-first"
    assert completed(place, "skillpm", "eval", "--run", "la")[0] == "latest"
    place.write({"skillpm.yaml": "project: 1\nregistries: {team: ../shop}\n"})
    assert completed(place, "skillpm", "install", "x", "--registry", "te")[0] == "team"
