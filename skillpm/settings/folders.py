"""Where the project is, and where the user's own folders are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

PROJECT_FILE = "skillpm.yaml"
LOCK_FILE = "skillpm.lock"
HOME = "SKILLPM_HOME"  # the variable that puts data, cache and configuration below one folder


def user_folders(environment: Mapping[str, str]) -> tuple[Path, Path, Path]:
    """Return the folders of the data, the cache and the configuration."""
    home = environment.get(HOME)
    if home:
        return Path(home) / "data", Path(home) / "cache", Path(home) / "config"
    import platformdirs

    folders = platformdirs.PlatformDirs("skillpm", appauthor=False)
    return folders.user_data_path, folders.user_cache_path, folders.user_config_path


def project_above(here: Path) -> Path:
    """Return the folder of the project that a folder is in; the folder itself where it is in none.

    The home folder is nobody's project: its lock is that of ``--user``. Nor is a file in a folder above that somebody
    else has put there, such as in /tmp: it would decide where is written and what is installed.
    """
    home = Path(os.path.expanduser("~"))  # noqa: PTH111  an account without a home is no error here
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
    return anybody or os.name != "posix" or owner in (os.getuid(), 0)
