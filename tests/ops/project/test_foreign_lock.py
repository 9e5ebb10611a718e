"""import takes what it can of other managers' locks, says why not the rest, and believes nothing of what it reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillpm.clients.table import UNIVERSAL
from skillpm.errors import DocumentError, LockOutOfDateError
from skillpm.model.ports import ForeignLock
from skillpm.ops.project.foreign_lock import read_foreign_lock
from tests.shop import MakeProject, skill_files

COMMIT = "7f3c9a4d2e1b8c7f0a9e6d5c4b3a2918f7e6d5c4"


def skills_lock(entry: dict[str, Any], name: str = "demo") -> str:
    return json.dumps({"version": 1, "skills": {name: entry}})


def github(**more: Any) -> dict[str, Any]:
    return {
        "source": "owner/repo",
        "sourceType": "github",
        "skillPath": "skills/demo/SKILL.md",
        "computedHash": "0" * 64,
        **more,
    }


def read(text: str, name: str = "skills-lock.json") -> ForeignLock:
    return read_foreign_lock(text, Path(name))


TAKEN = {
    "a folder of a repository": (github(), "git+https://github.com/owner/repo.git#subdirectory=skills/demo", False),
    "a tag": (github(ref="v1.2"), "git+https://github.com/owner/repo.git@v1.2#subdirectory=skills/demo", False),
    "a branch with a slash": (
        github(ref="feature/x"),
        "git+https://github.com/owner/repo.git@feature/x#subdirectory=skills/demo",
        False,
    ),
    "a commit": (github(ref=COMMIT), f"git+https://github.com/owner/repo.git@{COMMIT}#subdirectory=skills/demo", True),
    "the repository itself": (github(skillPath="SKILL.md"), "git+https://github.com/owner/repo.git", False),
    "a path with a space": (
        github(skillPath="my skills/demo/SKILL.md"),
        "git+https://github.com/owner/repo.git#subdirectory=my%20skills/demo",
        False,
    ),
    "another host": (
        github(sourceType="git", source="https://git.example.org:8443/team/repo.git"),
        "git+https://git.example.org:8443/team/repo.git#subdirectory=skills/demo",
        False,
    ),
    "a group of groups": (
        github(sourceType="gitlab", source="group/sub/repo"),
        "git+https://gitlab.com/group/sub/repo.git#subdirectory=skills/demo",
        False,
    ),
    "ssh": (
        github(sourceType="git", source="git@example.org:team/repo.git"),
        "git+ssh://git@example.org/team/repo.git#subdirectory=skills/demo",
        False,
    ),
}


@pytest.mark.parametrize("case", TAKEN)
def test_an_entry_becomes_a_requirement(case: str) -> None:
    entry, requirement, pinned = TAKEN[case]
    found = read(skills_lock(entry))
    assert found.left == ()
    assert [(item.name, item.requirement, item.pinned) for item in found.taken] == [("demo", requirement, pinned)]


def test_the_lock_of_a_home_folder_is_read_with_its_addresses() -> None:
    entry = {
        **github(),
        "sourceUrl": "https://github.com/owner/repo.git",
        "skillFolderHash": "1" * 40,
        "installedAt": "2026-01-01T00:00:00.000Z",
        "updatedAt": "2026-01-01T00:00:00.000Z",
    }
    text = json.dumps({"version": 3, "skills": {"demo": entry}, "dismissed": {}, "lastSelectedAgents": ["codex"]})
    found = read(text, ".skill-lock.json")
    assert found.form == ".skill-lock.json"
    assert [item.requirement for item in found.taken] == [TAKEN["a folder of a repository"][1]]


LEFT: dict[str, tuple[Any, str, str]] = {
    "no folder": (github(skillPath=None), "does not name the skill's folder", "--skill demo"),
    "a web site": ({"source": "bun.sh", "sourceType": "well-known"}, "web site", "--registry https://bun.sh"),
    "an unknown kind": (github(sourceType="node_modules"), "`node_modules` are not known", ""),
    "an option for git": (github(source="--upload-pack=touch x"), "not the address", ""),
    "another protocol": (github(sourceType="git", source="ext::sh -c touch%20x"), "not the address", ""),
    "a file address": (github(sourceType="git", source="file:///etc"), "not the address", ""),
    "a login": (github(sourceType="git", source="https://user:secret@host.org/a/b"), "not the address", ""),
    "a query": (github(sourceType="git", source="https://host.org/a/b?x=y"), "not the address", ""),
    "dots in an address": (github(source="owner/../../x"), "not the address", ""),
    "a reference that is an option": (github(ref="--exec=x"), "reference", ""),
    "a reference with dots": (github(ref="a..b"), "reference", ""),
    "a reference with a new line": (github(ref="main\nHost: evil"), "reference", ""),
    "a folder above": (github(skillPath="../../etc/SKILL.md"), "not a path inside a repository", ""),
    "a folder with a fragment": (github(skillPath="a#b/SKILL.md"), "not a path inside a repository", ""),
    "a folder with an escape": (github(skillPath="a\x1b[31m/SKILL.md"), "not a path inside a repository", ""),
    "a very long folder": (github(skillPath="a/" * 500 + "SKILL.md"), "not a path inside a repository", ""),
    "a number for a text": (github(source=7), "`source` is not text", ""),
    "a list for an entry": (["x"], "not an object", ""),
    "a local path that is absolute": ({"source": "/etc", "sourceType": "local"}, "outside the folder", ""),
    "a local path that is above": ({"source": "../../etc", "sourceType": "local"}, "outside the folder", ""),
    "a local path that is gone": ({"source": "nowhere", "sourceType": "local"}, "there is no folder", ""),
    "a local path that is no text": ({"source": "a\x00b", "sourceType": "local"}, "not a path", ""),
}


@pytest.mark.parametrize("case", LEFT)
def test_what_cannot_be_taken_is_said_with_the_reason(case: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    entry, reason, remedy = LEFT[case]
    found = read(skills_lock(entry))
    assert found.taken == ()
    assert [item.name for item in found.left] == ["demo"]
    assert reason in found.left[0].reason
    assert remedy in found.left[0].remedy


@pytest.mark.parametrize("name", ["../x", "", "Demo", "a" * 65, "a\x1b[31m", "con"])
def test_a_name_that_is_none_is_left(name: str) -> None:
    assert read(skills_lock(github(), name)).left[0].reason == "that is not a skill name"


APM = f"""\
lockfile_version: '1'
generated_at: '2026-05-10T20:14:00+00:00'
dependencies:
- repo_url: octo/skills
  host: github.com
  resolved_commit: {COMMIT}
  resolved_ref: v1
  virtual_path: skills/one
  is_virtual: true
  package_type: claude_skill
