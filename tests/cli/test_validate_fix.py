"""`skillpm validate --fix` shows each change, writes it whole or not at all, and says what is left."""

from __future__ import annotations

import os
import stat

import pytest

from tests.shop import MakeProject

LINES = (
    "\ufeff---",
    "name: My Skill",
    "description: Use when: asked",
    "version: 1.10",
    "when_to_use: x",
    "---",
    "",
    "# A",
    "",
)
BROKEN = "\r\n".join(LINES)
MENDED = """---
name: my-skill
description: 'Use when: asked'
metadata:
  version: "1.10"
when_to_use: x
---

# A
"""


def test_the_change_is_shown_and_written_and_what_is_left_is_told(project: MakeProject) -> None:
    root = project({"my-skill/SKILL.md": BROKEN})
    outcome = root.call("validate", "my-skill", "--fix").ok()
    assert (root.root / "my-skill/SKILL.md").read_bytes().decode() == MENDED
    assert outcome.out.startswith("--- my-skill/SKILL.md\n+++ my-skill/SKILL.md\n@@ ")
    assert "\n-name: My Skill\\r\n" in outcome.out and '\n+  version: "1.10"\n' in outcome.out
    assert "\ufeff" not in outcome.out and "\r" not in outcome.out
    assert "my-skill/SKILL.md:6: warning SK201: unknown field `when_to_use`" in outcome.out
    assert "1 file fixed" in outcome.err and "0 errors, 1 warning" in outcome.err
    again = root.call("validate", "my-skill", "--fix").ok()
    assert "0 files fixed" in again.err and "---" not in again.out


def test_a_dry_run_shows_the_same_and_writes_nothing(project: MakeProject) -> None:
    root = project({"my-skill/SKILL.md": BROKEN})
    shown = root.call("validate", "my-skill", "--fix", "--dry-run")
    assert "1 file would be fixed" in shown.err
    assert (root.root / "my-skill/SKILL.md").read_bytes().decode() == BROKEN
    assert (
        shown.out.split("my-skill/SKILL.md:")[0]
        == root.call("validate", "my-skill", "--fix").out.split("my-skill/SKILL.md:")[0]
    )
    root.call("validate", "my-skill", "--dry-run").fails(2, "--fix")


def test_an_archive_is_not_changed(project: MakeProject) -> None:
    root = project({"my-skill/SKILL.md": MENDED, "my-skill.tgz": "packed"})
    outcome = root.call("validate", "my-skill", "my-skill.tgz", "--fix")
    outcome.fails(2, "`--fix` does not change the archive my-skill.tgz", "unpack it")


def test_json_lists_what_was_mended(project: MakeProject) -> None:
    root = project({"a/my-skill/SKILL.md": BROKEN, "a/fine/SKILL.md": MENDED.replace("my-skill", "fine")})
    document = root.call("validate", "a", "--fix", "--json").document
    (mending,) = document["mended"]
    assert (mending["path"], mending["codes"][:2]) == ("a/my-skill/SKILL.md", ["SK005", "SK011"])
    assert mending["diff"].startswith("--- a/my-skill/SKILL.md")
    assert document["ok"] and len(document["reports"]) == 2
    assert "mended" not in root.call("validate", "a", "--json").document


def test_other_files_modes_and_links_are_left(project: MakeProject) -> None:
    root = project({"my-skill": {"SKILL.md*": BROKEN, "notes.md": "a\r\n", "skill.yaml": "\ufeffmanifest: 1\r\n"}})
    (root.root / "my-skill/SKILL.md").chmod(0o750)
    (root.root / "other").mkdir()
    (root.root / "other/SKILL.md").symlink_to("../my-skill/SKILL.md")
    root.call("validate", ".", "--fix")
    assert stat.S_IMODE((root.root / "my-skill/SKILL.md").stat().st_mode) == 0o750
    assert (root.root / "my-skill/notes.md").read_bytes() == b"a\r\n"
    assert (root.root / "other/SKILL.md").is_symlink()
    assert sorted(path.name for path in (root.root / "my-skill").iterdir()) == ["SKILL.md", "notes.md", "skill.yaml"]


def test_the_file_behind_a_link_is_mended_and_the_link_stays(project: MakeProject) -> None:
    root = project({"my-skill/AGENTS.md": BROKEN})
    link = root.root / "my-skill/SKILL.md"
    link.symlink_to("AGENTS.md")
    root.call("validate", "my-skill", "--fix")
    assert link.is_symlink() and (root.root / "my-skill/AGENTS.md").read_bytes() == MENDED.encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"\x00" * 10,
        b"# A\n",
        b"---\nname: a\nname: b\n---\r\n",
        b"---\r\nname: \x1b[31m\n",
        b"x" * (1 << 20) + b"\r\n",
    ],
)
def test_what_cannot_be_mended_surely_is_left_to_the_byte(project: MakeProject, data: bytes) -> None:
    root = project({"a/SKILL.md": data})
    outcome = root.call("validate", "a", "--fix")
    assert outcome.code == 1 and "Traceback" not in outcome.err
    assert (root.root / "a/SKILL.md").read_bytes() == data


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_an_error_with_a_hint(project: MakeProject) -> None:
    root = project({"my-skill/SKILL.md": BROKEN})
    (root.root / "my-skill").chmod(0o555)
    try:
        root.call("validate", "my-skill", "--fix").fails(6, "cannot write", "check the owner")
    finally:
        (root.root / "my-skill").chmod(0o755)
    assert (root.root / "my-skill/SKILL.md").read_bytes().decode() == BROKEN
