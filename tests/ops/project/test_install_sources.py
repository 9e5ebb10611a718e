"""Installs from servers, sites, repositories and archives: all of what was asked, or everything as it was."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shlex
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from skillpm.clients.table import UNIVERSAL
from skillpm.formats.strict_yaml import read_yaml
from skillpm.index.well_known import SCHEMA
from skillpm.layout.tree import FolderTree, tree_digest
from skillpm.storage.archive import build_archive
from skillpm.storage.store import folder_digest
from tests.conftest import Project, write_tree
from tests.servers import Shop, answering, commit_all, git, serving
from tests.shop import MakeProject, publish, skill_files, snapshot, tree


@pytest.fixture(scope="module")
def goods(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry: base 1.0, 1.1 and 2.0; top needs base<2; many-00 to many-19 need base."""
    releases = [skill_files("base", version) for version in ("1.0", "1.1", "2.0")]
    releases += [skill_files("top", requires={"base": ">=1,<2"})]
    releases += [skill_files(f"many-{number:02d}", requires={"base": ""}) for number in range(20)]
    return publish(tmp_path_factory.mktemp("goods") / "www", *releases)


@pytest.fixture
def site(tmp_path: Path, goods: Path) -> Iterator[Shop]:
    """The registry ``goods`` behind a server, for one test."""
    with serving(Path(shutil.copytree(goods, tmp_path / "www"))) as shop:
        yield shop


def locked(place: Project) -> dict[str, dict[str, Any]]:
    return {item["name"]: item for item in json.loads((place.root / "skillpm.lock").read_text())["skills"]}


def restore(place: Project, other: Project) -> None:
    """Install by the lock of another project, with an empty store."""
    other.write({"skillpm.lock": (place.root / "skillpm.lock").read_bytes()})
    other.call("install", SKILLPM_HOME=str(other.root / "home")).ok()


def archive_of(site: Shop, name: str) -> str:
    digest = json.loads((site.root / f"skills/{name}.json").read_text())["releases"][-1]["archive"]
    return f"/archives/{digest[:2]}/{digest[2:]}.tar.gz"


def test_a_registry_behind_http_installs_locks_and_restores(project: MakeProject, site: Shop) -> None:
    place, other = project(), project()
    names = [f"many-{number:02d}" for number in range(20)]
    place.call("install", "top", *names, "--registry", f"{site.url}/").ok()
    lock = locked(place)
    assert {item["source"] for item in lock.values()} == {f"registry:{site.url}"}
    assert lock["base"]["version"] == "1.1"
    for name, item in lock.items():
        assert folder_digest(place.root / UNIVERSAL / name) == item["tree"]
    assert all(site.asked(path) == 1 for path, _ in site.seen), "everything is asked for once"
    restore(place, other)
    assert snapshot(other.root / UNIVERSAL) == snapshot(place.root / UNIVERSAL)


def test_pages_are_asked_for_again_only_by_their_etag(project: MakeProject, site: Shop) -> None:
    project().call("install", "top", "--registry", site.url).ok()
    before = len(site.seen)
    project().call("install", "top", "--registry", site.url).ok()
    again = site.seen[before:]
    assert sorted(path for path, _ in again) == ["/config.json", "/skills/base.json", "/skills/top.json"]
    assert all("If-None-Match" in headers for _, headers in again)


def test_offline_the_cache_and_the_store_are_enough_or_it_says_what_is_missing(
    project: MakeProject, site: Shop
) -> None:
    place, other = project(), project()
    place.call("install", "top", "--registry", site.url).ok()
    before = len(site.seen)
    other.call("install", "top", "--registry", site.url, "--offline").ok()
    assert locked(other) == locked(place)
    other.call("install", "many-00", "--registry", site.url, "--offline").fails(5, "many-00.json", "--offline")
    other.call("install", "many-00", "--registry", site.url, SKILLPM_OFFLINE="1").fails(5, "--offline")
    assert len(site.seen) == before


def test_a_server_that_is_gone_does_not_matter_for_what_is_locked_and_stored(project: MakeProject, site: Shop) -> None:
    place, other = project(), project()
    place.call("install", "top", "--registry", site.url).ok()
    site.shutdown()
    site.server_close()
    other.write({"skillpm.lock": (place.root / "skillpm.lock").read_bytes()})
    other.call("install").ok()
    place.call("install", "--dry-run").ok()


