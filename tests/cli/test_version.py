"""``skillpm version``: the next version, written without touching another byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from skillpm.errors import DocumentError, UsageError
from skillpm.layout.edit import with_frontmatter_value, with_value
from skillpm.model.version import PARTS, next_version
from tests.shop import MakeProject

NEXT = [
    ("1.2.7", "major", "2.0.0"),
    ("1.2.7", "minor", "1.3.0"),
    ("1.2.7", "patch", "1.2.8"),
    ("1.0", "patch", "1.0.1"),
    ("1", "minor", "1.1"),
    ("1!2.0", "minor", "1!2.1"),
    ("2.0.0rc1", "major", "2.0.0"),
    ("1.3.0rc2", "release", "1.3.0"),
    ("1.3.0rc1", "rc", "1.3.0rc2"),
    ("1.3.0b4", "rc", "1.3.0rc1"),
    ("1.3.0", "patch rc", "1.3.1rc1"),
    ("1.3.1rc1", "patch rc", "1.3.1rc2"),
    ("1.0.0rc2", "patch beta", "1.0.1b1"),
    ("1.0.post3", "post", "1.0.post4"),
    ("1.0", "post", "1.0.post1"),
    ("1.0.dev3", "dev", "1.0.dev4"),
    ("1.0rc1.dev2", "rc", "1.0rc1"),
    ("1.0+local", "patch", "1.0.1"),
]


@pytest.mark.parametrize(("version", "parts", "expected"), NEXT)
def test_the_next_version_is_the_lowest_of_its_shape_that_is_higher(version: str, parts: str, expected: str) -> None:
    assert next_version(version, parts.split()) == expected


@pytest.mark.parametrize(
    ("version", "parts", "hint"),
    [
        ("1.3.0", "rc", "patch rc"),
        ("1.0.0rc2", "beta", "patch beta"),
        ("1.0.0", "release", "major, minor or patch"),
        ("1.0", "mayor", "`major`"),
        ("1.0", "rc minor", "minor rc"),
    ],
)
def test_what_is_not_higher_is_refused(version: str, parts: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        next_version(version, parts.split())
    assert hint in str(caught.value.hint)


RELEASE, SUFFIX = r"(?:[12]!)?[0-9]{1,2}(?:\.[0-9]{1,2}){0,3}", r"(?:(?:a|b|rc)[0-9])?(?:\.post[0-9])?(?:\.dev[0-9])?"
VERSIONS = st.from_regex(RELEASE + SUFFIX, fullmatch=True)


@given(VERSIONS, st.lists(st.sampled_from(PARTS), min_size=1, max_size=2))
def test_a_bump_always_gives_a_higher_version_or_says_why_not(version: str, parts: list[str]) -> None:
    try:
        found = next_version(version, parts)
    except UsageError:
        return
    assert Version(found) > Version(version)


MANIFEST = "# who we are\r\nmanifest: 1\r\nversion: '1.0'   # raise me\r\nkeywords: [a, b]\r\n"
SKILL = (
    '---\nname: mine\ndescription: Shows. Use when testing.\nmetadata:\n  version: "1.0" # too\n---\n\nversion: 1.0\n'
)


def test_only_the_version_changes_in_every_file_that_says_it(project: MakeProject) -> None:
    place = project({"mine": {"SKILL.md*": SKILL, "skill.yaml": MANIFEST}})
    done = place.call("version", "bump", "minor", "mine").ok()
    assert done.out == "1.1\n"
    assert (place.root / "mine/skill.yaml").read_bytes() == MANIFEST.replace("'1.0'", "'1.1'").encode()
    assert (place.root / "mine/SKILL.md").read_text() == SKILL.replace('"1.0"', '"1.1"')
    assert (place.root / "mine/SKILL.md").stat().st_mode & 0o111
    assert place.call("version", "mine").ok().out == "1.1\n"
    assert place.call("version", cwd=place.root / "mine").ok().out == "1.1\n"
    assert not [path for path in (place.root / "mine").iterdir() if path.name.startswith(".")]


def test_a_version_is_written_as_releases_are_called(project: MakeProject) -> None:
    place = project({"mine": {"SKILL.md": SKILL, "skill.yaml": MANIFEST}})
    for typed, written in (("v1.2.0", "1.2.0"), ("1.2.0-rc.1", "1.2.0rc1"), (" 3.0 ", "3.0")):
        assert place.call("version", "set", typed, "mine").ok().out == f"{written}\n"
        assert place.call("version", "mine").ok().out == f"{written}\n"


def test_a_dry_run_changes_nothing(project: MakeProject) -> None:
    place = project({"mine": {"SKILL.md": SKILL, "skill.yaml": MANIFEST}})
    done = place.call("version", "set", "2.0rc1", "mine", "--dry-run", "--json").ok().document
    assert (done["before"], done["after"], done["files"]) == ("1.0", "2.0rc1", ["SKILL.md", "skill.yaml"])
    assert (place.root / "mine/skill.yaml").read_bytes() == MANIFEST.encode()


def test_a_skill_without_a_version_gets_a_manifest(project: MakeProject) -> None:
    place = project({"mine": {"SKILL.md": "---\nname: mine\ndescription: Shows. Use when testing.\n---\nDo.\n"}})
    assert place.call("version", "mine").ok().out == "0\n"
    place.call("version", "set", "1.0.0", "mine").ok()
    assert place.call("version", "mine").ok().out == "1.0.0\n"
    place.call("validate", "mine", "--level", "strict").ok()


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["set", "one", "mine"], 2, "not a version"),
        (["bump", "minor", "nowhere"], 2, "not a folder"),
        (["bump", "mayor", "mine"], 2, "did you mean"),
        (["bump"], 2, "PART"),
        (["bump", "nowhere"], 2, "`nowhere` is not a part of a version"),
        (["nowhere"], 2, "not a folder"),
    ],
)
def test_what_cannot_be_raised_changes_nothing(
    project: MakeProject, arguments: list[str], code: int, text: str
) -> None:
    place = project({"mine": {"SKILL.md": SKILL, "skill.yaml": MANIFEST}})
    place.call("version", *arguments).fails(code, text)
    assert (place.root / "mine/skill.yaml").read_bytes() == MANIFEST.encode()
    assert (place.root / "mine/SKILL.md").read_text() == SKILL


@pytest.mark.parametrize("quote", ["", "'", '"'])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_quotes_line_ends_and_marks_stay(quote: str, end: str, mark: str) -> None:
    text = f"{mark}a: 'ä'  # version: 0{end}version: {quote}1.0{quote} # x{end}b: {{version: 3}}{end}"
    assert with_value(text, ["version"], "2.0", path="skill.yaml") == text.replace(
        f"{quote}1.0{quote} #", f"{quote}2.0{quote} #"
    )
    assert with_value(text, ["b", "version"], "2.0", path="skill.yaml") == text.replace("version: 3", "version: 2.0")
    assert with_value(text, ["none"], "2.0", path="skill.yaml") is None


def test_a_body_that_looks_like_frontmatter_is_left_alone() -> None:
    text = SKILL + '---\nmetadata:\n  version: "1.0"\n---\n'
    assert with_frontmatter_value(text, ["metadata", "version"], "2", path="SKILL.md") == text.replace(
        '"1.0" # too', '"2" # too'
    )


@pytest.mark.parametrize("value", ["|\n  1.0\n", "[1.0]\n", "\n"])
def test_what_is_not_one_word_is_refused(value: str) -> None:
    with pytest.raises(DocumentError):
        with_value(f"version: {value}", ["version"], "2.0", path="skill.yaml")


@pytest.mark.parametrize(("words", "right"), [(("x", "minor"), "bump minor x"), (("minor", "x"), "bump minor x")])
def test_a_part_without_bump_is_told_the_right_order(project: MakeProject, words: tuple[str, ...], right: str) -> None:
    project().call("version", *words).fails(2, f"skillpm version {right}")


def test_files_that_a_person_names_are_missed_by_their_names(project: MakeProject) -> None:
    place = project({"binary.pem": "x"})
    (place.root / "binary.pem").write_bytes(b"\x80\x81")
    place.call("key", "import", "a", "none.pem").fails(2, "no file none.pem")
    place.call("key", "import", "a", "binary.pem").fails(2, "not a PEM key")
    place.call("export", "sbom").fails(2, "skillpm install")
    place.call("export", "sbon", "x").fails(2, "no exporter", "sbom")


def test_the_file_behind_a_link_gets_the_version_and_the_link_stays(project: MakeProject) -> None:
    place = project({"mine": {"AGENTS.md": SKILL, "skill.yaml": MANIFEST}})
    link = place.root / "mine/SKILL.md"
    link.symlink_to("AGENTS.md")
    place.call("version", "set", "3.0", "mine").ok()
    assert place.call("version", "bump", "patch", "mine").ok().out == "3.0.1\n"
    assert link.is_symlink() and (place.root / "mine/AGENTS.md").read_text() == SKILL.replace('"1.0"', '"3.0.1"')
