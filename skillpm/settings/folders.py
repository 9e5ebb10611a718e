"""The project's folder and the user's folders."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from skillpm.formats.typed_path import typed_path

PROJECT_FILE = "skillpm.yaml"
LOCK_FILE = "skillpm.lock"
HOME = "SKILLPM_HOME"  # variable: one folder for data, cache and configuration


def user_folders(environment: Mapping[str, str]) -> tuple[Path, Path, Path]:
    """Return the folders of the data, the cache and the configuration."""
    home = environment.get(HOME)
    if home:
        return Path(home) / "data", Path(home) / "cache", Path(home) / "config"
    import platformdirs

    folders = platformdirs.PlatformDirs("skillpm", appauthor=False)
    return folders.user_data_path, folders.user_cache_path, folders.user_config_path


def project_above(here: Path) -> Path:
    """Return the project's folder: the nearest parent with a project file or a lock, or else the folder itself.

    The home folder is not a project, because its lock belongs to ``--user``. A file of another user in a parent, such
    as /tmp, does not count: it would decide what is installed and where.
    """
    home = typed_path("~")
    for folder in (here, *here.parents):
        if folder == home and folder != here:
            break
        if any(_is_ours(folder / name, anybody=folder == here) for name in (PROJECT_FILE, LOCK_FILE)):
            return folder
    return here


def _is_ours(path: Path, *, anybody: bool) -> bool:
    try:
        owner = path.stat().st_uid
    except OSError:
        return False
    return anybody or owner in (os.getuid(), 0)