def edited(site: Shop, name: str, **changes: Any) -> None:
    path = site.root / f"skills/{name}.json"
    page = json.loads(path.read_text())
    page["releases"][0] |= changes
    path.write_text(json.dumps(page))


ATTACKS: dict[str, tuple[Callable[[Shop], Any], int, str]] = {
    "an archive that was changed": (lambda site: changed(site, b"?"), 4, "expected"),
    "a login page for an archive": (lambda site: answers(site, answering(200, b"<html>Log in")), 5, "is a web page"),
    "a cut archive": (
        lambda site: answers(site, lambda h: h.reply(200, b"x", length=100) or True),
        5,
        "cannot be used",
    ),
    "an archive that never ends": (lambda site: answers(site, answering(200, b"x" * 99_999)), 4, "is too long"),
    "an archive of more than any skill has": (lambda site: edited(site, "many-00", size=1 << 40), 5, "allowed"),
    "no archive": (lambda site: answers(site, answering(404)), 5, "404"),
    "a refused archive": (lambda site: answers(site, answering(403)), 5, "SKILLPM_TOKEN_127_0_0_1"),
    "an archive from nowhere": (lambda site: answers(site, answering(302, Location="ftp://x/y")), 5, "leads to"),
    "a lie about the tree": (lambda site: edited(site, "many-00", tree="0" * 64), 4, "content of many-00"),
    "a lie about requirements": (lambda site: edited(site, "many-00", requires={}), 4, "claims requirements none"),
    "the page of another name": (lambda site: page(site, (site.root / "skills/top.json").read_bytes()), 5, "`top`"),
    "a page that is a login page": (lambda site: page(site, b"<html>Log in</html>"), 5, "HTML"),
    "a page that is not JSON": (lambda site: page(site, b"\xff\x00"), 5, "many-00.json"),
    "a page nested too deeply": (lambda site: page(site, b"[" * 100_000), 5, "many-00.json"),
    "a page without releases": (lambda site: page(site, b'{"name": "many-00", "x": 1}'), 3, "has no release"),
    "a registry of the future": (lambda site: (site.root / "config.json").write_text('{"registry": 2}'), 5, "config"),
    "no registry": (lambda site: (site.root / "config.json").unlink(), 5, "is not a registry"),
    "a busy registry": (lambda site: page(site, answering(503, Retry_After="9999")), 5, "9999 seconds"),
}


def answers(site: Shop, answer: Any) -> None:
    site.answers[archive_of(site, "many-00")] = answer


def page(site: Shop, content: Any) -> None:
    site.answers["/skills/many-00.json"] = content if callable(content) else answering(200, content)


def changed(site: Shop, byte: bytes) -> None:
    path = site.root / archive_of(site, "many-00").lstrip("/")
    path.write_bytes(path.read_bytes()[:30] + byte + path.read_bytes()[31:])


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_registry_that_lies_or_fails_changes_nothing(
    project: MakeProject, site: Shop, tmp_path: Path, attack: str
) -> None:
    place = project()
    place.call("install", "top", "--registry", site.url).ok()
    before, stored = snapshot(place.root), snapshot(tmp_path / "home/skillpm/data/store/tree-v1")
    do, code, words = ATTACKS[attack]
    do(site)
    outcome = place.call("install", "many-00", "--registry", site.url, "--json").fails(code, words, "hint")
    assert outcome.document["exit_code"] == code
    assert snapshot(place.root) == before
    assert snapshot(tmp_path / "home/skillpm/data/store/tree-v1") == stored


def test_one_bad_skill_among_many_leaves_the_project_as_it_was(project: MakeProject, site: Shop) -> None:
    place = project()
    changed(site, b"?")
    names = [f"many-{number:02d}" for number in range(20)]
    place.call("install", *names, "--registry", site.url).fails(4, "many-00")
    assert not snapshot(place.root)


