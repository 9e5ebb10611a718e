"""The rule of every attack: the command says what is wrong, alike to people and programs, and changes nothing."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from skillpm.formats.light import json_form, read_light
from skillpm.layout.tree import MappingTree, Tree, tree_digest
from skillpm.model.key import PrivateKey
from skillpm.model.release import Release
from skillpm.storage.archive import build_archive
from skillpm.trust.signature import sign
from tests.conftest import Outcome, Project

_KEPT = ("project", "home/skillpm/data", "home/skillpm/config")  # caches may grow by what was fetched


def attacks(table: Mapping[str, Any]) -> list[Any]:
    """Return the parameters of a table whose keys begin with the number of their attack."""
    return [pytest.param(key, id=key, marks=pytest.mark.attack(int(key.partition(" ")[0]))) for key in table]


def skill_text(name: str = "bad", body: str = "Do it.\n", description: str = "Shows it. Use when testing.") -> bytes:
    return f"---\nname: {name}\ndescription: {description}\n---\n{body}".encode()


@dataclass
class World:
    """A project with something to lose: a skill that is installed, locked and stored; and a registry that may lie.

    Attributes:
        place: the project; ``kept`` is installed in it.
        root: the folder that holds the project, the home and the registry.
        releases: what the registry's page of a name says, by name.
    """

    place: Project
    root: Path
    releases: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def shop(self) -> Path:
        return self.root / "shop"

    def state(self) -> dict[str, tuple[int, str]]:
        """Every file, link and folder of project, store and configuration, locks apart: its mode, and its bytes."""
        roots = [self.place.root if part == "project" else self.root / part for part in _KEPT]
        found = [
            path for root in roots for path in sorted([root, *root.rglob("*")]) if path.exists() or path.is_symlink()
        ]
        found = [path for path in found if path.name != "bringing"]  # the store's locks while something is downloaded
        return {str(path): (path.lstat().st_mode, _content(path)) for path in found}

    @contextlib.contextmanager
    def unchanged(self, *, fetched: bool = False) -> Iterator[None]:
        """Assert that nothing of it is another after the block, byte for byte.

        Where good skills may be ``fetched`` before something else is refused, whole trees may have come to the store.
        """
        before = self.state()
        yield
        after = self.state()
        if fetched:
            new = [path for path in after.keys() - before.keys() if "/store/tree-v1/" in path]
            after = {path: content for path, content in after.items() if path not in new}
        assert after == before, {p for p in before.keys() | after.keys() if before.get(p) != after.get(p)}

    def refuses(
        self, *arguments: str | Path, code: int, says: tuple[str, ...], fetched: bool = False, **environment: Any
    ) -> Outcome:
        """Assert that a command fails with this code and these words, alike with ``--json``, and changes nothing."""
        with self.unchanged(fetched=fetched):
            said = self.place.call(*arguments, **environment).fails(code, *says)
            told = self.place.call(*arguments, "--json", **environment).fails(code)
        assert said.err.replace("\n", "").isprintable(), "a message shows an escape, it does not send it"
        assert "error: " in said.err and told.document["exit_code"] == code, told
        return said

    def offer(self, name: str, archive: bytes, *, tree: str = "0" * 64, version: str = "1.0", **more: Any) -> None:
        """Let the registry say that this archive is a release of a name."""
        digest = hashlib.sha256(archive).hexdigest()
        path = self.shop / f"archives/{digest[:2]}/{digest[2:]}.tar.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(archive)
        release = {"version": version, "archive": digest, "tree": tree, "size": len(archive), **more}
        self.releases[name] = [item for item in self.releases.get(name, []) if item["version"] != version] + [release]
        self.write_page(name)

    def offer_tree(self, name: str, tree: Tree, **more: Any) -> None:
        """Let the registry offer a tree truthfully, unless ``more`` says otherwise."""
        self.offer(name, bytes(build_archive(tree)), **{"tree": tree_digest(tree), **more})

    def offer_skill(self, name: str, version: str = "1.0", *, body: str = "Do it.\n", **more: Any) -> None:
        """Let the registry offer a small skill of this name and version."""
        requires = "".join(f"  {other}: '{text}'\n" for other, text in more.get("requires", {}).items())
        manifest = f"manifest: 1\nversion: '{version}'\n" + (f"requires:\n{requires}" if requires else "")
        tree = MappingTree({"SKILL.md": skill_text(name.rpartition("/")[2], body), "skill.yaml": manifest.encode()})
        self.offer_tree(name, tree, version=version, **more)

    def sign(self, name: str, version: str = "1.0", *, seed: int = 1, **more: Any) -> None:
        """Let the registry offer a small skill that the key of a seed signed."""
        self.offer_skill(name, version, **more)
        item = next(item for item in self.releases[name] if item["version"] == version)
        envelope = sign(name, read_light(Release, item), PrivateKey(bytes([seed]) * 32))
        self.offer_skill(name, version, signature=json_form(envelope), **more)

    def write_page(self, name: str) -> None:
        """Write the registry's page of a name."""
        self.shop.mkdir(exist_ok=True)
        (self.shop / "config.json").write_text('{"registry": 1, "name": "shop"}')
        path = self.shop / f"skills/{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"name": name, "releases": self.releases[name]}))

    def lock(self) -> dict[str, Any]:
        """The lock's entries by name."""
        return {item["name"]: item for item in json.loads((self.place.root / "skillpm.lock").read_text())["skills"]}


def _content(path: Path) -> str:
    if path.is_symlink():
        return str(path.readlink())
    if path.is_dir():
        return "folder"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "special"
