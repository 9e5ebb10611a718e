"""Wheels and source distributions, as PEP 427 and setuptools have them."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path


def wheel(folder: Path, name: str, version: str, files: Mapping[str, str], requires: Iterable[str] = ()) -> Path:
    """Write a wheel for every platform, and return it."""
    information = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {text}\n" for text in requires)
    texts = {
        **files,
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},"
        for path, text in texts.items()
    ]
    texts[f"{information}/RECORD"] = "\n".join([*rows, f"{information}/RECORD,,"]) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in texts.items():
            archive.writestr(member, text)
    return path


def source_distribution(folder: Path, name: str, version: str, deed: str) -> Path:
    """Write a source distribution whose build does a deed, and return it."""
    text = f"{deed}\nfrom setuptools import setup\nsetup(name={name!r}, version={version!r})\n".encode()
    path = folder / f"{name}-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo(f"{name}-{version}/setup.py")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    return path


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
