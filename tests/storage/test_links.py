"""A folder that holds anything that skillpm did not put there is never overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from skillpm.clients.table import UNIVERSAL
from skillpm.errors import DocumentError, UsageError
from skillpm.layout.tree import MappingTree, tree_digest
from skillpm.storage import swap
from skillpm.storage.files import write_atomic
from skillpm.storage.links import Occupant, Places, refuse_outside
from skillpm.storage.record import RECORD, LinkKind, Placement, Record, read_record, record_text
from skillpm.storage.store import Store
from skillpm.storage.swap import Swap

OLD, NEW = MappingTree({"SKILL.md": b"old"}), MappingTree({"SKILL.md": b"new"})
FOLDER = ".agents/skills/demo"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    store.add(OLD)
    store.add(NEW)
    return store


def placement(tree: MappingTree, link: LinkKind = "copy") -> Placement:
    return Placement(FOLDER, "demo", tree_digest(tree), link)


def put(places: Places, wanted: Placement, recorded: Placement | None, *, force: bool = False) -> LinkKind:
    with Swap() as change:
        done = places.put(wanted, recorded, change, force=force)
        change.commit()
    return done


def take(places: Places, placed: Placement, *, force: bool = False) -> None:
    with Swap() as change:
        places.take(placed, change, force=force)
        change.commit()


def content(project: Path) -> str:
    return (project / FOLDER / "SKILL.md").read_text()


@pytest.mark.parametrize("link", ["copy", "symlink"])
@pytest.mark.parametrize("before", ["copy", "symlink"])
def test_a_new_version_takes_the_place_of_the_old(
    tmp_path: Path, store: Store, before: LinkKind, link: LinkKind
) -> None:
    places = Places(tmp_path, store)
    assert put(places, placement(OLD, before), None) == before
    assert put(places, placement(NEW, link), placement(OLD, before)) == link
    assert content(tmp_path) == "new"
    assert (tmp_path / FOLDER).is_symlink() is (link == "symlink")
    first = (tmp_path / FOLDER).lstat()
    assert put(places, placement(NEW, link), None) == link
    again = (tmp_path / FOLDER).lstat()  # its time of access may differ: it was read
    assert (again.st_ino, again.st_mtime_ns, again.st_ctime_ns) == (first.st_ino, first.st_mtime_ns, first.st_ctime_ns)
    assert [path.name for path in (tmp_path / UNIVERSAL).iterdir()] == ["demo"]


def test_without_a_way_to_exchange_names_the_result_is_the_same(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swap, "_renameat2", lambda: None)
    places = Places(tmp_path, store)
    put(places, placement(OLD), None)
    put(places, placement(NEW), placement(OLD))
    assert content(tmp_path) == "new"
    assert [path.name for path in (tmp_path / UNIVERSAL).iterdir()] == ["demo"]


@pytest.mark.parametrize("kind", ["folder", "edited", "file", "link"])
def test_what_is_not_ours_is_refused_and_force_keeps_it(tmp_path: Path, store: Store, kind: str) -> None:
    places, path = Places(tmp_path, store), tmp_path / FOLDER
    recorded = placement(OLD) if kind == "edited" else None
    if kind == "edited":
        put(places, placement(OLD), None)
        (path / "SKILL.md").write_text("mine")
    elif kind == "folder":
        path.mkdir(parents=True)
        (path / "SKILL.md").write_text("mine")
    else:
        path.parent.mkdir(parents=True)
        (tmp_path / "mine").mkdir()
        path.symlink_to(tmp_path / "mine") if kind == "link" else path.write_text("mine")
    with pytest.raises(UsageError) as caught:
        put(places, placement(NEW), recorded)
    assert "--force" in str(caught.value.hint)
    put(places, placement(NEW), recorded, force=True)
    assert content(tmp_path) == "new"
    assert (tmp_path / ".skillpm/kept/demo").exists()


def test_a_second_original_does_not_replace_the_first(tmp_path: Path, store: Store) -> None:
    places = Places(tmp_path, store)
    for text in ("first", "second"):
        (tmp_path / FOLDER).mkdir(parents=True, exist_ok=True)
        (tmp_path / FOLDER / "SKILL.md").write_text(text)
        put(places, placement(NEW), None, force=True)
    assert (tmp_path / ".skillpm/kept/demo/SKILL.md").read_text() == "first"
    assert (tmp_path / ".skillpm/kept/demo-2/SKILL.md").read_text() == "second"


def test_content_that_the_store_holds_is_ours_without_a_record(tmp_path: Path, store: Store) -> None:
    """So an install that was killed before it wrote its record can be completed."""
    places = Places(tmp_path, store)
    put(places, placement(OLD), None)
    assert places.standing(placement(NEW), None).occupant is Occupant.OURS
    put(places, placement(NEW), None)
    assert content(tmp_path) == "new"


def test_a_cache_of_an_interpreter_is_no_edit(tmp_path: Path, store: Store) -> None:
    places = Places(tmp_path, store)
    put(places, placement(OLD), None)
    (tmp_path / FOLDER / "__pycache__").mkdir()
    assert places.standing(placement(OLD), None).occupant is Occupant.WANTED


def test_taking_away_removes_ours_and_refuses_what_was_edited(tmp_path: Path, store: Store) -> None:
    places = Places(tmp_path, store)
    put(places, placement(OLD), None)
    take(places, placement(OLD))
    assert not list((tmp_path / UNIVERSAL).iterdir())
    take(places, placement(OLD))
    put(places, placement(OLD), None)
    (tmp_path / FOLDER / "notes").write_text("mine")
    with pytest.raises(UsageError, match="edited"):
        take(places, placement(OLD))
    take(places, placement(OLD), force=True)
    assert (tmp_path / ".skillpm/kept/demo/notes").read_text() == "mine"


def test_two_agents_that_share_a_folder_through_a_link_are_served_once(tmp_path: Path, store: Store) -> None:
    (tmp_path / ".claude").mkdir()
    (tmp_path / UNIVERSAL).mkdir(parents=True)
    (tmp_path / ".claude/skills").symlink_to(tmp_path / UNIVERSAL)
    places = Places(tmp_path, store)
    other = Placement(".claude/skills/demo", "demo", tree_digest(NEW), "copy")
    with Swap() as change:
        places.put(placement(NEW), None, change)
        places.put(other, None, change)
        change.commit()
    first = (tmp_path / FOLDER).lstat()
    put(places, other, None)
    # A look into the folder moves its access time, so that the whole of the status is not compared.
    second = (tmp_path / FOLDER).lstat()
    assert (second.st_ino, second.st_ctime_ns) == (first.st_ino, first.st_ctime_ns)
    assert [path.name for path in (tmp_path / UNIVERSAL).iterdir()] == ["demo"]


def test_leftovers_of_killed_runs_are_removed(tmp_path: Path, store: Store) -> None:
    left = tmp_path / UNIVERSAL / ".skillpm-0123456789abcdef"
    left.mkdir(parents=True)
    Places(tmp_path, store).remove_leftovers([UNIVERSAL])
    assert not left.exists()


def test_the_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = Record("0" * 64, (UNIVERSAL,), "symlink", (placement(NEW, "symlink"),))
    write_atomic(tmp_path / RECORD, record_text(record))
    assert read_record(tmp_path) == record
    assert read_record(tmp_path / "elsewhere") == Record()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"installed": 2}',
        '{"installed": 1, "lock": "", "agents": [], "link": "hard", "folders": {}}',
        '{"installed": 1, "lock": "", "agents": [], "link": ["copy"], "folders": {}}',
        '{"installed": 1, "lock": "", "agents": [], "link": "copy", "folders": {"../../etc": {}}}',
        '{"installed": 1, "lock": "", "agents": [], "link": "copy", "folders": {"/etc/x": {}}}',
        '{"installed": 1, "lock": "", "agents": [], "link": "copy", "folders": {"src/important": {}}}',
        '{"installed": 1, "lock": "", "agents": ["src"], "link": "copy", "folders": {}}',
        '{"installed": 1, "lock": "", "agents": [], "link": "copy", "folders": '
        '{".agents/skills/x": {"skill": "", "tree": "", "link": "copy"}}}',
        "[" * 100_000,
    ],
)
def test_a_damaged_record_is_an_error_with_a_hint(tmp_path: Path, text: str) -> None:
    (tmp_path / ".skillpm").mkdir()
    (tmp_path / ".skillpm/installed.json").write_text(text)
    with pytest.raises(DocumentError) as caught:
        read_record(tmp_path)
    assert "remove it" in str(caught.value.hint)


def test_a_refused_link_becomes_a_copy(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "symlink_to", refuse)
    assert put(Places(tmp_path, store), placement(OLD, "symlink"), None) == "copy"
    assert content(tmp_path) == "old" and not (tmp_path / FOLDER).is_symlink()


@pytest.mark.parametrize("target", ["nowhere", "../outside", "mine", "loop"])
def test_a_link_that_is_not_ours_is_neither_followed_nor_replaced(tmp_path: Path, store: Store, target: str) -> None:
    project = tmp_path / "project"
    (project / UNIVERSAL).mkdir(parents=True)
    for folder in (tmp_path / "outside", project / "mine"):
        folder.mkdir()
        (folder / "SKILL.md").write_text("mine")
    link = project / FOLDER
    link.symlink_to(link if target == "loop" else project / target)
    places = Places(project, store)
    for kind in ("copy", "symlink"):
        with pytest.raises(UsageError, match="does not belong to skillpm"):
            put(places, placement(NEW, kind), None)
    with pytest.raises(UsageError):
        take(places, placement(OLD))
    assert link.is_symlink()
    assert (tmp_path / "outside/SKILL.md").read_text() == (project / "mine/SKILL.md").read_text() == "mine"


@pytest.mark.parametrize("where", [".agents", UNIVERSAL, ".skillpm"])
def test_a_folder_that_a_link_leads_out_of_the_project_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    project, outside = tmp_path / "project", tmp_path / "outside"
    (project / where).parent.mkdir(parents=True)
    outside.mkdir()
    (project / where).symlink_to(outside)
    with pytest.raises(UsageError, match="leads out of the project"):
        refuse_outside(project, [where, UNIVERSAL])
    monkeypatch.setenv("HOME", str(project))
    refuse_outside(project, [where])  # a home folder's links are its owner's


def test_a_link_that_leads_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".agents").symlink_to(".agents")
    with pytest.raises(UsageError, match="leads out of the project"):
        refuse_outside(tmp_path, [UNIVERSAL])
