"""How this skillpm is installed: from the index as ``skillpm-core``, or from a checkout.

Hints name the distribution. In a checkout, which the index does not know, they have to name its folder.
"""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import unquote, urlsplit

DISTRIBUTION = "skillpm-core"
TRAINING = ("torch", "transformers", "trl", "peft", "datasets", "accelerate")  # the libraries of its extra `train`
_UPGRADE = f"upgrade {DISTRIBUTION}"


def as_installed(hint: str) -> str:
    """Return a hint such as ``upgrade skillpm-core`` with the commands that work here."""
    if DISTRIBUTION not in hint:
        return hint
    folder = checkout()
    if folder is None:
        return hint.replace(_UPGRADE, f"{_UPGRADE}: run `pip install --upgrade {DISTRIBUTION}`")
    upgrade = f"{_UPGRADE}: run `git -C {folder} pull`, then `pip install {folder}`"
    for general, here in (
        (_UPGRADE, upgrade),
        (f"'{DISTRIBUTION}[", f"'{folder}["),
        (f"reinstall {DISTRIBUTION}", f"reinstall {folder}"),
    ):
        hint = hint.replace(general, here)
    return hint


def checkout() -> Path | None:
    """Return the checkout that this skillpm runs in or was installed from, or None."""
    root = Path(__file__).resolve().parents[2]
    if (root / "pyproject.toml").is_file():
        return root
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        origin = json.loads(distribution(DISTRIBUTION).read_text("direct_url.json") or "{}")
        url = urlsplit(origin.get("url", ""))
    except (PackageNotFoundError, ValueError, AttributeError):
        return None
    folder = Path(unquote(url.path))
    return folder if url.scheme == "file" and folder.is_dir() else None
