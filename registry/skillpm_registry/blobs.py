"""Archives in an object store: S3, Google Cloud Storage, Azure, or another folder. Everything else stays in the folder.

The store is found by its URL, which the state folder keeps, so that every command over the folder finds the archives.
Credentials come from the environment alone (source: the configuration of the library obstore), and no message repeats
what a store says, because that may name them. An archive has the path that it would have in the folder. It is written
once, before the release's statement, so a store that is away leaves nothing visible. An archive that lies in the
folder, because it is older than the store or was copied there, is read from the folder.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.responses import RedirectResponse, Response, StreamingResponse

from skillpm.errors import ConflictError, RegistryError, StorageError, UsageError
from skillpm.formats.gathered import Bytes, gathered
from skillpm.index.folder_registry import FolderRegistry, is_archive_of
from skillpm.index.pages import largest_archive
from skillpm.index.paths import archive_path
from skillpm.model.release import Release
from skillpm_registry.configuration import STATE

if TYPE_CHECKING:
    from obstore.store import RetryConfig

    from skillpm.storage.keys import Keys

_RECORD = f"{STATE}/blobs"  # in a registry's folder
_MARK = "skillpm-registry"  # written at a start, to learn whether the store lets us write
_SIGNED = dt.timedelta(minutes=5)  # for which a signed address is valid
_URL = re.compile(r"(?:(?:s3|gs|az)://[a-zA-Z0-9][\w.-]*(?:/[\w.-]+)*|file:(?://)?(?:/[\w. -]+)+)/?")
_RETRY: RetryConfig = {"max_retries": 2, "retry_timeout": dt.timedelta(seconds=10)}


class Blobs:
    """The archives in an object store.

    Args:
        url: ``s3://BUCKET/PREFIX``, ``gs://…``, ``az://CONTAINER/PREFIX`` or ``file:/FOLDER``.

    Raises:
        UsageError: the URL is none of these, obstore is not installed, or the environment lacks a setting.
    """

    def __init__(self, url: str) -> None:
        scheme, bucket, path, *_ = urlsplit(url)
        if not _URL.fullmatch(url) or ".." in path.split("/"):
            raise UsageError(  # without the URL, in which somebody may have written a secret
                "the URL of the blobs is not s3://BUCKET/PREFIX, gs://…, az://… or file:/FOLDER",
                hint="such as s3://BUCKET/skills; credentials are read from the environment alone",
            )
        try:
            from obstore.exceptions import BaseError
            from obstore.store import LocalStore, from_url
        except ModuleNotFoundError:
            raise UsageError("an object store needs obstore", hint="pip install './registry[stores]'") from None
        self.url = url
        self._signs = scheme != "file"
        # the library leaves a store's own prefix out of the addresses that it signs, so the prefix is ours
        self._prefix = f"{path.strip('/')}/" if self._signs and path.strip("/") else ""
        self._present: set[str] = set()
        try:
            self._store: Any = (
                from_url(f"{scheme}://{bucket}", client_options=_client_options(), retry_config=_RETRY)
                if self._signs
                else LocalStore(Path(path), mkdir=True)
            )
        except (BaseError, OSError, ValueError):
            raise UsageError(
                f"the store {scheme}: cannot be opened", hint="set its variables, as AZURE_STORAGE_ACCOUNT_NAME for az:"
            ) from None

    def demand_access(self) -> None:
        """Raise StorageError unless the store lets us write and read."""
        self._put(_MARK, b"", "overwrite")
        self.read(_MARK, 0)

    def read(self, path: str, limit: int) -> Bytes | None:
        """Return an object, or None if it is missing. Raises RegistryError if it is larger than ``limit`` bytes."""
        import obstore

        with _store_errors("read from"):
            try:
                result = obstore.get(self._store, self._prefix + path)
            except FileNotFoundError:
                return None
            if result.meta["size"] > limit:
                raise RegistryError(f"{path} in the object store is larger than {limit} bytes")
            return gathered(bytes(piece) for piece in result.stream())

    def create(self, path: str, data: Bytes) -> bool:
        """Write an object; return False if there is one, which stays as it is. Raises StorageError."""
        from obstore.exceptions import AlreadyExistsError

        try:
            self._put(path, data, "create")
        except (AlreadyExistsError, FileExistsError):
            return False
        return True

    def replace(self, path: str, data: Bytes) -> None:
        """Write an object instead of a damaged one. Raises StorageError."""
        self._put(path, data, "overwrite")

    def _put(self, path: str, data: Bytes, mode: Any) -> None:
        import obstore

        with _store_errors("write to"):
            obstore.put(self._store, self._prefix + path, data, mode=mode, use_multipart=False)

    def older(self, seconds: float) -> list[str]:
        """Return the paths of the archives that were written before a time (Unix). Raises StorageError."""
        import obstore

        with _store_errors("list"):
            every = [item for items in obstore.list(self._store, f"{self._prefix}archives") for item in items]
        paths = [item["path"] for item in every if item["last_modified"].timestamp() < seconds]
        return sorted(path.removeprefix(self._prefix) for path in paths)

    def remove(self, path: str) -> None:
        """Remove an object. Raises StorageError."""
        import obstore

        with _store_errors("remove from"):
            obstore.delete(self._store, self._prefix + path)

    async def answer(self, path: str, method: Any) -> Response | None:
        """Return the answer to GET or HEAD: a redirect to a signed address, or the bytes; None without the object.

        Raises:
            StorageError: the store is away, or refuses.
        """
        import obstore

        key = self._prefix + path
        with _store_errors("read from"):
            try:
                if key not in self._present:
                    await obstore.head_async(self._store, key)
                    self._present.add(key)
                if self._signs:
                    address = await obstore.sign_async(self._store, method, key, _SIGNED)
                    return RedirectResponse(address, 307, {"Cache-Control": "no-store"})
                result = await obstore.get_async(self._store, key)
            except FileNotFoundError:
                return None
        headers = {"Content-Length": str(result.meta["size"])}
        return StreamingResponse(_pieces(result), headers=headers, media_type="application/gzip")


def _client_options() -> Any:
    """Return the limits of one request. Options of ours hide this variable from the library, so it is read here."""
    plain = os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true")
    return {"timeout": "60s", "connect_timeout": "5s", "allow_http": plain}


async def _pieces(result: Any) -> AsyncIterator[bytes]:
    async for piece in result.stream():
        yield bytes(piece)


@contextmanager
def _store_errors(action: str) -> Iterator[None]:
    """Turn an error of the store into a StorageError without the store's own words."""
    from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, UnauthenticatedError

    try:
        yield
    except (AlreadyExistsError, FileExistsError):
        raise
    except (PermissionError, PermissionDeniedError, UnauthenticatedError):
        reason, hint = "it gives us no right to", "check the credentials in the environment and their rights"
    except FileNotFoundError:
        reason, hint = "there is no such bucket", "make it, or check `--blobs`"
    except (BaseError, OSError, ValueError):
        reason, hint = "it does not answer", "try again, and check its address and the network"
    else:
        return
    raise StorageError(f"cannot {action} the object store: {reason}", hint=hint)


