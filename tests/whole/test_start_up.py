"""What a command may import, shown in fresh interpreters: speed that no later change can lose unseen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from skillpm.cli.main import COMMANDS
from skillpm.layout.tree import FolderTree
from tests.servers import serving
from tests.shop import write_registry

HEAVY = ("torch", "transformers", "trl", "peft", "datasets", "accelerate", "numpy")
TABLE_ONLY = ("pydantic", "rich", "pluggy", "yaml", "jinja2", "jsonschema_rs", "packaging", "nab_resolver", *HEAVY)


def imported(code: str, *names: str) -> set[str]:
    """Return which of these packages a fresh interpreter has imported after running the code."""
    probe = f"{code}\nimport sys\nprint(*[n for n in {names!r} if n in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split()) if done.stderr.strip() else set()


def calling(*arguments: str) -> str:
    return f"from skillpm.cli.main import main\nmain.main({list(arguments)!r}, standalone_mode=False)"


@pytest.mark.parametrize("arguments", [("--help",), ("--version",)])
def test_the_table_of_commands_imports_nothing_else(arguments: tuple[str, ...]) -> None:
    """`--help` and `--version` need click and the standard library."""
    assert imported(calling(*arguments), *TABLE_ONLY) == set()


def test_help_of_a_command_imports_nothing_heavy() -> None:
    """Each command's own help works, and none of them imports a model library, pydantic or rich."""
    helps = "\n".join(calling(command, "--help") for command in COMMANDS)
    assert imported(helps, *HEAVY, "pydantic", "rich") == set()


def test_validate_and_list_import_no_model_library(tmp_path: Path) -> None:
    """The package manager works where no trainer is installed."""
    code = f"import os\nos.chdir({str(tmp_path)!r})\n" + calling("list") + "\n" + calling("new", "demo-skill")
    code += "\n" + calling("validate", "demo-skill")

    assert imported(code, *HEAVY) == set()


def test_a_worker_imports_nothing_of_packages_and_samplers() -> None:
    """A cold worker's first verdict waits for all that it imports."""
    unused = ("packaging", "jinja2", "skillpm.model.release", "skillpm.model.requirement", "skillpm.contract.sampler")
    assert imported("import skillpm.worker.main", *unused, *HEAVY) == set()


def test_an_install_from_a_folder_imports_no_pydantic_and_no_network(tmp_path: Path) -> None:
    """Neither the first, nor a second beside a lock, nor one with nothing to do: each costs 0.02 s or more."""
    steps = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "SKILL.md").write_text(f"---\nname: {name}\ndescription: Does it.\n---\nDo it.\n")
        steps.append(calling("install", f"{folder}/"))
    places = f"import os\nos.chdir({str(tmp_path)!r})\nos.environ['SKILLPM_HOME'] = {str(tmp_path / 'home')!r}"
    code = "\n".join([places, *steps, calling("install")])

    costly = ("pydantic", "urllib3", "yaml", "packaging.specifiers", "rich", "pluggy", "importlib.metadata")
    assert imported(code, *costly) == set()
    assert (tmp_path / "skillpm.lock").is_file()


def test_an_install_from_a_registry_on_the_web_imports_no_pydantic(tmp_path: Path) -> None:
    """Where no policy asks for signatures, a skill of text alone needs no schema: 0.1 s of each install."""
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "SKILL.md").write_text("---\nname: demo\ndescription: Does it.\n---\nDo it.\n")
    write_registry(tmp_path / "site", [FolderTree(folder)])
    (tmp_path / "project").mkdir()
    places = f"import os\nos.chdir({str(tmp_path / 'project')!r})"
    places += f"\nos.environ['SKILLPM_HOME'] = {str(tmp_path / 'home')!r}"

    with serving(tmp_path / "site") as shop:
        steps = [calling("install", "demo", "--registry", shop.url), calling("install")]
        assert imported("\n".join([places, *steps]), "pydantic", "rich", "pluggy") == set()
    assert (tmp_path / "project" / "skillpm.lock").is_file()
