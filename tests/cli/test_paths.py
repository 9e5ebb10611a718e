"""Paths are plain on the way in and short on the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from skillpm.cli.paths import TypedPath, shortened
from tests.shop import MakeProject, SkillFiles


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{here}/a/b is not a skill", "a/b is not a skill"),
        ("`{here}/a` and ({here}//b)", "`a` and (b)"),
        ("{here}: no SKILL.md", "{here}: no SKILL.md"),
        ("{here}-other/a", "{here}-other/a"),
        ("file://{here}/a", "file://{here}/a"),
        ("path:{here}/a", "path:{here}/a"),
        ("/elsewhere{here}/a", "/elsewhere{here}/a"),
        ("nothing of it", "nothing of it"),
        ("run `skillpm install {here}/mine`", "run `skillpm install ./mine`"),
        ("run `skillpm install {here}/mine {here}/a/b`", "run `skillpm install ./mine a/b`"),
        ("`a` and `{here}/mine`, then `skillpm list`", "`a` and `mine`, then `skillpm list`"),
        ("`skillpm publish PATH --registry '{here}/my shop'`", "`skillpm publish PATH --registry './my shop'`"),
    ],
)
def test_what_is_below_is_told_as_it_is_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, shown: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert shortened(text.format(here=tmp_path)) == shown.format(here=tmp_path)


def test_a_detour_goes_unless_a_link_leads_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("a", "b", "far/away"):
        Path(folder).mkdir(parents=True)
    Path("link").symlink_to("far/away")
    kind = TypedPath()
    assert kind.convert("./a/../b", None, None) == Path("b")
    assert kind.convert("a//", None, None) == Path("a")
    assert kind.convert("link/../b", None, None) == Path("link/../b")


def test_messages_have_them(project: MakeProject, skill_files: SkillFiles) -> None:
    place = project({"a": {}, "bare": {"README.md": "x"}, "demo": skill_files() | {"SKILL.md": "no frontmatter"}})
    place.call("version", "./a/../bare").fails(1, "no SKILL.md in bare")
    place.call("publish", "bare", "--registry", "./a").fails(5, "error: a is not a registry")
    assert place.call("validate", "./a/../demo").out.startswith("demo/SKILL.md")
    assert place.call("validate", cwd=place.root / "demo").code == 2
    assert place.call("validate", ".", cwd=place.root / "demo").out.startswith("SKILL.md")
