"""What skillpm.yaml may say: each case file is read whole, or refused with the line that is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from skillpm.errors import DocumentError
from skillpm.formats.strict_yaml import read_yaml
from skillpm.model.project import ProjectDocument, Wish
from skillpm.model.source import Source, in_folder
from skillpm.ops.machine.schema import document_schema
from skillpm.settings import load_settings

CASES = Path(__file__).parent.parent / "cases/project"


def read(path: Path, folder: Path) -> ProjectDocument | None:
    (folder / "skillpm.yaml").write_bytes(path.read_bytes())
    return load_settings(project=folder, environment={"SKILLPM_HOME": str(folder)}).document


@pytest.mark.parametrize("path", sorted((CASES / "good").iterdir()), ids=lambda path: path.stem)
def test_a_good_file_is_read_and_its_schema_agrees(path: Path, tmp_path: Path) -> None:
    assert read(path, tmp_path) is not None
    root = read_yaml(path.read_text(encoding="utf-8"))
    numbers: dict[str, Any] = {"project": int(root["project"])}
    if "policy" in root:
        numbers["policy"] = {**root["policy"], "cooldown": int(root["policy"]["cooldown"])}
    jsonschema.Draft202012Validator(document_schema("project")).validate({**root, **numbers})


@pytest.mark.parametrize("path", sorted((CASES / "bad").iterdir()), ids=lambda path: path.stem)
def test_a_bad_file_is_refused_with_its_line(path: Path, tmp_path: Path) -> None:
    """The first line of a case says the line and the words of the error."""
    expected = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# error: ")
    with pytest.raises(DocumentError) as caught:
        read(path, tmp_path)
    line, words = expected.split(": ", 1) if expected[0].isdigit() else ("", expected)
    assert caught.value.message.startswith(f"skillpm.yaml{f':{line}' if line else ''}: ")
    assert words in caught.value.message


def test_what_is_said_of_a_folder_of_agents_and_of_registries_is_kept_in_order(tmp_path: Path) -> None:
    document = read(CASES / "good/full.yaml", tmp_path)
    assert document is not None
    assert list(document.registries or ()) == ["team", "public"]
    assert document.agents == ("claude-code", "codex")
    assert document.requires["any"].version == "*"


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("git+https://example.org/a.git", {"git": "https://example.org/a.git"}),
        ("git+https://example.org/a.git@v1", {"git": "https://example.org/a.git", "ref": "v1"}),
        ("git+ssh://git@example.org/a.git", {"git": "ssh://git@example.org/a.git"}),
        (
            "git+https://example.org/a@feature/x#subdirectory=skills/b",
            {"git": "https://example.org/a", "ref": "feature/x", "subdirectory": "skills/b"},
        ),
        ("archive:a.tar.gz", {"archive": "./a.tar.gz"}),
        ("archive:/srv/a.tar.gz", {"archive": "/srv/a.tar.gz"}),
        ("archive:a.zip#subdirectory=skills/b", {"archive": "./a.zip", "subdirectory": "skills/b"}),
        ("path:../mine", {"path": "../mine"}),
        ("path:mine", {"path": "./mine"}),
        ("registry:../shop", {}),
        ("well-known:https://example.org/.well-known/agent-skills/index.json", {}),
        ("bundled", {}),
        ("acme:thing", {}),
    ],
)
def test_a_source_and_the_keys_of_a_project_file_name_the_same_place(text: str, keys: dict[str, str]) -> None:
    assert Source.parse(text).entry() == keys
    if keys:
        place = in_folder(next(iter(keys.values())), keys.get("subdirectory"))
        assert Wish.model_validate(keys).place == (text if "git" in keys else place)


@pytest.mark.parametrize(("specifier", "hint"), [("^1.2", "write `>=1.2,<2`"), ("1.2", "such as `>=1,<2`")])
def test_a_wrong_specifier_has_the_hint_that_the_command_line_gives(tmp_path: Path, specifier: str, hint: str) -> None:
    (tmp_path / "skillpm.yaml").write_text(f"project: 1\nrequires:\n  base: '{specifier}'\n")
    with pytest.raises(DocumentError, match=r"skillpm\.yaml:3: ") as caught:
        assert load_settings(project=tmp_path, environment={"SKILLPM_HOME": str(tmp_path)}).document
    assert hint in str(caught.value.hint)