def test_the_first_registry_that_knows_a_name_answers_alone_also_over_http(
    project: MakeProject, site: Shop, tmp_path: Path
) -> None:
    publish(tmp_path / "public", skill_files("top", "9.9"), skill_files("base", "9.9"))
    place = project()
    place.call("install", "top", "--registry", site.url, "--registry", tmp_path / "public").ok()
    assert locked(place)["top"]["version"] == "1.0"


def offer(name: str, data: bytes, *, kind: str = "archive", **changes: Any) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return {"name": name, "type": kind, "url": f"{name}.bin", "description": "x", "digest": digest, **changes}


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[tuple[Shop, Callable[..., None]]]:
    """A site that offers skills, and what sets its index."""
    folder = tmp_path / "www/.well-known/agent-skills"
    write_tree(
        folder, {"note.bin": skill_files("note")["SKILL.md"], "pack.bin": build_archive(tree(skill_files("pack")))}
    )

    def offers(*skills: dict[str, Any], schema: str = SCHEMA) -> None:
        (folder / "index.json").write_text(json.dumps({"$schema": schema, "skills": skills, "later": 1}))

    with serving(tmp_path / "www") as shop:
        offers(
            offer("note", (folder / "note.bin").read_bytes(), kind="skill-md", extra=[1]),
            offer("pack", (folder / "pack.bin").read_bytes()),
        )
        yield shop, offers


def test_a_site_with_a_well_known_index_is_a_source_and_a_registry(project: MakeProject, shelf: Any) -> None:
    shop, _ = shelf
    address = f"{shop.url}/.well-known/agent-skills/index.json"
    place, other = project(), project()
    place.call("install", address).fails(2, "note, pack", "--skill note", "--all")
    place.call("install", address, "--skill", "note").ok()
    assert (place.root / UNIVERSAL / "note/SKILL.md").is_file()
    other.call("install", "pack", "--registry", f"{shop.url}/.well-known/agent-skills").ok()
    assert locked(other)["pack"]["source"] == f"well-known:{address}"
    place.call("install", address, "--all").ok()
    assert set(locked(place)) == {"note", "pack"}
    restore(place, other)
    assert snapshot(other.root / UNIVERSAL) == snapshot(place.root / UNIVERSAL)


def test_a_site_that_offers_something_else_now_cannot_restore_a_lock(project: MakeProject, shelf: Any) -> None:
    shop, offers = shelf
    place = project()
    place.call("install", f"{shop.url}/.well-known/agent-skills", "--skill", "note").ok()
    new = skill_files("note", body="changed\n")["SKILL.md"].encode()
    (shop.root / ".well-known/agent-skills/note.bin").write_bytes(new)
    offers(offer("note", new, kind="skill-md"))
    place.call("install", SKILLPM_HOME=str(place.root / "home")).fails(7, "no longer has note")


@pytest.mark.parametrize(
    ("skills", "code", "words"),
    [
        ([{"digest": f"sha256:{'0' * 64}"}], 4, "sha256"),
        ([{"digest": "md5:0"}], 5, "digest"),
        ([{"name": "../note"}], 5, "name"),
        ([{"name": "other"}], 5, "with the name `note`"),
        ([{"type": "script"}], 5, "type"),
        ([{"url": "file:///etc/passwd"}], 5, "leads to"),
        ([{"type": "archive"}], 4, "neither a zip nor a tar"),
        ([{}, {}], 5, "twice"),
        ([], 2, "no registry knows"),
    ],
)
def test_an_index_of_a_site_that_lies_changes_nothing(
    project: MakeProject, shelf: Any, skills: list[dict[str, Any]], code: int, words: str
) -> None:
    shop, offers = shelf
    data = (shop.root / ".well-known/agent-skills/note.bin").read_bytes()
    offers(*[{**offer("note", data, kind="skill-md"), "url": "note.bin", **changes} for changes in skills])
    place, name = project(), next((item["name"] for item in skills if "name" in item), "note")
    name = "note" if "/" in name else name
    place.call("install", name, "--registry", f"{shop.url}/.well-known/agent-skills").fails(code, words)
    assert not snapshot(place.root)


