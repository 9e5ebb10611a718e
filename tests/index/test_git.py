"""Git repositories: which addresses are let through to git, and that nothing of a repository runs or is followed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from skillpm.errors import IntegrityError, RegistryError, SkillpmError, UsageError
from skillpm.index import git as git_module
from skillpm.index.git import GitRepository
from skillpm.index.git_url import GitUrl
from skillpm.layout.discovery import discover, skill_folders
from skillpm.layout.tree import FolderTree, tree_digest
from skillpm.storage.archive import build_archive
from tests.conftest import write_tree
from tests.servers import Handler, commit_all, git, serving
from tests.shop import skill_files


@pytest.mark.parametrize(
    ("text", "address", "reference", "folder"),
    [
        ("git+https://example.org/a/b", "https://example.org/a/b", "HEAD", ""),
        ("git+https://example.org/a/b.git@v1.2", "https://example.org/a/b.git", "v1.2", ""),
        ("git+https://example.org/a/b@feature/x#subdirectory=a/b/", "https://example.org/a/b", "feature/x", "a/b"),
        ("git+ssh://git@example.org:22/a/b@main", "ssh://git@example.org:22/a/b", "main", ""),
        ("git@example.org:a/b.git", "ssh://git@example.org/a/b.git", "HEAD", ""),
        ("git+https://example.org/a%20b#subdirectory=my%20skill", "https://example.org/a%20b", "HEAD", "my skill"),
        ("git+https://example.org/a@fix#12#subdirectory=b", "https://example.org/a", "fix#12", "b"),
        ("git+https://example.org/a@größe/x=1.lock.y/-z", "https://example.org/a", "größe/x=1.lock.y/-z", ""),
    ],
)
def test_an_address_is_read_into_its_parts(text: str, address: str, reference: str, folder: str) -> None:
    url = GitUrl.parse(text, Path("/project"))
    assert (url.address, url.reference, url.subdirectory) == (address, reference, folder)
    assert GitUrl.parse(str(url), Path("/project")) == url


def test_a_repository_with_names_in_sha_256_is_read_by_its_branch_and_by_its_commit(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "repository", {"one/SKILL.md": "x"})
    git(root, "init", "--quiet", "--object-format=sha256")
    commit_all(root)
    url = GitUrl.parse(f"git+file:{root}", tmp_path)
    commit = GitRepository(url, tmp_path / "cache").commit
    assert len(commit) == 64
    assert GitRepository(url.at(commit, ""), tmp_path / "fresh").folders("") == ["one"]
    root.rename(tmp_path / "gone")
    with pytest.raises(RegistryError):
        _ = GitRepository(url.at("0" * 64, ""), tmp_path / "cache").commit
    assert GitRepository(url, tmp_path / "cache", offline=True).commit == commit, "a failure loses nothing"


@pytest.mark.parametrize(
    "text",
    [
        "git+ext::sh -c id", "git+ext::sh%20-c%20id", "git+http://example.org/a", "git+git://example.org/a",
        "git+ftp://example.org/a", "git+fd::17", "git+transport::https://example.org/a", "git+/etc",
        "git+https://-oProxyCommand=id/x", "git+ssh://-oProxyCommand=id/x", "git+ssh://git@-oProxyCommand=id/x",
        "git+ssh://-l@example.org/x", "git+ssh://git@example.org/-x", "git+ssh://git@example.org/%2Dx",
        "git+https://example.org/a@--upload-pack=id", "git+https://example.org/a@-x", "git+https://example.org/a@a..b",
        "git+https://example.org/a@a^{/x}", "git+https://example.org/a@a:b", "git+https://example.org/a@",
        "git+https://example.org/a@refs//x", "git+https://example.org/a@x.lock", "git+https://example.org/a@+main",
        "git+https://example.org/a@x.lock/y", "git+https://example.org/a@x.", "git+https://example.org/a@main#egg=x",
        "git+https://me:secret@example.org/a", "git+https://token@example.org/a", "git+ssh://me:secret@example.org/a",
        "git+https://example.org/a#subdirectory=../x", "git+https://example.org/a#subdirectory=a//b",
        "git+https://example.org/a#subdirectory=a/./b", "git+https://example.org/a#egg=x",
        "git+https://example.org/a#subdirectory=a&egg=x", "git+https://example.org/a?x=y", "git+https:///a",
        "git+https://example.org", "git+https://example.org:x/a", "git+file://elsewhere/a", "git+https://exa\nmple.org/a",
        "git+https://example.org/a\\b", "git+", "git@example.org:/a b", "git+https://[::1/a",
    ],
)  # fmt: skip
def test_what_git_must_not_see_is_refused_before_it_is_started(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UsageError) as caught:
        GitUrl.parse(text, Path("/project"))
    assert caught.value.hint
    assert "secret" not in str(caught.value.document())


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    write_tree(root, {"skills": {"one": skill_files("one"), "two": {**skill_files("two"), "run.sh*": "#!/bin/sh\n"}}})
    commit_all(root)
    git(root, "tag", "-a", "v1", "-m", "first")
    write_tree(root / "skills/one", skill_files("one", "2.0"))
    commit_all(root)
    return root


def opened(root: Path, reference: str = "HEAD", *, offline: bool = False) -> GitRepository:
    url = GitUrl.parse(f"git+file:{root}@{reference}", root.parent)
    return GitRepository(url, root.parent / "cache", offline=offline)


def test_branches_tags_and_commits_mean_what_git_means(repository: Path) -> None:
    head, first = git(repository, "rev-parse", "HEAD"), git(repository, "rev-parse", "v1^{commit}")
    for reference, commit in (
        ("HEAD", head), ("main", head), ("v1", first), ("refs/tags/v1", first), (head, head), (first, first),
        (first[:10], first), (head[:7], head),
    ):  # fmt: skip
        assert opened(repository, reference).commit == commit, reference
    with pytest.raises(RegistryError, match="nothing"):
        _ = opened(repository, "nothing").commit


def test_a_branch_that_moves_is_seen_and_a_commit_needs_no_network(repository: Path) -> None:
    before = opened(repository).commit
    (repository / "new").write_text("x")
    after = commit_all(repository)
    assert opened(repository).commit == after != before
    repository.rename(repository.with_name("gone"))
    assert opened(repository, before).tree("skills/one").paths() == ["SKILL.md", "skill.yaml"]
    assert opened(repository, offline=True).commit == after
    with pytest.raises(RegistryError):
        _ = opened(repository).commit
    with pytest.raises(RegistryError, match="--offline"):
        _ = opened(repository, "v1", offline=True).commit
    with pytest.raises(RegistryError, match="--offline"):
        opened(repository, offline=True).first_of(["v1"])


def test_skills_are_found_as_in_a_folder_and_have_the_same_digest(repository: Path) -> None:
    write_tree(repository, {"node_modules/x": skill_files("x"), "a/b/c/d/e/f/g": skill_files("deep")})
    write_tree(repository / "skills/two", {"assets/inner": skill_files("inner"), "x.pyc": b"left out"})
    write_tree(repository, {"lower": {"skill.md": "---\nname: lower\ndescription: x\n---\n"}})
    commit_all(repository)
    commit = opened(repository)
    found = commit.folders("")
    assert found == [path.relative_to(repository).as_posix() for path in discover(repository).skills]
    assert found == ["lower", "skills/one", "skills/two"]
    assert commit.folders("skills") == ["skills/one", "skills/two"]
    assert commit.folders("skills/two") == ["skills/two"]
    for folder in found:
        assert tree_digest(commit.tree(folder)) == tree_digest(FolderTree(repository / folder)), folder


def test_the_root_of_a_repository_can_be_a_skill(tmp_path: Path) -> None:
    write_tree(tmp_path / "one", {**skill_files("one"), "skills/inner": skill_files("inner")})
    commit_all(tmp_path / "one")
    assert opened(tmp_path / "one").folders("") == [""]
    assert tree_digest(opened(tmp_path / "one").tree("")) == tree_digest(FolderTree(tmp_path / "one"))


def test_links_and_submodules_are_named_and_never_followed(repository: Path) -> None:
    (repository / "skills/one/passwd").symlink_to("/etc/passwd")
    (repository / "skills/one/CLAUDE.md").symlink_to("SKILL.md")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},skills/one/module")
    git(repository, "add", "skills/one/passwd", "skills/one/CLAUDE.md")
    git(repository, "commit", "--quiet", "-m", "links")
    tree = opened(repository).tree("skills/one")
    assert tree.irregular() == {"passwd": "symlink", "module": "submodule"}
    assert tree.read("CLAUDE.md") == tree.read("SKILL.md"), "a link to a file of the skill is that file once more"
    with pytest.raises(IntegrityError, match=r"symlink|submodule"):
        build_archive(tree)


def test_nothing_of_a_repository_or_of_the_surroundings_runs(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = tmp_path / "evil.sh"
    evil.write_text(f"#!/bin/sh\ntouch {tmp_path / 'ran'}\ncat\n")
    evil.chmod(0o755)
    for hook in ("post-checkout", "reference-transaction", "post-merge", "pre-auto-gc"):
        write_tree(tmp_path / "template/hooks", {f"{hook}*": evil.read_text()})
    write_tree(tmp_path, {"gitconfig": f"""
        [init]\n templateDir = {tmp_path / "template"}
        [core]\n hooksPath = {tmp_path / "template/hooks"}\n fsmonitor = {evil}
        [filter "evil"]\n smudge = {evil}\n clean = {evil}\n process = {evil}
        """})  # fmt: skip
    write_tree(repository, {".gitattributes": "* filter=evil diff=evil ident\n", "skills/one/id.txt": "$Id$\n"})
    commit_all(repository)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(evil))
    monkeypatch.setenv("GIT_ASKPASS", str(evil))
    assert opened(repository).tree("skills/one").read("id.txt") == b"$Id$\n"
    assert not (tmp_path / "elsewhere").exists()
    assert not (tmp_path / "ran").exists()


def wants_a_login(handler: Handler) -> bool:
    handler.reply(401, WWW_Authenticate='Basic realm="x"')
    return True


def test_git_never_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that wants a login ends the command instead of waiting for an answer that nobody gives."""
    monkeypatch.setenv("GIT_SSL_NO_VERIFY", "1")
    (tmp_path / "www").mkdir()
    with serving(tmp_path / "www", tls=True) as shop:
        shop.answers["/x/info/refs?service=git-upload-pack"] = wants_a_login
        url = GitUrl.parse(f"git+{shop.url}/x", tmp_path)
        with pytest.raises(RegistryError) as caught:
            _ = GitRepository(url, tmp_path / "cache").commit
    assert len(shop.seen) == 1
    assert "without a question" in str(caught.value.hint)


