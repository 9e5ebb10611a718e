"""What a file of ``accelerate config`` asks for, and how the model and the optimiser are to be shared out by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skillpm.errors import UsageError
from skillpm.formats.strict import read_json
from skillpm.formats.strict_yaml import read_yaml
from skillpm.storage.files import expect_file, read_text

_LONGEST = 253  # characters of a domain name
_OFFLOADS = ("offload_optimizer_device", "offload_param_device", "offload_optimizer", "offload_param", "cpu_offload")


@dataclass(frozen=True, slots=True)
class AccelerateFile:
    """A file of accelerate or of DeepSpeed, or a part of one.

    Attributes:
        path: of the file.
        settings: by their names.
    """

    path: Path
    settings: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> AccelerateFile:
        """Read a YAML file. Raises UsageError, StorageError, DocumentError."""
        expect_file(path, "name a file that `accelerate config` wrote")  # the processes read it, too
        return cls._of(path, read_yaml(read_text(path), path=str(path)))

    @classmethod
    def _of(cls, path: Path, settings: Any) -> AccelerateFile:
        return cls(path, settings if isinstance(settings, dict) else {})

    def below(self, name: str) -> AccelerateFile:
        """Return the part below a setting; an empty one where it is missing."""
        return self._of(self.path, self.settings.get(name))

    def text(self, name: str) -> str:
        """Return a setting; empty where it is missing. The longest that one may be is the name of a machine."""
        value = self.settings.get(name)
        return "" if value is None else str(value)[:_LONGEST]

    def is_true(self, name: str) -> bool:
        """Is a setting on?"""
        return self.text(name).lower() == "true"

    def number(self, name: str, least: int, most: int, hint: str) -> int:
        """Return a setting that is a whole number. Raises UsageError where it is missing or not within its bounds."""
        text = self.text(name)
        if text.isdecimal() and least <= int(text) <= most:
            return int(text)
        raise UsageError(f"{self.path}: `{name}` is {text or 'missing'}, not {least} to {most}", hint=hint)

    def check_sharding(self) -> None:
        """Raise UsageError where it asks for another sharding than FSDP2 on the devices."""
        asked = self.below("fsdp_config")
        if asked.text("fsdp_version") != "2":
            raise UsageError(
                f"{self.path}: `fsdp_version` is {asked.text('fsdp_version') or 'missing'}, not 2",
                hint="set `fsdp_version: 2` below `fsdp_config`",
            )
        if asked.is_true("fsdp_offload_params"):
            raise UsageError(
                f"{self.path}: `fsdp_offload_params` is true, and skillpm keeps the shares on the devices",
                hint="set it to false, or use more processes",
            )

    @property
    def deepspeed(self) -> Path | None:
        """DeepSpeed's own file, where this one names it."""
        named = self.below("deepspeed_config").text("deepspeed_config_file")
        return Path(named).absolute() if named else None

    def zero(self, deepspeed: Path | None) -> dict[str, Any]:
        """Return what DeepSpeed is told of ZeRO: ``stage``, 1 or 2, and other settings of ``zero_optimization``.

        ``deepspeed`` is DeepSpeed's own file, which decides where there is one.

        Raises:
            UsageError: it asks for another stage, for memory that is not the devices', or for what the recipe says.
            StorageError, DocumentError: DeepSpeed's own file cannot be read.
        """
        if deepspeed is None:
            return {"stage": self.below("deepspeed_config")._zero_stage("zero_stage")}
        own = self._of(deepspeed, read_json(read_text(deepspeed), path=str(deepspeed)))
        own._check_recipe()
        asked = own.below("zero_optimization")
        settings = {name: value for name, value in asked.settings.items() if value != "auto"}
        return {**settings, "stage": asked._zero_stage("stage")}

    def _zero_stage(self, name: str) -> int:
        """Return the stage of ZeRO. Raises UsageError where the memory is to be that of the machine, or of a disk."""
        stage = self.text(name)
        if stage not in ("1", "2"):
            hint = f"set `{name}: 2`"
            if stage == "3":
                hint += ", or `distributed_type: FSDP` with `fsdp_version: 2`, which shares the weights out, too"
            raise UsageError(f"{self.path}: `{name}` is {stage or 'missing'}, not 1 or 2", hint=hint)
        for offload in _OFFLOADS:
            value = self.settings.get(offload)
            device = self.below(offload).text("device") if isinstance(value, dict) else self.text(offload)
            if device.lower() not in ("", "none", "false"):
                raise UsageError(
                    f"{self.path}: `{offload}` is {device}, and skillpm keeps the shares on the devices",
                    hint="remove it, or use more processes",
                )
        return int(stage)

    def _check_recipe(self) -> None:
        """Raise UsageError where DeepSpeed's own file would decide what the recipe decides."""
        for name in ("optimizer", "scheduler"):
            if name in self.settings:
                raise UsageError(
                    f"{self.path}: `{name}` is set, and the recipe's stages set it",
                    hint=f"remove `{name}`; `skillpm schema recipe` shows the settings of a stage",
                )
        for name in ("fp16", "bf16"):
            if self.below(name).is_true("enabled"):
                raise UsageError(
                    f"{self.path}: `{name}` is on, and the recipe sets the data type",
                    hint=f"remove `{name}`; `--set dtype=bfloat16` halves the weights",
                )
