"""One function decides what belongs to a skill in a working folder, and git agrees with it about .gitignore."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from skillpm.layout.source_tree import SourceTree
from skillpm.layout.tree import FolderTree, MappingTree, tree_digest

KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n"
SECRETS = [".env", ".env.local", ".env.production", "a/.env", ".envrc", "id_rsa", "keys/id_ed25519", "cert.p12",
           "x.pfx", ".netrc", ".npmrc", ".pypirc", ".ssh/config", ".aws/credentials", ".gnupg/x",
           ".kube/config", "a/kubeconfig", ".docker/config.json", "main.tfstate", "id_rsa.bak", "AuthKey.p8",
           "vpn.ovpn", "rclone.conf", "config/master.key", ".my.cnf", "sub/.azure/tokens", ".bash_history",
           ".vault-token", ".SSH/x", "deploy_id_rsa", "ssh_host_rsa_key", "secring.gpg", "client_secret_1.json",
           "credentials.json",
           "gcp-service-account.json", "x-firebase-adminsdk-1.json", ".vault_pass", "known_hosts", ".viminfo",
           ".node_repl_history", ".aider.chat.history.md", "prod.env", ".flaskenv", ".streamlit/secrets.toml",
           "token.json", ".config/fish/fish_history",
           "id_rsa_deploy", "terraform.tfvars", "prod.auto.tfvars", "gha-creds-1.json", ".gem/credentials",
           "a/application_default_credentials.json"]  # fmt: skip
EDITORS = [".zed/x", ".windsurf/x", "~$report.docx", ".~lock.x.odt#",
           ".idea/w.xml", ".vscode/s.json", ".SKILL.md.swp", "SKILL.md~", "#x#", ".#x", "a/.vs/x", "x.orig", "x.bak",
           "x.sublime-workspace", ".history/x"]  # fmt: skip
CACHES = ["node_modules/a/b.js", "a/node_modules/x", ".tox/x", ".ipynb_checkpoints/x", "__pycache__/x.pyc",
          ".next/x", ".turbo/x", ".yarn/cache/x", "bower_components/x", "mine.egg-info/x", "npm-debug.log", "core.1234",
          ".Trashes/x", "$RECYCLE.BIN/x", ".nfs0a1", "__MACOSX/x", ".direnv/x", "_darcs/x",
          ".git/config", ".DS_Store", "Thumbs.db", "env/pyvenv.cfg", "env/bin/python",
          ".Hg/x", "a/.SVN/x", "X.PYC", "a/__PyCache__/x", ".ds_store", ".VSCode/x", "Node_Modules/x",
          "CVS/Root"]  # fmt: skip
OURS = [".agents/skills/x/SKILL.md", ".claude/skills/x/SKILL.md", ".cursor/skills/x/SKILL.md",
        ".skillpm/installed.json", "skillpm.lock", "skillpm.yaml", "skillpm.blind.json", "runs/1/manifest.json",
        "mine-0.1.0.tar.gz", "dist/mine-1.0.tar.gz", "rows/train.jsonl", "rows/held_out.jsonl", "rows/profile.json",
        ".skillpmignore", "candidates/1/x", ".codex/auth.json", ".gemini/x", "mine.zip", "mine.skill"]  # fmt: skip
PACKED = [".env.example", "example.env", "prod.sample.env", "id_rsa_guide.md", "variables.tfvars", "order_history",
          "assets/fish.history", ".gitignore", "SKILL.md", "assets/.claude/settings.json", "assets/runs/x", "cert.pub",
          "data/a.csv", "cvs/ana.md", "docs/kubeconfig.md", "make_an_id_rsa.md", "history.md", "id_rsa.pub",
          "other-1.0.tar.gz",
          "scripts/environment.py", "scripts/core", "assets/.codex/x", "a/other.zip", "a/mine.zip", "seeds/a.jsonl",
          "skill.yaml"]  # fmt: skip


def write(root: Path, *paths: str) -> Path:
    for path in paths:
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("x" if not path.startswith((".skillpmignore", ".gitignore")) else "")
    return root


@pytest.mark.parametrize("clutter", [SECRETS, EDITORS, CACHES, OURS], ids=["secrets", "editors", "caches", "ours"])
def test_what_a_working_folder_collects_is_no_part_of_the_skill(tmp_path: Path, clutter: list[str]) -> None:
    root = write(tmp_path / "mine", *PACKED, *clutter)
    tree = SourceTree(root)
    assert tree.paths() == sorted(PACKED)
    assert all(tree.leaves_out(path) for path in clutter)
    assert not any(tree.leaves_out(path) for path in PACKED)


def test_a_clean_folder_has_the_digest_of_all_its_files(tmp_path: Path) -> None:
    root = write(tmp_path / "mine", *PACKED)
    assert tree_digest(SourceTree(root)) == tree_digest(FolderTree(root))


def test_a_pem_file_is_left_out_if_it_holds_a_private_key(tmp_path: Path) -> None:
    root = write(tmp_path / "mine", "SKILL.md")
    (root / "private.pem").write_text(KEY)
    (root / "SERVER.KEY").write_text(KEY)
    (root / "public.pem").write_text(KEY.replace("PRIVATE", "PUBLIC"))
    assert SourceTree(root).paths() == ["SKILL.md", "public.pem"]


def test_gitignore_and_skillpmignore_are_honoured_in_every_folder(tmp_path: Path) -> None:
    root = write(
        tmp_path / "mine", "SKILL.md", "a.log", "sub/a.log", "sub/keep.log", "sub/x.tmp", "notes.txt", "drafts/x"
    )
    (root / ".gitignore").write_text("*.log\n/notes.txt\n")
    (root / "sub/.gitignore").write_text("!keep.log\n*.tmp\n")
    (root / ".skillpmignore").write_text("drafts/\n!/notes.txt\n")
    assert SourceTree(root).paths() == [".gitignore", "SKILL.md", "notes.txt", "sub/.gitignore", "sub/keep.log"]
    assert SourceTree(root).uncounted() == [".skillpmignore", "a.log", "drafts", "sub/a.log", "sub/x.tmp"]


def test_skillpmignore_brings_back_what_is_left_out_by_itself(tmp_path: Path) -> None:
    root = write(tmp_path / "mine", "SKILL.md", ".vscode/settings.json", ".env", ".git/config")
    (root / ".skillpmignore").write_text("!.vscode/\n!.git/\n")
    assert SourceTree(root).paths() == [".vscode/settings.json", "SKILL.md"]


def test_skill_md_and_skill_yaml_are_never_left_out(tmp_path: Path) -> None:
    root = write(tmp_path / "mine", "SKILL.md", "skill.yaml", "sub/skill.yaml")
    (root / ".skillpmignore").write_text("*\n")
    assert SourceTree(root).paths() == ["SKILL.md", "skill.yaml"]


def test_a_repository_s_gitignore_holds_for_skills_in_it_and_not_for_an_ignored_skill(tmp_path: Path) -> None:
    write(tmp_path, ".git/HEAD", "skills/mine/SKILL.md", "skills/mine/a.log", "out/mine/SKILL.md", "out/mine/a.log")
    (tmp_path / ".gitignore").write_text("*.log\nout/\n/skills/mine/x\n")
    write(tmp_path / "skills/mine", "x", "sub/x")
    assert SourceTree(tmp_path / "skills/mine").paths() == ["SKILL.md", "sub/x"]
    assert SourceTree(tmp_path / "out/mine").paths() == ["SKILL.md", "a.log"]


@pytest.mark.parametrize("text", [b"*a*a*a*a*a*b\n", b"x" * (1 << 19), b"a/" * 30 + b"\n"])
def test_patterns_that_cannot_be_read_keep_a_skill_from_being_packed(tmp_path: Path, text: bytes) -> None:
    root = write(tmp_path / "mine", "SKILL.md")
    (root / ".gitignore").write_bytes(text)
    assert SourceTree(root).irregular() == {".gitignore": "list of patterns that cannot be read"}


# git compares bytes, so that `?` is half of a letter such as é there
NAMES = st.sampled_from(["a", "b", "ab", "a.b", "b.a", "a b"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
PARTS = st.sampled_from(["a", "b", "*", "a*", "*.b", "?", "[ab]", "**", "!", "/", "a/", "\\*", "a b", " ", "#"])
LINES = st.lists(st.lists(PARTS, min_size=1, max_size=4).map("".join), max_size=4).map("\n".join)


@settings(max_examples=120, deadline=None)
@example({"a/b"}, "", "a\n!/")
@example({"a", "b/a"}, "", "***/a")
@example({"a", "b"}, "", "**\n!a")
@given(st.sets(PATHS, min_size=1, max_size=6), LINES, LINES)
def test_git_leaves_out_the_same_files(
    tmp_path_factory: pytest.TempPathFactory, paths: set[str], above: str, below: str
) -> None:
    root = tmp_path_factory.mktemp("repository")
    for path in sorted(paths):
        place = root / "s" / path
        if not any((root / "s" / parent).is_file() for parent in Path(path).parents) and not place.is_dir():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text("")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    (root / ".gitignore").write_text(above)
    (root / "s/.gitignore").write_text(below)
    hidden = ["--exclude-per-directory=.gitignore", "-z", "--others", "s"]
    listed = subprocess.run(["git", "ls-files", *hidden], cwd=root, check=True, capture_output=True).stdout
    expected = [os.fsdecode(path)[2:] for path in listed.split(b"\0") if path]
    if not expected:
        return  # the whole folder may be left out, and then the patterns above do not hold
    assert SourceTree(root / "s").paths() == sorted(expected)


def test_a_link_to_a_file_of_the_tree_is_that_file_once_more(tmp_path: Path) -> None:
    root = tmp_path / "skill"
    write(root, "SKILL.md", "AGENTS.md", "scripts/run")
    (root / "scripts/run").chmod(0o755)
    (root / "CLAUDE.md").symlink_to("AGENTS.md")
    (root / "scripts/again").symlink_to("run")
    (root / "references").mkdir()
    (root / "references/rules.md").symlink_to("../AGENTS.md")
    tree = SourceTree(root)
    assert (tree.irregular(), tree.read("CLAUDE.md"), tree.executable("scripts/again")) == ({}, b"x", True)
    plain = {"SKILL.md": b"x", "references/rules.md": b"x", "scripts/run": b"x", "scripts/again": b"x"}
    copied = MappingTree({**plain, "AGENTS.md": b"x", "CLAUDE.md": b"x"}, {"scripts/run", "scripts/again"})
    assert tree_digest(tree) == tree_digest(copied)


def test_a_link_to_another_link_or_out_of_the_tree_is_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "skill"
    write(tmp_path, "skill/SKILL.md", "skill/a", "secret")
    links = {"b": "a", "c": "b", "out": "../secret", "back": "../skill/a", "whole": str(root / "a"), "self": "self"}
    for name, target in links.items():
        (root / name).symlink_to(target)
    tree = SourceTree(root)
    assert (tree.paths(), set(tree.irregular())) == (["SKILL.md", "a", "b"], links.keys() - {"b"})


@pytest.mark.parametrize("name", [".DS_Store", "a.pyc", ".gitignore", ".skillpmignore", "folder/.skillpmignore"])
def test_a_link_is_no_file_where_a_file_is_left_out_or_has_patterns(tmp_path: Path, name: str) -> None:
    write(tmp_path, "SKILL.md", "patterns", "folder/file")
    (tmp_path / name).symlink_to("../patterns" if "/" in name else "patterns")
    tree = SourceTree(tmp_path)
    assert (tree.paths(), list(tree.irregular())) == (["SKILL.md", "folder/file", "patterns"], [name])
