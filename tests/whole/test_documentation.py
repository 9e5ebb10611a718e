"""What the pages say of commands, options, documents and exit codes is so, and no command goes without a word."""

from __future__ import annotations

import importlib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import click
import pytest

from skillpm import errors
from skillpm.cli.main import COMMANDS, main
from skillpm.errors import SkillpmError
from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.project import ProjectDocument, Wish
from skillpm.model.trust_policy import TrustPolicy
from skillpm_registry import command as server

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/packages.md").read_text(encoding="utf-8")
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
    if path.name != "CHANGELOG.md"
}
ARCHITECTURE = PAGES["docs/architecture.md"]
FENCED = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands() -> Iterator[tuple[str, click.Command]]:
    for name, (home, _) in COMMANDS.items():
        module, _, attribute = home.partition(":")
        command = getattr(importlib.import_module(module), attribute or "command")
        if isinstance(command, click.Group):
            yield from ((f"{name} {below}", found) for below, found in command.commands.items())
        else:
            yield name, command


KNOWN = dict(commands())
OPTIONS = {
    name: {
        option
        for item in command.params
        if isinstance(item, click.Option)
        for option in (*item.opts, *item.secondary_opts)
    }
    | {"--help"}
    for name, command in KNOWN.items()
}


def said(text: str) -> Iterator[str]:
    """Yield each command line of a page, without its program."""
    lines = [line for block in FENCED.findall(text) for line in block.splitlines()]
    spans = re.findall(r"`([^`\n]+)`", FENCED.sub("", text))
    for line in (*lines, *spans):
        if line.startswith("skillpm ") and not line.startswith("skillpm COMMAND"):
            yield line.removeprefix("skillpm ").partition(" #")[0]


def named(line: str) -> str | None:
    """Return the command of a command line."""
    words = line.replace("|", " ").split()
    return next((name for name in (" ".join(words[:2]), words[0]) if name in KNOWN), None)


def test_every_command_and_option_that_a_page_names_exists() -> None:
    groups = {name.partition(" ")[0] for name in KNOWN if " " in name}
    for page, line in ((page, line) for page, text in PAGES.items() for line in said(text)):
        command = named(line)
        assert command or line.split()[0] in groups or line.startswith("--"), f"{page}: skillpm {line}"
        options = set(re.findall(r"(?<![\w-])--[a-z-]+", line))
        allowed = OPTIONS[command] if command else {option for item in main.params for option in item.opts} | {"--help"}
        assert options <= allowed, f"{page}: skillpm {line}"


def test_every_option_that_stands_alone_is_of_some_command() -> None:
    parameters = (parameter for item in server.group.commands.values() for parameter in item.params)
    every = set.union(*OPTIONS.values(), *((*item.opts, *item.secondary_opts) for item in parameters))
    for page, text in PAGES.items():
        alone = set(re.findall(r"`(--[a-z-]+)[^`\n]*`", text))
        assert alone <= every, f"{page}: {alone - every}"


def test_no_line_of_prose_is_longer_than_140_characters() -> None:
    pages = PAGES | {"CHANGELOG.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")}
    for name, page in pages.items():
        prose = re.sub(r"^ *```.*?^ *```", "", page, flags=re.MULTILINE | re.DOTALL)
        assert not [f"{name}: {line}" for line in prose.splitlines() if len(line) > 140 and not line.startswith("|")]


def test_every_link_to_a_file_leads_to_one() -> None:
    links = [(page, link) for page, text in PAGES.items() for link in re.findall(r"\]\((?!https?:)([^)#]+)", text)]
    assert not [(page, link) for page, link in links if not (ROOT / page).parent.joinpath(link).is_file()]


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_every_module_and_folder_that_a_page_names_exists(page: str) -> None:
    names = re.findall(r"`((?:[\w.-]+/)+(?:\w+\.py)?)`", PAGES[page])
    assert names
    assert not [name for name in names if not any((root / name).exists() for root in (ROOT, ROOT / "skillpm"))]


def test_the_architecture_page_draws_the_layers_that_are_enforced() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    assert "```\n" + "\n".join(layers) + "\n```" in ARCHITECTURE


def test_the_architecture_page_has_a_row_for_each_room() -> None:
    rooms = {path.name for path in (ROOT / "skillpm").iterdir() if (path / "__init__.py").is_file()}
    rows = set(re.findall(r"^\| `(\w+)/` \|", ARCHITECTURE, re.MULTILINE))
    assert rooms <= rows


def test_every_command_is_documented() -> None:
    assert set(KNOWN) <= {named(line) for line in said(PAGES["docs/commands.md"])}


@pytest.mark.parametrize("model", [Lock, LockedSkill, TrustPolicy, ProjectDocument, Wish])
def test_every_field_of_a_document_is_named(model: type) -> None:
    names = [item.name for item in fields(model)] if is_dataclass(model) else list(model.model_fields)  # type: ignore[attr-defined]
    assert names
    assert not [name for name in names if f"`{name}`" not in PAGE]


def test_every_exit_code_is_in_the_table() -> None:
    families = [found for found in vars(errors).values() if isinstance(found, type) and issubclass(found, SkillpmError)]
    listed = {int(number) for row in re.findall(r"^\| ([\d, ]+) \|", PAGE, re.MULTILINE) for number in row.split(",")}
    assert listed == {family.exit_code for family in families} | {0, 130, 143}


@pytest.mark.parametrize("page", sorted((ROOT / "docs/decisions").glob("*.md")), ids=lambda page: page.stem)
def test_what_a_decision_points_at_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for path, name in re.findall(r"`((?:[a-z_]+/)+[\w.-]+\.\w+)(?:::(\w+))?`", text):
        place = next((root / path for root in (ROOT, ROOT / "skillpm") if (root / path).is_file()), None)
        assert place is not None, path
        assert f"def {name}(" in place.read_text(encoding="utf-8") if name else True, f"{path}::{name}"
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert (page.parent / link).is_file(), link
