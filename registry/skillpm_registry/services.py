"""What the requests of one server share."""

from __future__ import annotations

from dataclasses import dataclass

from skillpm.index.folder_registry import FolderRegistry
from skillpm_registry.catalogue.catalogue import Catalogue
from skillpm_registry.configuration import Configuration


@dataclass(frozen=True, slots=True)
class Services:
    """What the requests of one server share.

    Attributes:
        configuration: the decisions of the operator.
        registry: reads and writes the static files.
        catalogue: the index over the static files, for searches and pages.
    """

    configuration: Configuration
    registry: FolderRegistry
    catalogue: Catalogue


def open_services(configuration: Configuration) -> Services:
    """Return the services over a folder, which is a registry already.

    Raises:
        RegistryError: the folder is not a registry, or is damaged.
    """
    registry = FolderRegistry(configuration.data, configuration.name)
    _ = registry.config  # raises RegistryError
    return Services(configuration, registry, Catalogue(registry, configuration.state))