def test_an_index_of_another_schema_is_refused_by_name(project: MakeProject, shelf: Any) -> None:
    shop, offers = shelf
    offers(schema="https://schemas.agentskills.io/discovery/9.0/schema.json")
    project().call("install", "note", "--registry", f"{shop.url}/.well-known/agent-skills").fails(5, "$schema", SCHEMA)


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """A plain repository of skills without skill.yaml, one of them broken."""
    root = tmp_path / "collection"
    for name in ("alpha", "beta", "gamma"):
        write_tree(
            root / f"skills/{name}", {"SKILL.md": skill_files(name)["SKILL.md"], "scripts": {"x.sh*": "#!/bin/sh"}}
        )
    write_tree(root, {"skills/broken/SKILL.md": "---\nname: Broken Name\n---\n", "README.md": "Skills.\n"})
    commit_all(root)
    return root


@pytest.mark.parametrize("kind", ["git", "folder"])
def test_of_many_skills_some_or_all_are_installed(project: MakeProject, collection: Path, kind: str) -> None:
    source = f"git+file:{collection}" if kind == "git" else f"{collection}/"
    place = project()
    place.call("install", source).fails(2, "3 skills: alpha, beta, gamma", "--skill alpha", "--all")
    place.call("install", source, "--skill", "alhpa").fails(2, "no skill `alhpa`", "`alpha`")
    place.call("install", source, "--skill", "nothing-alike").fails(2, "it has alpha, beta, gamma", "skills/broken")
    assert not snapshot(place.root)
    place.call("install", source, "--skill", "alpha", "--skill", "gamma").ok()
    assert set(locked(place)) == {"alpha", "gamma"}
    place.call("install", source, "--all").fails(1, "left out: ", "skills/broken", "SK210")
    place.call("install", source, "--all", "--best-effort").ok()
    assert set(locked(place)) == {"alpha", "beta", "gamma"}
    assert {item["version"] for item in locked(place).values()} == {"0"}
    for name, item in locked(place).items():
        assert item["tree"] == tree_digest(FolderTree(collection / "skills" / name))
        assert folder_digest(place.root / UNIVERSAL / name) == item["tree"]


def test_a_name_that_stands_twice_is_never_guessed(project: MakeProject, collection: Path) -> None:
    for folder in ("alpha-b", "alpha-c"):
        write_tree(collection / "skills" / folder, skill_files("same", body=f"{folder}\n"))
    place = project()
    place.call("install", f"{collection}/", "--skill", "same").fails(2, "alpha-b/same, alpha-c/same")
    place.call("install", f"{collection}/", "--skill", "alpha-c/same").ok()
    assert locked(place)["alpha-c/same"]["source"].endswith("skills/alpha-c")
    place.call("install", f"{collection}/skills/alpha-b", f"{collection}/skills/alpha-c").fails(2, "two skills called")


def test_git_sources_are_locked_by_commit_and_restored_by_it(project: MakeProject, collection: Path) -> None:
    git(collection, "tag", "v1")
    commit = git(collection, "rev-parse", "HEAD")
    place, other = project(), project()
    place.call("install", f"git+file:{collection}@v1#subdirectory=skills/alpha").ok()
    assert locked(place)["alpha"]["source"] == f"git+file:../collection@{commit}#subdirectory=skills/alpha"
    write_tree(collection / "skills/alpha", {"SKILL.md": "---\nname: alpha\ndescription: Changed.\n---\nx\n"})
    commit_all(collection)
    git(collection, "tag", "--force", "v1")
    restore(place, other)
    assert snapshot(other.root / UNIVERSAL) == snapshot(place.root / UNIVERSAL)
    done = place.call("install", f"git+file:{collection}@v1#subdirectory=skills/alpha", "--json").ok().document
    assert [item["change"] for item in done["skills"]] == ["replaced"]


def test_a_new_project_file_names_repositories_and_archives(project: MakeProject, collection: Path) -> None:
    git(collection, "tag", "v1")
    place = project()
    place.write({"mine.tar.gz": build_archive(tree(skill_files("mine")))})
    place.call("install", "./mine.tar.gz", f"git+file:{collection}@v1#subdirectory=skills/alpha").ok()
    before = locked(place)
    place.call("init").ok()
    assert read_yaml((place.root / "skillpm.yaml").read_text())["requires"] == {
        "alpha": {"git": "file:../collection", "ref": "v1", "subdirectory": "skills/alpha"},
        "mine": {"archive": "./mine.tar.gz"},
    }
    (place.root / "skillpm.lock").unlink()
    place.call("sync").ok()
    assert locked(place) == before, "the file alone gives the same skills"


