"""Base models: make one ready, list what is known and what is cached."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path

from skillpm.errors import TrainingError
from skillpm.settings import Settings
from skillpm.train.base_model import KNOWN_MODELS, KnownModel, cached_folder, locate_model, prepare_model

__all__ = ["ModelState", "known_models", "ready_model"]


@dataclass(frozen=True, slots=True)
class ModelState:
    """A known model, and the folder in which it lies prepared, or None."""

    model: KnownModel
    folder: Path | None


def known_models(settings: Settings) -> list[ModelState]:
    """Return every model that skillpm can prepare itself."""
    folders = {name: cached_folder(settings.models, model) for name, model in KNOWN_MODELS.items()}
    return [ModelState(KNOWN_MODELS[name], path if path.is_dir() else None) for name, path in folders.items()]


def ready_model(text: str, settings: Settings) -> Path | str:
    """Return the folder or hub id of a model; a known one is prepared first where that was not done yet.

    Raises:
        UsageError: there is no such model.
        TrainingError: torch and its companions are not installed.
        RegistryError: it could not be fetched.
        IntegrityError: other bytes were fetched than the pinned ones.
        StorageError: the cache cannot be written.
    """
    source = locate_model(text, settings.models)
    if source is not None:
        return source
    try:
        dequantise = importlib.import_module("skillpm.train.hf.model").dequantise
    except ImportError as error:
        raise TrainingError(f"no model can be prepared: {error}", hint="pip install 'skillpm-core[train]'") from None
    return prepare_model(KNOWN_MODELS[text], settings.models, dequantise)
