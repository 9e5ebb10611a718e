"""``skillpm ci init``: the workflow of a CI system that checks skills and publishes them."""

from __future__ import annotations

import importlib.resources
import json
import os
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from shlex import quote
from urllib.parse import urlsplit

from skillpm import __version__
from skillpm.errors import ConflictError, UsageError
from skillpm.index.credentials import is_local, token_variable
from skillpm.layout.discovery import discover
from skillpm.storage.files import write_atomic

_PLAIN = re.compile(r"[A-Za-z0-9._/-]+\Z")  # what a shell and a CI system read as it is written
_ADDRESS = re.compile(r"https?://[][A-Za-z0-9:/._~%-]+\Z")
_MODEL = re.compile(r"https?://[][A-Za-z0-9:/._~%-]+#[A-Za-z0-9:/._-]+\Z")  # of a server
_NAMED = 5  # folders in a hint
_CONDITION = re.compile(r"@(TRUSTED|TOKEN|SIGN|KEYLESS|IDENTITY|ENV|EVAL)@")


class System(StrEnum):
    """A CI system."""

    GITHUB = "github"
    GITLAB = "gitlab"


class Signing(StrEnum):
    """Who signs what a workflow publishes."""

    KEY = "key"
    KEYLESS = "keyless"
    NOBODY = "nobody"


_FLAGS = {Signing.KEY: "", Signing.KEYLESS: " --keyless", Signing.NOBODY: " --no-sign"}
_FILES = {System.GITHUB: ".github/workflows/skills.yml", System.GITLAB: ".gitlab-ci.yml"}


@dataclass(frozen=True, slots=True)
class WorkflowOptions:
    """What the workflow does.

    Attributes:
        registry: the URL of the registry to which it publishes.
        skills: the folder of the skills, relative to the repository's.
        trusted: log in with the identity of the job; otherwise with a token.
        model: ``URL#MODEL`` of a server, whose answers with and without a skill a change request shows; empty for none.
    """

    registry: str
    skills: str = "."
    trusted: bool = False
    signing: Signing = Signing.KEY
    model: str = ""


def workflow(system: System, options: WorkflowOptions) -> str:
    """Return the text of a workflow.

    Raises:
        UsageError: the registry or the model is not a URL, or the folder has a name that a workflow cannot have.
    """
    try:
        parts = urlsplit(options.registry)
        extra = parts.query or parts.fragment or parts.username
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname) and not extra
        variable = token_variable(options.registry)
    except ValueError:
        is_web, variable = False, ""
    if not is_web or not _ADDRESS.match(options.registry):
        raise UsageError(
            f"`{options.registry[:200]}` is not the URL of a registry", hint="CI publishes to a server: https://…"
        )
    if parts.scheme == "http" and not is_local(parts.hostname):
        raise UsageError(
            "http would send the token of the registry unencrypted", hint="use the registry's https:// address"
        )
    if not _PLAIN.match(options.skills) or options.skills.startswith(("-", "/")) or ".." in options.skills.split("/"):
        raise UsageError(
            f"`{options.skills[:200]}` is not a plain path below this folder",
            hint="use a folder with letters, digits, `.`, `-` and `_` in its name",
        )
    try:
        is_model = bool(_MODEL.match(options.model) and token_variable(options.model.partition("#")[0]))
    except ValueError:  # such as a port that is none
        is_model = False
    if options.model and not is_model:
        raise UsageError(
            f"`{options.model[:200]}` is not a model of a server", hint="write it as `https://HOST/v1#MODEL`"
        )
    return _filled(system, options, variable)


def _filled(system: System, options: WorkflowOptions, variable: str) -> str:
    """Fill a template: lines whose condition holds, without its mark, then the values."""
    holds = {
        "TRUSTED": options.trusted, "TOKEN": not options.trusted, "SIGN": options.signing == Signing.KEY,
        "KEYLESS": options.signing == Signing.KEYLESS,
        "IDENTITY": options.trusted or options.signing == Signing.KEYLESS,
        "ENV": options.signing == Signing.KEY or not options.trusted, "EVAL": bool(options.model),
    }  # fmt: skip
    template = importlib.resources.files("skillpm.ops.authoring").joinpath("ci_templates", f"{system}.yml")
    lines = template.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = (line for line in lines if all(holds[name] for name in _CONDITION.findall(line)))
    text = "".join(_CONDITION.sub("", line) for line in kept)
    values = {
        "SKILLS": json.dumps(options.skills), "REGISTRY": json.dumps(options.registry.rstrip("/")),
        "SKILLPM": json.dumps(f"skillpm-core{'[sigstore]' * holds['KEYLESS']}=={__version__}"),
        "TOKEN_VARIABLE": variable, "SIGNING": _FLAGS[options.signing], "MODEL": json.dumps(options.model),
        "MODEL_VARIABLE": token_variable(options.model.partition("#")[0]) if options.model else "",
    }  # fmt: skip
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def _refuse_without_skills(repository: Path, typed: str) -> None:
    """Raise UsageError where a folder has no skills; the hint has those that the repository has elsewhere."""
    place = repository / typed
    if discover(place).skills:
        return
    problem = f"there is no skill in {place}" if place.is_dir() else f"there is no folder {place}"
    skills = [skill.relative_to(repository).as_posix() for skill in discover(repository).skills]
    above = sorted({skill.rpartition("/")[0] or skill for skill in skills})
    hint = f"make one with `skillpm new my-skill --directory {quote(typed)}`"
    if above:
        hint = f"the skills here are in {', '.join(above[:_NAMED])}: write `--skills {quote(above[0])}`"
    raise UsageError(problem, hint=hint)


def write_workflow(
    system: System, options: WorkflowOptions, folder: Path, *, dry_run: bool = False
) -> tuple[Path, str]:
    """Write the workflow into a repository; return its path and its text.

    Raises:
        UsageError: there is no skill in the folder, or what ``workflow`` raises.
        ConflictError: there is a workflow already.
    """
    text = workflow(system, options)
    _refuse_without_skills(folder, options.skills)
    target = folder / _FILES[system]
    if os.path.lexists(target):
        raise ConflictError(
            f"{target} already exists", hint="rename or remove it, or print the new one with `--dry-run`"
        )
    if not dry_run:
        write_atomic(target, text)
    return target, text
