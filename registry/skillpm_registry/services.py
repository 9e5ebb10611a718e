"""What the requests of one server process share."""

from __future__ import annotations

from dataclasses import dataclass, field

from anyio import CapacityLimiter

from skillpm.index.folder_registry import FolderRegistry
from skillpm.storage.keys import Keys
from skillpm_registry.blobs import open_registry
from skillpm_registry.catalogue.catalogue import Catalogue
from skillpm_registry.catalogue.meaning import Meaning
from skillpm_registry.configuration import Configuration
from skillpm_registry.database import Database, sqlite_url
from skillpm_registry.downloads import Downloads
from skillpm_registry.drafts import remove_abandoned
from skillpm_registry.gate import Gate
from skillpm_registry.lister import Lister


@dataclass(frozen=True, slots=True)
class Services:
    """What the requests of one server process share.

    Attributes:
        configuration: the decisions of the operator.
        registry: reads and writes the static files.
        catalogue: the index over the static files, for searches and pages.
        database: accounts, tokens, uploads, events.
        downloads: counts them.
        lister: renews the listing after a publication.
        is_one_disk: does a flush of the folder flush what the database has committed, too?
        gate: self-tests verifiers; None if the operator does not want that.
        checking: bounds the archives that are checked at once, by whatever protocol they came: each is in memory.
        going_live: bounds the releases that become visible at once: they wait for the disk and for witnesses.
    """

    configuration: Configuration
    registry: FolderRegistry
    catalogue: Catalogue
    database: Database
    downloads: Downloads
    lister: Lister
    is_one_disk: bool
    gate: Gate | None = None
    checking: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(4))
    going_live: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(20))

    def changed(self, name: str) -> None:
        """Index and list a skill anew, whose page has changed."""
        self.catalogue.note(name)
        self.lister.renew(name)

    def close(self) -> None:
        """Finish the listing and close the databases."""
        if self.gate is not None:
            self.gate.close()
        self.lister.close()
        self.downloads.write()
        self.database.close()
        self.catalogue.engine.close()


def open_services(configuration: Configuration) -> Services:
    """Return the services over a registry's folder; the state folder and its tables are made if they are missing.

    Raises:
        RegistryError: the folder is not a registry, or is damaged.
        StorageError: the disk refused.
        PolicyError: the operator wants the gate, and this machine has no sandbox.
        UsageError: the object store of the archives cannot be opened.
    """
    registry = open_registry(configuration.data, configuration.name, Keys(configuration.state / "keys"))
    _ = registry.config  # raises RegistryError
    configuration.uploads.mkdir(mode=0o700, parents=True, exist_ok=True)
    configuration.state.chmod(0o700)
    database = Database(configuration.database or sqlite_url(configuration.state / "registry.sqlite3"))
    database.migrate(configuration.state / "lock")
    gate = Gate(database, configuration.gate) if configuration.gate else None
    meaning = Meaning() if configuration.meaning else None
    catalogue = Catalogue(registry, configuration.state, configuration.database, meaning)
    lister = Lister(registry, catalogue.stamp, lambda: remove_abandoned(configuration.uploads))
    is_one_disk = database.is_flushed_with(configuration.data)
    return Services(configuration, registry, catalogue, database, Downloads(database), lister, is_one_disk, gate)
