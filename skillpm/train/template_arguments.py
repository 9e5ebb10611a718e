"""What the training of an adapter called the chat template with; a file beside the weights has it. No torch here."""

from __future__ import annotations

from pathlib import Path

from skillpm.errors import DocumentError
from skillpm.formats.document import Json
from skillpm.formats.strict import read_json
from skillpm.storage.files import read_text

TEMPLATE_ARGUMENTS = "chat_template_kwargs.json"


def template_arguments(adapter: Path | None) -> dict[str, Json]:
    """Return what the training of an adapter called the chat template with. Raises DocumentError, StorageError."""
    path = None if adapter is None else adapter / TEMPLATE_ARGUMENTS
    if path is None or not path.is_file():
        return {}
    arguments = read_json(read_text(path), path=str(path), hint="train the adapter again")
    if not isinstance(arguments, dict):
        raise DocumentError("expected an object", path=str(path), hint="train the adapter again")
    return arguments
