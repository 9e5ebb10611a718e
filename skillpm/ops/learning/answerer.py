"""Who answers: a base model, a run, or an adapter that is installed or lies in a folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from skillpm.errors import UsageError
from skillpm.formats.typed_path import typed_path
from skillpm.layout.filenames import ADAPTER
from skillpm.ops.context import Context
from skillpm.ops.learning.adapter import read_release
from skillpm.ops.learning.models import find_policy
from skillpm.ops.learning.runs import stored_adapter
from skillpm.ops.project.known_pages import adapter_recalls
from skillpm.train.base_model import known_name
from skillpm.train.run_folder import RunFolder


@dataclass(frozen=True, slots=True)
class Answerer:
    """Who answers: a base model, or a run's last adapter on top of its own.

    Attributes:
        model: a name that skillpm knows, a folder, or a hub id.
        adapter: a folder, or None.
        run: that trained it, or None.
    """

    model: str
    adapter: Path | None = None
    run: Path | None = field(default=None, compare=False)

    @classmethod
    def of_run(cls, run: Path) -> Answerer:
        """Return the model that a run has trained.

        Raises:
            UsageError: there is no such run, it is unfinished, or its adapter is missing.
            DocumentError: its manifest is wrong.
        """
        folder = RunFolder.open(run)
        return cls(folder.manifest.model, folder.saved_adapter(), run)

    @classmethod
    def of_model(cls, context: Context, text: str) -> Answerer:
        """Return the model that a person names: a base model, or an adapter, by its installed name or its folder.

        ``ADAPTER@MODEL`` names the base model too, where this machine knows it by another name than the adapter does.

        Raises:
            UsageError: there is no such model.
            LockOutOfDateError: the adapter is not in the store.
            PolicyError: it is in quarantine.
            DocumentError: the adapter's adapter.json is wrong.
        """
        name, _, base = text.partition("@")
        entry = context.lock().skill(name)
        folder = typed_path(name)
        if entry and entry.adapter:
            folder = stored_adapter(context.store, entry)
            for sentence in adapter_recalls(context, entry):
                context.note(f"warning: {sentence}")
        if (folder / ADAPTER).is_file():
            answerer = cls(base or known_name(read_release(folder).base_model), folder)
        else:
            answerer = cls(text)
        try:
            find_policy(context, answerer.model)
        except UsageError as error:
            if answerer.adapter is not None:
                error.hint = f"say where its base model is: `--model {name}@FOLDER`"
            raise
        return answerer

    @classmethod
    def installed_for(cls, context: Context, skill: str) -> Answerer | None:
        """Return the installed adapter that has learned a skill; None where there is none. Raises like ``of_model``."""
        entries = (entry for entry in context.lock().skills if entry.adapter and skill in entry.requires)
        return next((cls.of_model(context, entry.name) for entry in entries), None)