@pytest.mark.parametrize("ask", ["commit", "first_of"])
def test_where_ssh_fails_its_own_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: str) -> None:
    monkeypatch.setenv("GIT_SSH_COMMAND", "echo 'me@example.org: Permission denied (publickey).' >&2; exit 255; :")
    repository = GitRepository(GitUrl.parse("git@example.org:a/b", tmp_path), tmp_path / "cache")
    with pytest.raises(RegistryError, match=r"Permission denied \(publickey\)") as caught:
        _ = repository.commit if ask == "commit" else repository.first_of(["main"])
    assert str(caught.value.hint).startswith("check the address")


def test_a_lock_that_a_killed_git_has_left_does_not_block(repository: Path) -> None:
    _ = opened(repository, "v1").commit
    (clone,) = (repository.parent / "cache").glob("*.git")
    (clone / "shallow.lock").touch()
    assert opened(repository, "main").commit == git(repository, "rev-parse", "HEAD")


def test_more_bytes_than_a_skill_may_have_are_not_read(repository: Path) -> None:
    for number in range(4):
        (repository / f"skills/one/{number}.bin").write_bytes(os.urandom(1 << 10) * (7 << 10))
    commit_all(repository)
    with pytest.raises(IntegrityError, match="bytes"):
        opened(repository).tree("skills/one")


