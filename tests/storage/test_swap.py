"""Several names get new content, or none of them does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from skillpm.errors import StorageError
from skillpm.storage import swap as swaps
from skillpm.storage.swap import Swap


def write(text: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        folder.mkdir()
        (folder / "file").write_text(text)

    return make


def content(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture(params=["exchange", "no exchange"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with ``old``, ``gone`` and ``mine``; on a platform that can exchange names, and on one that cannot."""
    if request.param == "no exchange":
        monkeypatch.setattr(swaps, "_renameat2", lambda: None)
    for name in ("old", "gone", "mine"):
        write(name)(tmp_path / name)
    return tmp_path


def stage_all(swap: Swap, root: Path) -> None:
    swap.stage(root / "fresh", write("new"))
    swap.stage(root / "old", write("new"))
    swap.stage(root / "mine", write("new"), keep=root / "mine.orig")
    swap.stage(root / "gone", None)


def test_all_names_change(root: Path) -> None:
    with Swap() as swap:
        stage_all(swap, root)
        swap.commit()
    assert content(root) == {"fresh/file": "new", "old/file": "new", "mine/file": "new", "mine.orig/file": "mine"}
    assert len(list(root.iterdir())) == 4


def test_a_failure_after_the_names_changed_gives_all_of_them_back(root: Path) -> None:
    before = content(root)
    with pytest.raises(StorageError), Swap() as swap:
        stage_all(swap, root)
        swap.commit()
        assert content(root) != before
        raise StorageError("the lock cannot be written")
    assert content(root) == before
    assert len(list(root.iterdir())) == 3


def test_a_failure_of_any_name_gives_the_others_back(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The names are exchanged one after the other; the disk refuses the first, the second, …, until none is left."""
    before, count, number = content(root), 0, 0
    calls = ((Path, "rename"), (swaps, "exchange"), (swaps, "_move"))

    def refusing(call: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*arguments: object) -> object:
            nonlocal count
            count += 1
            if count == number:
                raise OSError(5, "Input/output error")
            return call(*arguments)

        return wrapped

    while count >= number:
        assert content(root) == before
        assert len(list(root.iterdir())) == 3
        count, number = 0, number + 1
        with contextlib.suppress(StorageError), Swap() as swap:
            stage_all(swap, root)
            with monkeypatch.context() as patch:
                for place, name in calls:
                    patch.setattr(place, name, refusing(getattr(place, name)))
                swap.commit()
    assert number > 5
    assert content(root)["fresh/file"] == "new"


def test_what_appears_after_staging_is_not_replaced(root: Path) -> None:
    with pytest.raises(StorageError), Swap() as swap:
        stage_all(swap, root)
        write("somebody else's")(root / "fresh")
        swap.commit()
    assert content(root)["fresh/file"] == "somebody else's"
    assert content(root)["old/file"] == "old"


@pytest.mark.parametrize("name", ["fresh", "mine.orig", "file"])
def test_a_file_that_appears_after_staging_is_not_replaced(root: Path, name: str) -> None:
    before = content(root)
    with pytest.raises(StorageError, match="exists"), Swap() as swap:
        stage_all(swap, root)
        swap.stage_file(root / "file", "ours")
        (root / name).write_text("somebody else's")
        swap.commit()
    assert content(root) == {**before, name: "somebody else's"}


def test_a_failure_while_staging_changes_nothing(root: Path) -> None:
    before = content(root)
    with pytest.raises(StorageError), Swap() as swap:
        swap.stage(root / "old", write("new"))
        swap.stage(root / "old/file/below", write("new"))
    assert content(root) == before
    assert len(list(root.iterdir())) == 3