def test_a_repository_that_holds_a_link_is_refused_whole(project: MakeProject, collection: Path) -> None:
    (collection / "skills/beta/passwd").symlink_to("/etc/passwd")
    commit_all(collection)
    place = project()
    place.call("install", f"git+file:{collection}#subdirectory=skills/beta").fails(4, "passwd")
    assert not snapshot(place.root)


def test_a_lock_with_a_hostile_source_is_refused(project: MakeProject, site: Shop) -> None:
    place = project()
    place.call("install", "top", "--registry", site.url).ok()
    good = (place.root / "skillpm.lock").read_text()
    for source in (
        "git+ext::sh -c id@" + "0" * 40,
        "git+file:../x@--upload-pack=id",
        "oci://x",
        "registry:https://a@b/c",
    ):
        place.write({"skillpm.lock": good.replace(f"registry:{site.url}", source)})
        outcome = place.call("install", SKILLPM_HOME=str(place.root / "home"))
        assert outcome.code in (2, 5), outcome
        assert "Traceback" not in outcome.err


def test_an_archive_file_is_installed_and_restored(project: MakeProject) -> None:
    place, other = project(), project()
    data = build_archive(tree(skill_files("mine", "1.2")))
    place.write({"mine-1.2.tar.gz": data})
    other.write({"mine-1.2.tar.gz": data})
    place.call("install", "mine-1.2.tar.gz").ok()
    entry = locked(place)["mine"]
    assert (entry["source"], entry["archive"]) == ("archive:mine-1.2.tar.gz", hashlib.sha256(data).hexdigest())
    restore(place, other)
    other.write({"mine-1.2.tar.gz": build_archive(tree(skill_files("mine", "1.2", body="changed\n")))})
    other.call("install", SKILLPM_HOME=str(other.root / "fresh")).fails(7, "no longer has")


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "not gzip"), (b"PK\x03\x04", "not gzip"), (b"\x1f\x8b\x08\x00", "cut off"), (None, "cut off")],
)
def test_a_damaged_archive_file_is_refused(project: MakeProject, data: bytes | None, words: str) -> None:
    whole = build_archive(tree(skill_files("mine")))
    place = project({"mine.tar.gz": whole[:-20] if data is None else data})
    place.call("install", "./mine.tar.gz").fails(4, words)
    assert not (place.root / "skillpm.lock").exists()


@pytest.mark.parametrize("remote", [False, True])
def test_a_damaged_release_is_named_and_the_hint_takes_another(project: MakeProject, site: Shop, remote: bool) -> None:
    place = project()
    place.call("install", "many-00", "many-01", "--registry", site.url if remote else site.root).ok()
    publish(site.root, *(skill_files(f"many-0{number}", "1.1", requires={"base": ""}) for number in range(2)))
    path = site.root / archive_of(site, "many-00").lstrip("/")
    before = snapshot(place.root)
    whole = path.read_bytes()
    path.write_bytes(whole + b"x")
    failed = place.call("update").fails(4, "many-00 1.1", "is too long")
    assert snapshot(place.root) == before
    (typed,) = re.findall("`skillpm (install .*)`", failed.err)
    place.call(*shlex.split(typed)).ok()
    place.call("update").ok()
    assert {name: locked(place)[name]["version"] for name in ("many-00", "many-01")} == {
        "many-00": "1.0",
        "many-01": "1.1",
    }


