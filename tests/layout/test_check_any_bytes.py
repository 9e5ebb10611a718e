"""Whatever bytes stand in a skill's files, the check answers with a report and a package manager with a clear error."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from skillpm.cli.sarif import sarif
from skillpm.errors import SkillpmError
from skillpm.layout.check import check, examine
from skillpm.layout.description import describe
from skillpm.layout.frontmatter import read_frontmatter, split
from skillpm.layout.rule import Level
from skillpm.layout.scan import RULES as SCAN
from skillpm.layout.signature import office_parts
from skillpm.layout.subject import Subject
from skillpm.layout.tree import MappingTree, tree_digest
from skillpm.ops.authoring.validate import RULES
from tests.layout.test_rules import zipped

SKILL = b"---\nname: a\ndescription: b\n---\nbody\n"
DOCUMENTS = (
    "skill.yaml", "contract.yaml", "synthesis.yaml", "cases.jsonl", "seeds/a.jsonl", "suites/a.yaml",
    "evals/evals.json", "verifier.py", "plugin.py",
)  # fmt: skip
PIECES = st.sampled_from(
    ["---", "\n", "\r\n", "\ufeff", "name: ", "description: ", "metadata:", " ", "\t", ": ", "- ", "|", ">", "'", '"',
     "[", "]", "{", "}", "&a", "*a", "!!python/object:os.system", "<<<<<<< ", "=======", ">>>>>>> ", "\x00", "\x1b[31m",
     "\u202e", "\U000e0041", "\u200d", "```", "](", "a.md", ")", "%", "@", "\\u202e", "\u2028", "é", "1.10", "#"]
)  # fmt: skip
HOSTILE = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(PIECES, max_size=40).map(lambda pieces: "".join(pieces).encode()),
    st.lists(PIECES, max_size=40).map(lambda pieces: ("---\n" + "".join(pieces) + "\n---\n").encode()),
    st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=8), lambda x: st.lists(x) | st.dictionaries(
        st.sampled_from(["name", "tasks", "tools", "evals", "question", "id", "expected", "request", "values"]), x
    ), max_leaves=12).map(lambda value: json.dumps(value).encode()),
)  # fmt: skip


@example(b"---(: \xe2\x80\xa8!---", Level.LENIENT)  # the reference ends it earlier, and what is left is no YAML
@given(HOSTILE, st.sampled_from(list(Level)))
def test_any_skill_file_gives_a_report(data: bytes, level: Level) -> None:
    report = check(MappingTree({"SKILL.md": data}), path="x", folder="x", level=level)
    json.dumps(report.document())
    for finding in report.findings:
        assert finding.line is None or 1 <= finding.line <= data.count(b"\n") + 2


@given(st.sampled_from(DOCUMENTS), HOSTILE)
def test_any_document_gives_a_report(path: str, data: bytes) -> None:
    subject = Subject(MappingTree({"SKILL.md": SKILL, path: data}), "a")
    json.dumps(examine(subject, RULES, path="x", level=Level.LENIENT).document())


@given(st.dictionaries(st.text(max_size=20), st.binary(max_size=20), max_size=4))
def test_any_file_name_gives_a_report_and_a_digest(files: dict[str, bytes]) -> None:
    tree = MappingTree({"SKILL.md": SKILL, **files})
    json.dumps(check(tree, path="x", folder="a").document())
    assert tree_digest(tree) == tree_digest(tree)


MAGIC = st.sampled_from(
    [b"\x7fELF", b"MZ", b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"BZh91AY&SY", b"\x80\x04", b"\xff\xfe", b"\xfe\xff",
     b"\xa7\x0d\r\n", b"\xca\xfe\xba\xbe", b"7z\xbc\xaf'\x1c", b"\0" * 257 + b"ustar", b"%PDF-", b"[Content_Types].xml"]
)  # fmt: skip


@given(
    st.dictionaries(st.text(min_size=1, max_size=20) | st.sampled_from(["a.docx", "a.pyc", "b.so", "SKILL.md"]),
                    st.tuples(MAGIC | st.just(b""), HOSTILE).map(b"".join), max_size=4),
    st.sampled_from(list(Level)),
)  # fmt: skip
def test_any_tree_can_be_scanned(files: dict[str, bytes], level: Level) -> None:
    report = examine(Subject(MappingTree(files), None), SCAN, path="x", level=level)
    json.dumps(report.document())
    for finding in report.findings:
        text = files.get(finding.path, b"")
        assert finding.line is None or 1 <= finding.line <= text.count(b"\n") + text.count(b"\n\0") + 2
        assert finding.column is None or 1 <= finding.column <= len(text) + 1
        assert finding.message
    log = sarif([report], [rule.text() for rule in SCAN])
    assert len(log["runs"][0]["results"]) == len(report.findings)
    json.dumps(log)


@given(
    st.binary(max_size=400),
    st.sampled_from([zipped("[Content_Types].xml", "a/b.xml"), zipped("mimetype", "x.sh"), zipped()]),
)
def test_any_zip_is_an_archive_or_a_document(noise: bytes, archive: bytes) -> None:
    for data in (archive + noise, noise + archive, archive[:-1] + noise, archive[: len(noise)] + noise[:3]):
        found = office_parts(data)
        assert found is None or found[0] >= len(found[1])


@given(HOSTILE)
def test_a_description_is_given_or_refused_with_a_reason(data: bytes) -> None:
    with contextlib.suppress(SkillpmError):
        assert describe(MappingTree({"SKILL.md": data})).name


@given(HOSTILE)
def test_a_lenient_skill_without_errors_can_be_described_unless_its_name_cannot_be_installed(data: bytes) -> None:
    tree = MappingTree({"SKILL.md": data})
    report = check(tree, path="x", folder=None)
    name_codes = {"SK203", "SK204", "SK205", "SK206", "SK207"}
    if report.ok and not name_codes & {finding.code for finding in report.findings} and (report.name or "").isascii():
        assert describe(tree).name == report.name


@given(st.lists(PIECES, max_size=40).map("".join))
def test_splitting_loses_nothing_but_the_two_fences(text: str) -> None:
    parts = split(text)
    if parts.yaml is not None and parts.leading is not None:
        assert text.startswith(parts.leading) and text.endswith(parts.body)
        assert parts.yaml in text
        if parts.body:  # an empty one may begin on no line: where the text ends with the fence
            assert text.split("\n")[parts.body_line - 1 :] == parts.body.split("\n")
    read_frontmatter(parts)


@pytest.mark.parametrize(
    "data",
    [
        b"---\na: " + b"[" * 100_000,
        b"---\n" + b"".join(b" " * depth + b"k:\n" for depth in range(200)) + b"---\n",
        b"---\nname: " + b"a " * 400_000 + b": b\n---\n",
        b"---\n" + b"k: *a\n" * 10_000 + b"---\n",
        b"---\nname: a\ndescription: b\n---\n" + b"](" * 300_000,
        b"---\nname: a\ndescription: b\n---\n" + b"`" * 900_000,
        b"---\nname: a\ndescription: b\n---\n" + b"`\n" * 400_000,
        b"---\nname: a\ndescription: b\n---\n" + b"<<<<<<< a\n" * 90_000,
        b"---\nname: a\ndescription: b\n---\n" + "\u200b".encode() * 300_000,
        b"\n" * 1_000_000,
        b"x" * 5_000_000,
    ],
    ids=range(11),
)
def test_hostile_sizes_end(data: bytes) -> None:
    """The time limit of the suite is the assertion: nothing here is worse than linear."""
    assert check(MappingTree({"SKILL.md": data}), path="x", folder="a").findings