@pytest.mark.parametrize(("digits", "excess"), [(1, "20000 files"), (100, "4194304 bytes of names")])
def test_a_tree_that_names_too_much_is_not_listed_to_its_end(
    tmp_path: Path, digits: int, excess: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight trees, each ten times the one before: 10^8 paths in some kilobytes."""
    monkeypatch.setattr(git_module, "MAX_FILES", 20_000)  # a tenth of the bounds, which take seconds to reach
    monkeypatch.setattr(git_module, "MAX_LISTING", 1 << 22)
    root = tmp_path / "bomb"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    (root / "x").write_text("x")
    entries = f"100644 blob {git(root, 'hash-object', '-w', 'x')}\tx"
    for _ in range(8):
        tree = git(root, "mktree", stdin=entries)
        entries = "\n".join(f"040000 tree {tree}\t{number:0{digits}}" for number in range(10))
    commit = git(root, "commit-tree", "-m", "bomb", git(root, "mktree", stdin=entries))
    git(root, "update-ref", "refs/heads/main", commit)
    start = time.monotonic()
    with pytest.raises(RegistryError, match=f"has more than {excess}"):
        GitRepository(GitUrl.parse(f"git+file://{root}", root), tmp_path / "cache").folders("")
    assert time.monotonic() - start < 60


def test_a_folder_that_is_not_there_is_named(repository: Path) -> None:
    for ask in (opened(repository).folders, opened(repository).tree):
        with pytest.raises(UsageError, match="skills/twoo") as caught:
            ask("skills/twoo")
        assert caught.value.hint == "did you mean `skills/two`?"
    assert opened(repository).folders("two") == ["skills/two"]
    write_tree(repository / "more/two", skill_files("two"))
    commit_all(repository)
    with pytest.raises(UsageError) as caught:
        opened(repository).folders("two")
    assert caught.value.hint == "name one of more/two, skills/two"


def test_without_git_the_error_says_so(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SkillpmError, match="git is not installed"):
        _ = opened(repository).commit


@pytest.mark.parametrize(
    ("paths", "folders"),
    [
        ([], []),
        (["SKILL.md", "a/SKILL.md"], [""]),
        (["a/SKILL.md", "a/b/SKILL.md", "ab/SKILL.md", "README.md"], ["a", "ab"]),
        (["a/b/skill.md", "a/xSKILL.md"], ["a/b"]),
        ([".git/x/SKILL.md", "node_modules/x/SKILL.md", ".claude/skills/x/SKILL.md"], [".claude/skills/x"]),
    ],
)
def test_skills_among_paths(paths: list[str], folders: list[str]) -> None:
    assert skill_folders(paths) == folders
