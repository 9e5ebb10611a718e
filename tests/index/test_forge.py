"""What a person types for a repository, and what git gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from skillpm.errors import RegistryError, UsageError
from skillpm.index.forge import git_text, is_repository, may_be_repository
from skillpm.index.git_url import GitUrl
from skillpm.index.source import Surroundings
from skillpm.model.source import Source

FORGE = "https://github.com"
HUB = f"{FORGE}/owner/repo"
REFERENCES = {"main", "feature/x", "v1.0"}


def first(address: str, references: list[str]) -> str | None:
    """Answer as a forge that has REFERENCES in every repository but those of groups."""
    if address.endswith("/group"):
        raise RegistryError("there is no such repository, or it is private")
    return next((name for name in references if name in {*REFERENCES, "HEAD"}), None)


@pytest.mark.parametrize(
    ("text", "git"),
    [
        ("owner/repo", f"{HUB}"),
        ("owner/repo/", f"{HUB}"),
        ("Owner/Repo.js", "https://github.com/Owner/Repo.js"),
        ("owner/repo@v1.0", f"{HUB}@v1.0"),
        ("owner/repo@feature/x", f"{HUB}@feature/x"),
        ("owner/repo#main", f"{HUB}@main"),
        ("owner/repo@fix#12", f"{HUB}@fix#12"),
        ("owner/repo@feat/@home", f"{HUB}@feat/@home"),
        ("owner/repo/a/b@feat/@home", f"{HUB}@feat/@home#subdirectory=a/b"),
        ("github:owner/repo/skills/@home/x@v1.0", f"{HUB}@v1.0#subdirectory=skills/%40home/x"),
        ("owner/repo/skills/pdf", f"{HUB}#subdirectory=skills/pdf"),
        ("owner/repo/skills/pdf@v1.0", f"{HUB}@v1.0#subdirectory=skills/pdf"),
        ("owner/repo/skills/pdf/SKILL.md", f"{HUB}#subdirectory=skills/pdf"),
        ("owner/repo/tree/feature/x/a", f"{HUB}@feature/x#subdirectory=a"),
        ("owner/repo/src/pdf", f"{HUB}#subdirectory=src/pdf"),
        ("owner/repo#subdirectory=skills/pdf", f"{HUB}#subdirectory=skills/pdf"),
        ("github:owner/repo", f"{HUB}"),
        ("gh:owner/repo/a@main", f"{HUB}@main#subdirectory=a"),
        ("gitlab:owner/repo", "https://gitlab.com/owner/repo"),
        ("gitlab:owner/group/repo/a", "https://gitlab.com/owner/group/repo#subdirectory=a"),
        ("gitlab:owner/repo/a/b@main", "https://gitlab.com/owner/repo@main#subdirectory=a/b"),
        ("codeberg:owner/repo", "https://codeberg.org/owner/repo"),
        (f"{HUB}", f"{HUB}"),
        ("http://www.github.com/owner/repo/", f"{HUB}"),
        ("HTTPS://GitHub.com/owner/repo.git", f"{HUB}.git"),
        ("github.com/owner/repo", f"{HUB}"),
        (f"{HUB}@feature/x", f"{HUB}@feature/x"),
        (f"{HUB}@fix#12", f"{HUB}@fix#12"),
        ("host.org/o/r@fix#12", "https://host.org/o/r@fix#12"),
        (f"{HUB}@feat/@home", f"{HUB}@feat/@home"),
        (f"{HUB}@v1.0#readme", f"{HUB}@v1.0"),
        (f"{HUB}?tab=readme-ov-file#install", f"{HUB}"),
        (f"{HUB}#readme", f"{HUB}"),
        (f"{HUB}/tree/main", f"{HUB}@main"),
        (f"{HUB}/tree/main/skills/pdf", f"{HUB}@main#subdirectory=skills/pdf"),
        (f"{HUB}/tree/feature/x", f"{HUB}@feature/x"),
        (f"{HUB}/tree/feature/x/a/b", f"{HUB}@feature/x#subdirectory=a/b"),
        (f"{HUB}/tree/refs/heads/feature/x/a", f"{HUB}@feature/x#subdirectory=a"),
        (f"{HUB}/tree/0123456789/a", f"{HUB}@0123456789#subdirectory=a"),
        (f"{HUB}/tree/{'a' * 40}/b", f"{HUB}@{'a' * 40}#subdirectory=b"),
        (f"{HUB}/blob/main/skills/pdf/SKILL.md#L3-L9", f"{HUB}@main#subdirectory=skills/pdf"),
        (f"{HUB}/blob/main/SKILL.md", f"{HUB}@main"),
        (f"{HUB}/tree/main/my%20skill", f"{HUB}@main#subdirectory=my%20skill"),
        (f"{HUB}/tree/main/types/@x/y", f"{HUB}@main#subdirectory=types/%40x/y"),
        (f"{HUB}/commit/0123456789", f"{HUB}@0123456789"),
        (f"{HUB}/releases/tag/v1.0", f"{HUB}@v1.0"),
        ("https://raw.githubusercontent.com/owner/repo/main/a/SKILL.md", f"{HUB}@main#subdirectory=a"),
        ("https://raw.githubusercontent.com/owner/repo/refs/tags/v1.0/a/SKILL.md", f"{HUB}@v1.0#subdirectory=a"),
        ("https://gitlab.com/a/b/c", "https://gitlab.com/a/b/c"),
        ("https://gitlab.com/a/b/c/-/tree/feature/x/d?ref_type=heads", "https://gitlab.com/a/b/c@feature/x#subdirectory=d"),
        ("https://gitlab.com/a/b/-/blob/main/d/SKILL.md", "https://gitlab.com/a/b@main#subdirectory=d"),
        ("https://bitbucket.org/o/r/src/main/skills/pdf/", "https://bitbucket.org/o/r@main#subdirectory=skills/pdf"),
        ("https://codeberg.org/o/r/src/branch/feature/x/a", "https://codeberg.org/o/r@feature/x#subdirectory=a"),
        ("https://git.example.org/o/r/src/tag/v1.0/a", "https://git.example.org/o/r@v1.0#subdirectory=a"),
        ("https://git.example.org:8443/o/r/tree/main/a", "https://git.example.org:8443/o/r@main#subdirectory=a"),
        ("https://git.example.org/team/deep/group2/r", "https://git.example.org/team/deep/group2/r"),
        ("https://git.sr.ht/~o/r/tree/main/item/a", "https://git.sr.ht/~o/r@main#subdirectory=a"),
        ("https://dev.azure.com/o/p/_git/r?path=/a/b&version=GBmain", "https://dev.azure.com/o/p/_git/r@main#subdirectory=a/b"),
        ("git+https://github.com/owner/repo/tree/main/a", f"{HUB}@main#subdirectory=a"),
        ("git+https://example.org/a/b@feature/x#subdirectory=c", "https://example.org/a/b@feature/x#subdirectory=c"),
        ("git@github.com:owner/repo.git", "ssh://git@github.com/owner/repo.git"),
        ("org-1@github.com:owner/repo.git@v1.0", "ssh://org-1@github.com/owner/repo.git@v1.0"),
        ("ssh://git@host.example:2222/o/r.git", "ssh://git@host.example:2222/o/r.git"),
    ],
)  # fmt: skip
def test_each_address_means_a_repository_a_reference_and_a_folder(
    text: str, git: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_repository(text)
    url = GitUrl.parse(git_text(text, FORGE, first), tmp_path)
    assert url == GitUrl.parse(f"git+{git}", tmp_path)


@pytest.mark.parametrize(
    ("place", "address", "reference"),
    [
        ("https://h.io/o/r@feat/@home", "https://h.io/o/r", "feat/@home"),
        ("https://h.io/@scope/r", "https://h.io/@scope/r", None),
        ("https://h.io/@scope/r@v1", "https://h.io/@scope/r", "v1"),
        ("ssh://git@h.io/o/r@v1", "ssh://git@h.io/o/r", "v1"),
    ],
)
def test_a_scope_is_a_part_of_the_address_or_of_the_reference(
    place: str, address: str, reference: str | None, tmp_path: Path
) -> None:
    url = GitUrl.parse(f"git+{place}", tmp_path)
    assert (url.address, url.reference) == (address, reference or "HEAD")
    entry = Source.parse(f"git+{place}").entry()
    assert (entry["git"], entry.get("ref")) == (address, reference)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{HUB}/issues/3", "skillpm install https://github.com/owner/repo"),
        (f"{HUB}/pull/3", "skillpm install https://github.com/owner/repo"),
        (f"{HUB}/archive/refs/heads/main.zip", "download it, then run `skillpm install ./main.zip`"),
        (f"{HUB}/releases/download/v1/My%20Skills.ZIP", "`skillpm install './My Skills.ZIP'`"),
        (f"{HUB}#v2", "`@v2`"),
        (f"{HUB}/tree/nothing/a", "no branch and no tag `nothing`"),
        ("github:owner", "owner/repo"),
        ("github:../..", "owner/repo"),
    ],
)
def test_an_address_that_means_no_place_is_refused_with_what_to_type(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        git_text(text, FORGE, first)
    assert words in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(
    "text",
    ["https://me:secret@github.com/owner/repo", "https://token@github.com/owner/repo/tree/main/a",
     "git+ext::sh -c id", f"{HUB}@--upload-pack=id", "ssh://-oProxyCommand=id/x/y",
     "x@-oProxyCommand=id:a/b", "owner/repo@-x", "owner/repo@a..b", "github:owner/repo/../../x",
     f"{HUB}/tree/main/..%2F..%2Fx"],
)  # fmt: skip
def test_no_short_form_brings_to_git_what_the_long_form_refuses(text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        GitUrl.parse(git_text(text, FORGE, first), tmp_path)
    assert "secret" not in str(caught.value.document())


def test_the_forge_is_a_setting() -> None:
    assert git_text("owner/repo", "https://git.example.org/", first) == "git+https://git.example.org/owner/repo"
    assert git_text("owner/repo/a@v1.0", "ssh://git@host", first) == "git+ssh://git@host/owner/repo@v1.0#subdirectory=a"


def test_a_folder_here_is_never_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "skills").mkdir()
    assert not is_repository("skills/pdf/scripts")
    assert not is_repository("https://host/.well-known/agent-skills")
    assert Surroundings(tmp_path, tmp_path).forge == FORGE


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a/b", True), ("a/b@main", True), ("A/b.c", True), ("a/b>=1", False), ("a", False), ("a/b/c", False)],
)
def test_only_two_words_may_be_a_skill_or_a_repository(text: str, expected: bool) -> None:
    assert may_be_repository(text) is expected