- repo_url: github.com/octo/bundle
  resolved_ref: v1.2.0
  package_type: skill_bundle
  skill_subset: [two, three]
- repo_url: octo/deployed
  package_type: skill_bundle
  deployed_files: [.agents/skills/four, .agents/skills/four/SKILL.md]
- repo_url: _local/five
  source: local
  local_path: ./packages/five
  package_type: hybrid
- repo_url: octo/prompts
  package_type: apm_package
- repo_url: octo/http
  package_type: claude_skill
  is_insecure: true
- just a text
mcp_servers: [github]
"""


def test_an_apm_lock_gives_its_skills_with_their_commits(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "packages/five").mkdir(parents=True)
    found = read(APM, "apm.lock.yaml")
    assert {item.name: (item.requirement, item.pinned) for item in found.taken} == {
        "one": (f"git+https://github.com/octo/skills.git@{COMMIT}#subdirectory=skills/one", True),
        "two": ("git+https://github.com/octo/bundle.git@v1.2.0#subdirectory=skills/two", False),
        "three": ("git+https://github.com/octo/bundle.git@v1.2.0#subdirectory=skills/three", False),
        "four": ("git+https://github.com/octo/deployed.git#subdirectory=skills/four", False),
        "five": ("./packages/five", True),
    }
    assert [item.reason.split(";")[0] for item in found.left] == [
        "it is a package of the kind `apm_package`",
        "it comes through a proxy, or without encryption",
        "the entry is not a mapping",
        "it is an MCP server, not a skill",
    ]


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("skills-lock.json", "", DocumentError),
        ("skills-lock.json", "[]", DocumentError),
        ("skills-lock.json", '{"version": 1}', DocumentError),
        ("skills-lock.json", '{"version": 1, "skills": []}', DocumentError),
        ("skills-lock.json", '{"version": 1, "version": 1, "skills": {}}', DocumentError),
        ("skills-lock.json", '{"version": NaN, "skills": {}}', DocumentError),
        ("skills-lock.json", "[" * 100_000, DocumentError),
        ("skills-lock.json", '{"version": 2, "skills": {}}', LockOutOfDateError),
        ("skills-lock.json", '{"version": true, "skills": {}}', LockOutOfDateError),
        ("skills-lock.json", '{"skills": {}}', LockOutOfDateError),
        ("apm.lock.yaml", "", DocumentError),
        ("apm.lock.yaml", "dependencies: x", DocumentError),
        ("apm.lock.yaml", "a: &a [x]\nb: *a\n", DocumentError),
        ("apm.lock.yaml", "a: !!python/object/apply:os.system [x]\n", DocumentError),
        ("apm.lock.yaml", "lockfile_version: '99'\ndependencies: []\n", LockOutOfDateError),
    ],
)
def test_what_is_no_lock_is_refused(name: str, text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        read(text, name)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
KEYS = st.sampled_from(["source", "sourceType", "sourceUrl", "ref", "skillPath"])
KINDS = st.sampled_from(["github", "gitlab", "git", "local", "well-known"])


@given(st.dictionaries(KEYS, VALUES | st.from_regex(r"[-./:@#a-z]{1,20}", fullmatch=True)), KINDS)
def test_whatever_stands_there_a_requirement_has_the_plainest_form(entry: dict[str, Any], kind: str) -> None:
    found = read(json.dumps({"version": 1, "skills": {"demo": {"sourceType": kind, **entry}}}))
    assert len(found.taken) + len(found.left) == 1
    for item in found.taken:
        assert item.requirement.startswith(("git+https://", "git+ssh://git@", "./", "../"))
        assert item.requirement.isprintable()
        assert not set(item.requirement) & set(" \\?'\"`$;|&<>")
        assert "/../" not in item.requirement.removeprefix("../")


APM_KEYS = st.sampled_from(
    [
        "name",
        "repo_url",
        "host",
        "resolved_commit",
        "resolved_ref",
        "virtual_path",
        "source",
        "local_path",
        "skill_subset",
        "deployed_files",
        "is_insecure",
        "registry_prefix",
    ]
)
APM_KINDS = st.sampled_from(["claude_skill", "hybrid", "skill_bundle"])


@given(st.dictionaries(APM_KEYS, VALUES | st.from_regex(r"[-./:@#a-z]{1,20}", fullmatch=True)), APM_KINDS)
def test_whatever_stands_in_an_apm_lock_is_taken_plainly_or_left(entry: dict[str, Any], kind: str) -> None:
    document = {"lockfile_version": "1", "dependencies": [{"package_type": kind, **entry}], "mcp_servers": entry}
    try:
        found = read(json.dumps(document, ensure_ascii=True), "apm.lock.yaml")
    except DocumentError:
        return  # not every JSON text is YAML
    for item in found.taken:
        assert item.requirement.startswith(("git+https://", "git+ssh://git@", "./", "../"))
        assert item.requirement.isprintable()


def test_an_import_installs_what_lies_here_and_says_what_does_not(project: MakeProject) -> None:
    lock = {"version": 1, "skills": {"mine": {"source": "skills/mine", "sourceType": "local"}, "\x1b[31mred": github()}}
    place = project({"skills": {"mine": skill_files("mine")}, "skills-lock.json": json.dumps(lock)})
    shown = place.call("import", "skills-lock.json").fails(1, "not imported", "1 of 2 entries")
    assert "./skills/mine" in shown.out
    assert "\x1b" not in shown.err
    assert not (place.root / "skillpm.lock").exists(), "nothing is written unless it is asked for"
    place.call("import", "skills-lock.json", "--install", "--dry-run").fails(1, "dry run: 1 added")
    assert not (place.root / "skillpm.lock").exists()
    done = place.call("import", "skills-lock.json", "--install", "--json").fails(1).document
    assert [item["name"] for item in done["installation"]["skills"]] == ["mine"]
    assert (place.root / UNIVERSAL / "mine/SKILL.md").is_file()
    place.call("verify").ok()


def test_a_file_that_is_missing_too_large_no_text_or_in_conflict_is_refused(project: MakeProject) -> None:
    conflict = '<<<<<<< ours\n{"version": 1}\n'
    place = project({"large.json": b" " * (5 << 20), "binary.json": b"\xff\x00", "skills-lock.json": conflict})
    place.call("import", "nowhere.json").fails(2, "nowhere.json")
    place.call("import", "large.json").fails(2, "larger than")
    place.call("import", "binary.json").fails(2, "not UTF-8")
    place.call("import", "skills-lock.json").fails(7, "has conflict markers")


def test_an_import_takes_the_options_of_an_install(project: MakeProject) -> None:
    entry = {"source": "./mine", "sourceType": "local", "computedHash": "0" * 64}
    files = {**skill_files("mine"), "a.bin": b"\x7fELF\x02\x01\x01"}
    place = project({"mine": files, "skills-lock.json": skills_lock(entry, "mine")})
    place.call("import", "skills-lock.json", "--install").fails(1, "SK414", "--allow mine:SK414")
    assert not (place.root / "skillpm.lock").exists()
    place.call("import", "skills-lock.json", "--install", "--allow", "mine:SK414", "--offline").ok()
    place.write({"skills-lock.json": skills_lock(github())})
    place.call("import", "skills-lock.json", "--install", "--offline").fails(5, "`--offline` forbids")
