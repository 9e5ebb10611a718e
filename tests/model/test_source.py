"""A source is written in one place, and read back to the letter."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import skillpm
from skillpm.errors import DocumentError
from skillpm.formats.light import json_form, read_light
from skillpm.model.lock import LockedSkill
from skillpm.model.requirement import Requirement
from skillpm.model.source import BUNDLED, Source, SourceKind

PREFIXES = [kind.value for kind in SourceKind if kind not in (SourceKind.BUNDLED, SourceKind.FOREIGN)]
PACKAGE = Path(skillpm.__file__).parent
READERS = ("model/source.py", "index/git_url.py")  # the latter reads what a person types


@pytest.mark.parametrize(
    ("text", "kind", "place"),
    [
        ("bundled", SourceKind.BUNDLED, ""),
        ("path:../mine", SourceKind.PATH, "../mine"),
        ("archive:mine-1.0.tar.gz", SourceKind.ARCHIVE, "mine-1.0.tar.gz"),
        ("git+https://host/x@v1#subdirectory=a", SourceKind.GIT, "https://host/x@v1#subdirectory=a"),
        ("registry:https://host/shop", SourceKind.REGISTRY, "https://host/shop"),
        ("well-known:https://host/x", SourceKind.SITE, "https://host/x"),
        ("acme:thing", SourceKind.FOREIGN, "acme:thing"),
        ("bundled-by-acme:thing", SourceKind.FOREIGN, "bundled-by-acme:thing"),
        ("path", SourceKind.FOREIGN, "path"),
        ("", SourceKind.FOREIGN, ""),
    ],
)
def test_a_source_is_read_once_and_written_to_the_letter(text: str, kind: SourceKind, place: str) -> None:
    assert Source.parse(text) == Source(kind, place)
    assert str(Source.parse(text)) == text


@given(st.one_of(st.text(), st.sampled_from([*PREFIXES, "bundled"]).flatmap(lambda head: st.text().map(head.__add__))))
def test_every_text_is_a_source_and_comes_back(text: str) -> None:
    source = Source.parse(text)
    assert str(source) == text
    assert Source.parse(str(source)) == source


def test_what_a_kind_promises() -> None:
    sources = [Source(kind, "x") for kind in SourceKind]
    assert {s.kind for s in sources if s.editable} == {SourceKind.PATH}
    assert {s.kind for s in sources if s.floating} == {SourceKind.GIT}
    assert {s.kind for s in sources if s.published} == {SourceKind.REGISTRY, SourceKind.FOREIGN}
    assert {s.kind for s in sources if s.is_registry} == {SourceKind.REGISTRY, SourceKind.SITE}
    assert {s.kind for s in sources if not s.chosen_by_hand} == {
        SourceKind.REGISTRY, SourceKind.SITE, SourceKind.FOREIGN,
    }  # fmt: skip


def test_a_lock_and_a_requirement_hold_sources() -> None:
    entry = {"name": "a", "version": "1", "source": "path:../a", "archive": "0" * 64, "tree": "0" * 64}
    skill = read_light(LockedSkill, entry)
    assert skill.source == Source(SourceKind.PATH, "../a")
    assert json_form(skill)["source"] == "path:../a"
    assert Requirement.parse("a>=1 @ registry:../shop").source == Source(SourceKind.REGISTRY, "../shop")
    assert str(Requirement("a", source=BUNDLED)) == "a @ bundled"
    with pytest.raises(DocumentError, match="source"):
        read_light(LockedSkill, {**entry, "source": 7})


def _spelled(path: Path) -> Iterator[str]:
    """Yield the texts of a module, its docstrings left out, that begin as a source does."""
    text = path.read_text(encoding="utf-8")
    if not any(f"{quote}{prefix}" in text for quote in "'\"" for prefix in PREFIXES):
        return
    tree = ast.parse(text)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, documented)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or node.value in docstrings:
            continue
        if node.value.startswith(tuple(PREFIXES)):
            yield f"{path.relative_to(PACKAGE)}:{node.lineno}: {node.value[:40]}"


def test_no_other_module_spells_the_prefix_of_a_source() -> None:
    modules = [path for path in PACKAGE.rglob("*.py") if "_bundled" not in path.parts]
    spelled = {path.relative_to(PACKAGE).as_posix(): list(_spelled(path)) for path in modules}
    assert all(spelled[name] for name in READERS), "a prefix is seen where it stands"
    assert [line for name, lines in spelled.items() if name not in READERS for line in lines] == []
