"""Who answers: a base model, a run, or an adapter that is installed or lies in a folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

from skillpm.errors import UsageError
from skillpm.formats.typed_path import typed_path
from skillpm.layout.filenames import ADAPTER, CONFIGURATION
from skillpm.ops.context import Context
from skillpm.ops.learning.adapter import read_release, run_of
from skillpm.ops.learning.models import find_policy
from skillpm.ops.learning.runs import configured_base, stored_adapter
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
        """Return the model that a person names: a base model, or what ``of_adapter`` reads. Raises as that does."""
        adapter = cls.of_adapter(context, text)
        if adapter is not None:
            return adapter
        find_policy(context, text)
        return cls(text)

    @classmethod
    def of_adapter(cls, context: Context, text: str, option: str = "--model ") -> Answerer | None:
        """Return what was trained, that a person names; None for another word.

        It is an installed adapter's name, or a folder: a packed adapter, one of a run, or any that PEFT has saved.
        ``ADAPTER@MODEL`` names the base model too, where this machine knows it by another name than the adapter does.
        A hint has ``option`` before that.

        Raises:
            UsageError: its base model is not here.
            LockOutOfDateError: the adapter is not in the store.
            PolicyError: it is in quarantine.
            DocumentError: adapter.json, or the manifest of its run, is wrong.
        """
        name, _, base = (text, "", "") if typed_path(text).is_dir() else text.partition("@")
        entry = context.lock().skill(name)
        folder = typed_path(name).absolute()
        if entry and entry.adapter:
            folder = stored_adapter(context.store, entry)
            for sentence in adapter_recalls(context, entry):
                context.note(f"warning: {sentence}")
        trained = folder.name == "adapter" and run_of(folder) is not None
        if not (trained or any((folder / file).is_file() for file in (ADAPTER, CONFIGURATION))):
            return None
        try:
            answerer = cls(base or _base_of(folder), folder)
            find_policy(context, answerer.model)
        except UsageError as error:
            error.hint = f"say where its base model is: `{option}{quote(name)}@FOLDER`"
            raise
        return answerer

    @classmethod
    def installed_for(cls, context: Context, skill: str) -> Answerer | None:
        """Return the installed adapter that has learned a skill; None where there is none. Raises like ``of_model``."""
        entries = (entry for entry in context.lock().skills if entry.adapter and skill in entry.requires)
        return next((cls.of_model(context, entry.name) for entry in entries), None)


def _base_of(adapter: Path) -> str:
    """Return the base model of an adapter as this machine knows it. Raises UsageError where nothing names it."""
    if (adapter / ADAPTER).is_file():
        return known_name(read_release(adapter).base_model)
    if run := run_of(adapter):
        return run.manifest.model
    base = configured_base(adapter)
    if base is None:
        raise UsageError(f"{adapter / CONFIGURATION} does not name the base model of the adapter")
    return known_name(base)