def test_a_damaged_archive_stops_no_update_of_another_skill(project: MakeProject, tmp_path: Path) -> None:
    whole = build_archive(tree(skill_files("mine")))
    place = project({"mine.tar.gz": whole})
    shop = publish(tmp_path / "shop", skill_files("other"))
    place.call("install", "other", "./mine.tar.gz", "--registry", shop).ok()
    place.write({"mine.tar.gz": bytes(whole) + b"x"})
    publish(shop, skill_files("other", "1.1"))
    done = place.call("update").ok()
    assert "mine 1.0 stays as it is locked" in done.err and "has bytes after its end; do not use" in done.err
    assert {name: item["version"] for name, item in locked(place).items()} == {"mine": "1.0", "other": "1.1"}


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
@pytest.mark.parametrize(("edit", "words"), [(b"x", "has bytes after its end"), (None, "is cut off")])
def test_an_archive_of_another_program_that_is_too_long_is_not_called_cut_off(
    project: MakeProject, tmp_path: Path, kind: str, edit: bytes | None, words: str
) -> None:
    files = {path: text.encode() for path, text in skill_files("mine").items()}
    path = tmp_path / f"mine.tar.{kind}".replace("tar.gz", "tgz")
    packed(path, files, kind)
    path.write_bytes(path.read_bytes() + edit if edit else path.read_bytes()[:-9])
    project().call("install", path).fails(4, words)


def packed(path: Path, files: dict[str, bytes], kind: str) -> None:
    """Pack files as another program does."""
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return
    opened: Any = tarfile.open  # its types know the modes one by one
    with opened(path, f"w:{kind}") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


@pytest.mark.parametrize(
    ("name", "kind", "base"),
    [
        ("repo.zip", "zip", "repo-main/skills/mine/"),  # as a forge packs a repository
        ("old.zip", "zip", "mine\\"),  # as old programs of Windows do
        ("mine.tar.xz", "xz", "./"),
        ("mine.tar.bz2", "bz2", "./mine/"),
        ("mine.tgz", "gz", "./mine/"),
    ],
)
def test_an_archive_of_another_program_is_installed(project: MakeProject, name: str, kind: str, base: str) -> None:
    own = {path: text.encode() for path, text in skill_files("mine").items()}
    files = {f"{base}{path}": data for path, data in own.items()}
    if base.count("/") > 2:
        files["repo-main/README.md"] = b"of the repository\n"
    place = project({})
    packed(place.root / name, files, kind)
    place.call("install", f"./{name}").ok()
    folder = place.root / UNIVERSAL / "mine"
    assert {path: (folder / path).read_bytes() for path in FolderTree(folder).paths()} == own
    place.call("sync", "--frozen").ok()


def test_an_archive_that_is_not_taken_names_the_way(project: MakeProject) -> None:
    place, text = project({}), skill_files("mine")["SKILL.md"].encode()
    packed(place.root / "mine.tar.gz", {"./SKILL.md": text}, "gz")
    place.call("install", "./mine.tar.gz").fails(4, "mine.tar.gz: ", "rename it to mine.tgz")
    (place.root / "mine.tar.gz").rename(place.root / "mine.tgz")
    place.call("install", "./mine.tgz").ok()
    place.call("install", "./none.zip").fails(2, "there is no none.zip")
    packed(place.root / "empty.zip", {}, "zip")
    place.call("install", "./empty.zip", "--all").fails(1, "no SKILL.md")


SEVERAL = {
    "tar czf": ("many.tar.gz", "gz", ""),
    "a repository's": ("many.tgz", "gz", "repo-main/"),
    "zip": ("many.zip", "zip", ""),
}


@pytest.mark.parametrize("case", SEVERAL)
def test_several_skills_of_one_archive_are_installed_and_required_again(project: MakeProject, case: str) -> None:
    name, kind, top = SEVERAL[case]
    place = project({})
    files = {
        f"{top}skills/{skill}/{path}": text.encode() for skill in "ab" for path, text in skill_files(skill).items()
    }
    packed(place.root / name, {f"{top}README.md": b"of the repository\n", **files}, kind)
    place.call("install", f"./{name}").fails(
        2, f"{name} has 2 skills: a, b", f"--skill a`, or `skillpm install ./{name} --all"
    )
    place.call("install", f"./{name}", "--skill", "b").ok()
    assert not (place.root / UNIVERSAL / "a").exists()
    place.call("install", f"./{name}", "--all").ok()
    sources = [entry["source"] for entry in json.loads((place.root / "skillpm.lock").read_text())["skills"]]
    assert sources == [f"archive:{name}#subdirectory=skills/{skill}" for skill in "ab"]
    place.call("init").ok()
    place.call("lock", "--check").ok()
    (place.root / "skillpm.lock").unlink()
    assert place.call("sync", "--json").ok().document["skills"][0]["source"] == sources[0]
    assert "2 skills scanned" in place.call("scan", f"./{name}").ok().err


