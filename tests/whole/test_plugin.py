"""What authors import: `skillpm.plugin` alone, lazy, typed and documented; our own plugins and skills keep to it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import skillpm
import skillpm.plugin
from tests.whole.test_start_up import TABLE_ONLY, imported

ROOT = Path(__file__).parents[2]
NAMES = dir(skillpm.plugin)
PAGES = [ROOT / "docs" / name for name in ("hooks.md", "tutorial.md")]


def imports(source: str) -> Iterator[str]:
    """Yield the modules of skillpm that a text of Python imports, in functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def foreign(source: str) -> set[str]:
    return {name for name in imports(source) if name.partition(".")[0] == "skillpm" and name != "skillpm.plugin"}


FIRST_PARTY = sorted([*(ROOT / "plugins").rglob("*.py"), *(ROOT / "skills").rglob("*.py")])


def test_plugins_and_skills_import_nothing_else_of_skillpm() -> None:
    found = {str(path.relative_to(ROOT)): foreign(path.read_text(encoding="utf-8")) for path in FIRST_PARTY}
    assert len(found) > 20 and {name: others for name, others in found.items() if others} == {}


def test_the_pages_for_authors_import_nothing_else_of_skillpm() -> None:
    blocks = [block for page in PAGES for block in re.findall(r"(?ms)^```python\n(.*?)^```$", page.read_text("utf-8"))]
    assert len(blocks) > 15
    assert set().union(*map(foreign, blocks)) == set()


@pytest.mark.slow
def test_each_name_is_there() -> None:
    """In an interpreter of its own: what trains models changes the environment when it is imported."""
    code = "import skillpm.plugin as module\nassert all(getattr(module, name) is not None for name in dir(module))"
    assert len(NAMES) > 50 and imported(code, "torch", "pluggy") == {"torch", "pluggy"}


def test_each_name_says_what_it_is() -> None:
    source = Path(skillpm.plugin.__file__).read_text(encoding="utf-8")
    for name in NAMES:
        assert re.search(rf"(?m)^    # .*[a-z].*[.?]\n    from \S+ import {name} as {name}$", source), name


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(ImportError, match="Nonsense"):
        exec("from skillpm.plugin import Nonsense")


def test_importing_it_imports_nothing_heavy() -> None:
    """A plugin's entry module is imported by every command that asks for hooks."""
    assert imported("import skillpm.plugin", *TABLE_ONLY) == set()
    assert imported("from skillpm.plugin import hookimpl", *TABLE_ONLY) == {"pluggy"}
    assert not imported("from skillpm.plugin import Trainer, Rewarder, Sft, Rule", *TABLE_ONLY) & {"torch", "pluggy"}


def test_the_package_itself_has_its_version_alone() -> None:
    names = {name for name in vars(skillpm) if not name.startswith("__")}
    modules = {path.stem for path in (ROOT / "skillpm").iterdir()}
    assert re.fullmatch(r"\d+\.\d+\.\d+", skillpm.__version__) and names <= modules


PLUGIN = """
from collections.abc import Iterable, Sequence

from skillpm.plugin import Attempt, RewardFunction, SandboxLevel, Skill, Trainer, Verdict, Verifier, hookimpl


class Lenient:
    def verify(self, attempts: Sequence[Attempt]) -> Sequence[Verdict]:
        return [Verdict(status="passed", score=1.0, reasons=(attempt.task.request,)) for attempt in attempts]


@hookimpl
def skillpm_verifier(skill: Skill) -> Verifier | None:
    return Lenient() if skill.root.is_dir() else None


@hookimpl
def skillpm_rewards(skill: Skill) -> Iterable[RewardFunction]:
    yield RewardFunction("brevity", lambda task, episode, verdict: 1 / (1 + len(episode.completion)))
"""
WRONG = """
from skillpm.plugin import Nonsense, RewardFunction, Skill

RewardFunction(1, lambda task, episode, verdict: 1.0)
reveal_type(Skill("a", "1", "0" * 64, Nonsense).name)
"""
SETTINGS = """[mypy]
strict = true
plugins = pydantic.mypy
[mypy-torch.*,trl.*,peft.*,datasets.*,transformers.*,gguf.*,jsonschema_rs.*]
ignore_missing_imports = true
follow_imports = skip
"""


@pytest.mark.slow
def test_a_type_checker_sees_its_types(tmp_path: Path) -> None:
    """Nothing is said of a plugin that is right; of one that is wrong, each wrong line."""
    for name, text in (("right.py", PLUGIN), ("wrong.py", WRONG), ("mypy.ini", SETTINGS)):
        (tmp_path / name).write_text(text)
    words = ["--config-file", "mypy.ini", "--cache-dir", str(ROOT / ".mypy_cache" / "plugin"), "right.py", "wrong.py"]
    environment = {"PATH": "", "PYTHONPATH": str(ROOT), "MYPYPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *words], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert [line for line in done.stdout.splitlines() if line.startswith(("right", "wrong"))] == [
        'wrong.py:2: error: Module "skillpm.plugin" has no attribute "Nonsense"  [attr-defined]',
        'wrong.py:4: error: Argument 1 to "RewardFunction" has incompatible type "int"; expected "str"  [arg-type]',
        'wrong.py:5: note: Revealed type is "str"',
    ], done.stdout + done.stderr
