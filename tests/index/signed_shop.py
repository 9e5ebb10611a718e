"""A signed registry in a folder, and clients of it with what they have seen."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

from skillpm.index.folder_registry import FolderRegistry, make_registry
from skillpm.index.pages import read_page
from skillpm.index.path import release_of
from skillpm.index.registry_signer import NewRoot, sign_registry
from skillpm.index.signed_pages import SignedPages
from skillpm.layout.tree import MappingTree
from skillpm.model.release import Release
from skillpm.storage.archive import build_archive
from skillpm.storage.keys import Keys

ROOT = NewRoot(("root",), 1, "online")


@dataclass
class SignedShop:
    """A folder that is signed; ``keys`` has its keys.

    Attributes:
        root: the folder.
        keys: of its maintainer.
        told: what clients told the person.
    """

    root: Path
    keys: Keys
    told: list[str] = field(default_factory=list)

    @classmethod
    def make(cls, base: Path, root: NewRoot = ROOT) -> SignedShop:
        shop = cls(base / "shop", Keys(base / "keys"))
        make_registry(shop.root, "shop")
        sign_registry(FolderRegistry(shop.root, "shop"), shop.keys, root, 30)
        return shop

    @property
    def registry(self) -> FolderRegistry:
        return FolderRegistry(self.root, "shop", self.keys)

    def publish(self, name: str = "demo", version: str = "1.0", body: str = "Do it.\n") -> bool:
        return self.registry.publish(*release(name, version, body))

    def refresh(self) -> None:
        signer = self.registry.signer
        assert signer is not None
        signer.refresh()

    def copy(self, name: str) -> SignedShop:
        """Return a copy of the folder as it is now, for the same clients."""
        target = self.root.parent / name
        shutil.copytree(self.root, target)
        return replace(self, root=target)

    def client(self, seen: Path, *, offline: bool = False) -> SignedPages:
        """Return a client that reads the folder; clients of copies believe that they read one place."""

        def fetch(path: str, limit: int) -> bytes | None:
            return self.registry._read(path, limit) if (self.root / path).is_file() else None

        return SignedPages("the shop", fetch, seen, self.told.append, offline=offline)

    def versions(self, seen: Path, name: str = "demo") -> list[str]:
        """Return the versions that a client would take, each with its place in the log checked."""
        client = self.client(seen)
        data = client.page(name)
        releases = read_page(data, name, "the shop", logged=True).releases if data is not None else ()
        for item in releases:
            client.demand_logged(name, item)
        return [item.version for item in releases]


def release(name: str, version: str, body: str = "Do it.\n") -> tuple[str, Release, bytes]:
    head = f"---\nname: {name}\ndescription: Shows {name}. Use when testing.\n---\n{body}"
    tree = MappingTree({"SKILL.md": head.encode(), "skill.yaml": f"manifest: 1\nversion: '{version}'\n".encode()})
    archive = bytes(build_archive(tree))
    return (*release_of(tree, archive), archive)