@pytest.mark.parametrize(
    ("folder", "outcome"),
    [
        ("skills/a", "a"),
        ("a", "a"),
        ("repo-main/skills/a", "a"),
        ("skills/A", "did you mean `skills/a`"),
        ("docs", "no SKILL.md"),
        ("none", "it has skills/a, skills/b"),
        ("..", "it has skills/a, skills/b"),
    ],
)
def test_a_folder_of_an_archive_is_named_as_one_of_a_repository(
    project: MakeProject, folder: str, outcome: str
) -> None:
    place = project({})
    files = {
        f"repo-main/skills/{skill}/{path}": text.encode() for skill in "ab" for path, text in skill_files(skill).items()
    }
    packed(place.root / "many.zip", {"repo-main/docs/x.md": b"x\n", **files}, "zip")
    done = place.call("install", f"./many.zip#subdirectory={folder}")
    assert (outcome == "a") == (done.code == 0)
    if done.code:
        assert outcome in done.err
    else:
        assert (place.root / UNIVERSAL / "a/SKILL.md").is_file()


def test_a_skill_is_named_by_its_folder_its_skill_file_or_an_archive(project: MakeProject) -> None:
    place = project({"one": skill_files("one", "1.0"), "notes.txt": "hello\n"})
    for command in (["show"], ["validate"], ["scan"], ["version"], ["version", "bump", "minor"], ["pack"], ["install"]):
        place.call(*command, "./one/SKILL.md").ok()
    assert locked(place)["one"]["source"] == "path:one"
    place.call("install", "./notes.txt").fails(2, "notes.txt is neither a folder nor an archive (.tar.gz, ")


def test_a_branch_is_followed_by_update_alone_and_for_what_is_named(project: MakeProject, tmp_path: Path) -> None:
    """A project file names the branch, the lock its commit."""
    for name in ("one", "two"):
        write_tree(
            tmp_path / f"repo/{name}", {"SKILL.md": f"---\nname: {name}\ndescription: Says {name}.\n---\nDo it.\n"}
        )
    commit_all(tmp_path / "repo")
    place = project({"skillpm.yaml": "project: 1\nrequires: {}\n"})
    place.call("install", "git+file:../repo@main", "--all").ok()
    before = locked(place)
    assert "ref: main, subdirectory: one" in (place.root / "skillpm.yaml").read_text()
    for name in ("one", "two"):
        (tmp_path / f"repo/{name}/SKILL.md").write_text(f"---\nname: {name}\ndescription: Says more.\n---\nDo it.\n")
    commit_all(tmp_path / "repo")
    place.call("lock", "--check").ok()
    place.call("sync").ok()
    assert locked(place) == before
    place.call("outdated").fails(1)
    place.call("update", "one").ok()
    after = locked(place)
    assert after["one"]["tree"] != before["one"]["tree"]
    assert after["two"] == before["two"]


def test_a_site_that_was_typed_becomes_a_registry_of_the_project(project: MakeProject, tmp_path: Path) -> None:
    text = b"---\nname: plain\ndescription: Says plain.\n---\nDo it.\n"
    offer = {
        "name": "plain",
        "type": "skill-md",
        "url": "/SKILL.md",
        "digest": f"sha256:{hashlib.sha256(text).hexdigest()}",
    }
    index = {"$schema": SCHEMA, "skills": [offer]}
    write_tree(tmp_path / "www", {".well-known/agent-skills/index.json": json.dumps(index), "SKILL.md": text.decode()})
    place = project({"skillpm.yaml": "project: 1\nrequires: {}\n"})
    with serving(tmp_path / "www") as shop:
        place.call("install", f"{shop.url}/.well-known/agent-skills").ok()
    assert "plain: {registry: " in (place.root / "skillpm.yaml").read_text()
    place.call("lock", "--check").ok()
    place.call("sync", "--locked").ok()
