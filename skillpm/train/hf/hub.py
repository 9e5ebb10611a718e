"""Hub ids: is the model there, and if the hub cannot be reached, is it in the cache?"""

from __future__ import annotations

import re
from pathlib import Path

from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

from skillpm.errors import RegistryError, UsageError

TIMEOUT = 10  # seconds; the libraries themselves would try again for more than a minute
_PREPARED = "use `--model smollm2-135m`, or the folder of a model that you have"


def find_on_hub(model: str, *, offline: bool) -> Path | str:
    """Return a hub id that the hub knows; where it cannot be asked, the folder of the model in the cache.

    Args:
        model: a hub id.
        offline: do not ask.

    Raises:
        UsageError: the hub has no such model, or does not let this user have it.
        RegistryError: the hub cannot be asked and the model is not in the cache.
    """
    if offline or constants.HF_HUB_OFFLINE:
        return _cached(model, "the hub is not asked in offline mode")
    try:
        HfApi().model_info(model, timeout=TIMEOUT)
    except GatedRepoError:
        raise UsageError(
            f"the hub restricts access to {model}", hint="accept its terms there, and run `hf auth login`"
        ) from None
    except RepositoryNotFoundError:
        raise UsageError(f"the hub has no public model {model}", hint=f"check the id, or {_PREPARED}") from None
    except HfHubHTTPError as error:
        return _cached(model, f"the hub answered with status {error.response.status_code}")
    except Exception as error:  # noqa: BLE001  each version of the library has other classes for a dead network
        reason = re.sub(r"^\[Errno -?\d+\] ", "", (str(error).splitlines() or [type(error).__name__])[0])
        return _cached(model, f"the hub cannot be reached: {reason[:200]}")
    return model


def _cached(model: str, problem: str) -> Path:
    try:
        folder = Path(snapshot_download(model, local_files_only=True))
    except (LocalEntryNotFoundError, OSError, ValueError):
        folder = Path()
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        raise RegistryError(f"{model} is not in the cache, and {problem}", hint=f"check the network, or {_PREPARED}")
    return folder
