"""Where things live and which registries are asked: flag, environment, project file, user file, default, in this order.

Environment: ``SKILLPM_HOME`` (everything below one folder), ``SKILLPM_INDEX`` (registries, separated by spaces),
``SKILLPM_NO_PLUGINS`` (load no installed distribution's plugin), ``SKILLPM_OFFLINE`` (ask no registry on the network).
Project file: ``skillpm.toml``; user file: ``config.toml`` in the user's configuration folder. Both hold
``index = ["…"]``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from skillpm.errors import DocumentError

__all__ = ["Settings", "load_settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """The resolved settings of one invocation.

    Attributes:
        project: the folder that holds ``skillpm.lock`` and the agents' folders.
        data: the store and what must outlast a clean-up of caches.
        cache: what can be made again: models, downloads.
        indexes: registries beside the bundled one, in the order in which they are asked.
        plugins: are distributions with a ``skillpm`` entry point loaded?
        offline: is no registry on the network asked?
    """

    project: Path
    data: Path
    cache: Path
    indexes: tuple[str, ...] = ()
    plugins: bool = True
    offline: bool = False

    @property
    def lock_path(self) -> Path:
        """The project's lock."""
        return self.project / "skillpm.lock"

    @property
    def store(self) -> Path:
        """The content-addressed store, what users call the local registry."""
        return self.data / "store"

    @property
    def consents(self) -> Path:
        """The record of the digests whose code may run."""
        return self.data / "consents.json"

    @property
    def models(self) -> Path:
        """Models that were prepared once."""
        return self.cache / "models"


def load_settings(
    *,
    project: Path | None = None,
    user: bool = False,
    indexes: tuple[str, ...] = (),
    offline: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Resolve the settings.

    Args:
        project: the project's folder; the working directory where None.
        user: act on the user's home folder instead of a project.
        indexes: registries given by flag.
        offline: ask no registry on the network, by flag.
        environment: for tests; ``os.environ`` where None.
    """
    variables = os.environ if environment is None else environment
    home = variables.get("SKILLPM_HOME")
    if home:
        data, cache, config = Path(home) / "data", Path(home) / "cache", Path(home) / "config"
    else:
        import platformdirs

        folders = platformdirs.PlatformDirs("skillpm", appauthor=False)
        data, cache, config = folders.user_data_path, folders.user_cache_path, folders.user_config_path
    root = Path.home() if user else (project or Path.cwd())
    chosen = (
        indexes
        or tuple(variables.get("SKILLPM_INDEX", "").split())
        or _indexes(root / "skillpm.toml")
        or _indexes(config / "config.toml")
    )
    return Settings(
        project=root,
        data=data,
        cache=cache,
        indexes=chosen,
        plugins=not variables.get("SKILLPM_NO_PLUGINS"),
        offline=offline or bool(variables.get("SKILLPM_OFFLINE")),
    )


def _indexes(path: Path) -> tuple[str, ...]:
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentError(f"cannot be read: {error}", path=str(path)) from None
    import tomllib

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DocumentError(f"not TOML: {error}", path=str(path)) from None
    unknown = set(document) - {"index"}
    if unknown:
        raise DocumentError(f"unknown key `{min(unknown)}`", path=str(path), hint="the known key is `index`")
    indexes = document.get("index", [])
    if not isinstance(indexes, list) or not all(isinstance(item, str) for item in indexes):
        raise DocumentError("`index` must be a list of registries", path=str(path))
    return tuple(indexes)