class StoredRegistry(FolderRegistry):
    """A registry in a folder whose new archives go into an object store."""

    def __init__(self, root: Path, name: str, keys: Keys | None, blobs: Blobs) -> None:
        super().__init__(root, name, keys)
        self.blobs = blobs

    def archive(self, name: str, release: Release) -> Bytes:
        """Return the archive's bytes, unchecked, like the folder. Raises StorageError, too."""
        path = archive_path(release.archive)
        if not (self.root / path).is_file():
            data = self.blobs.read(path, largest_archive(release))
            if data is not None:
                return data
        return super().archive(name, release)

    def _put_archive(self, release: Release, archive: Bytes) -> None:
        path = archive_path(release.archive)
        if self.blobs.create(path, archive):
            return
        present = self.blobs.read(path, largest_archive(release))
        if present is None or not is_archive_of(present, release):
            self.blobs.replace(path, archive)
        elif len(present) != release.size:  # the page says the size, and clients hold it against what they get
            raise ConflictError(
                f"the archive of {release.version} is there already, in another compression",
                hint="publish with the skillpm that packed it first",
            )


def open_registry(root: Path, name: str, keys: Keys | None = None) -> FolderRegistry:
    """Return the registry in a folder, with its archives in the object store that was recorded for it, if any.

    Raises:
        UsageError: the store cannot be opened.
    """
    record = root / _RECORD
    if not record.is_file():
        return FolderRegistry(root, name, keys)
    return StoredRegistry(root, name, keys, Blobs(record.read_text().strip()))


def record_blobs(root: Path, url: str) -> None:
    """Record where the archives of a registry are from now on, and demand that the store can be used.

    Args:
        root: the registry's folder.
        url: as ``Blobs`` takes it; empty for what is recorded.

    Raises:
        UsageError: the URL is not usable, or another one is recorded.
        StorageError: the store is away, or lets us not write.
    """
    record = root / _RECORD
    recorded = record.read_text().strip() if record.is_file() else ""
    if not (url or recorded):
        return
    blobs = Blobs(url or recorded)
    if recorded and recorded != blobs.url:
        raise UsageError(
            f"the archives of this registry are in {recorded}",
            hint=f"to move them, copy them to the new store and write its URL into {record}",
        )
    blobs.demand_access()
    record.parent.mkdir(mode=0o700, exist_ok=True)
    record.write_text(f"{url or recorded}\n")
