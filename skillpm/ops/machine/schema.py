"""``skillpm schema``: the JSON Schema of each document, generated from its model, for editors and programs."""

from __future__ import annotations

import importlib
from typing import Any

from pydantic import TypeAdapter

from skillpm.errors import UsageError
from skillpm.model.name import did_you_mean
from skillpm.ops.context import Context
from skillpm.train.kinds import BUILT_IN
from skillpm.train.recipe import recipe_model

DIALECT = "https://json-schema.org/draft/2020-12/schema"

# name: (model, the document's file or place)
DOCUMENTS = {
    "frontmatter": ("skillpm.model.manifest:Frontmatter", "the frontmatter of SKILL.md"),
    "skill": ("skillpm.model.manifest:Manifest", "skill.yaml"),
    "contract": ("skillpm.model.contract:ContractDocument", "contract.yaml"),
    "synthesis": ("skillpm.model.synthesis:SynthesisDocument", "synthesis.yaml"),
    "seed": ("skillpm.model.task:Seed", "one line of seeds/*.jsonl"),
    "suite": ("skillpm.model.suite:Suite", "suites/*.yaml"),
    "case": ("skillpm.model.suite:Case", "one line of cases.jsonl"),
    "evals": ("skillpm.model.suite:AgentSkillsEvals", "evals/evals.json in the dialect of agentskills.io"),
    "nvidia-eval": ("skillpm.model.suite:NvidiaEval", "one row of evals/evals.json in the dialect of NVIDIA/skills"),
    "task": ("skillpm.model.task:Task", "one line of a run's data/*.jsonl"),
    "episode": ("skillpm.model.episode:Episode", "one attempt at a task"),
    "verdict": ("skillpm.model.verdict:Verdict", "what a verifier returns"),
    "judgement": ("skillpm.model.verdict:Judgement", "what scoring returns"),
    "recipe": ("skillpm.train.recipe:Recipe", "what `skillpm train --recipe` reads"),
    "run": ("skillpm.model.run:RunManifest", "manifest.json of a run folder"),
    "adapter": ("skillpm.model.adapter:AdapterRelease", "adapter.json of a packed adapter"),
    "evaluation": ("skillpm.model.evaluation:Evaluation", "evaluation.json, and evals/*.json of a run folder"),
    "profile": ("skillpm.synth.profile:Profile", "data/profile.json"),
    "project": ("skillpm.model.project:ProjectDocument", "skillpm.yaml"),
    "user": ("skillpm.model.project:UserDocument", "config.yaml in the user's configuration folder"),
    "lock": ("skillpm.model.lock:Lock", "skillpm.lock"),
    "page": ("skillpm.model.release:Page", "skills/NAME.json of a registry"),
    "release": ("skillpm.model.release:Release", "one release of a page"),
    "listing": ("skillpm.model.release:RegistryListing", "listing.json of a registry"),
    "registry": ("skillpm.model.release:RegistryConfig", "config.json of a registry"),
}


def document_schema(name: str, context: Context | None = None) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a document; a recipe's has the stage kinds of the context's plugins.

    Raises:
        UsageError: there is no document of that name.
        PluginError: a plugin adds something that is not a trainer.
    """
    if name not in DOCUMENTS:
        hint = did_you_mean(name, DOCUMENTS, "run `skillpm schema` to list the documents")
        raise UsageError(f"there is no document `{name[:80]}`", hint=hint)
    module, _, attribute = DOCUMENTS[name][0].partition(":")
    model = getattr(importlib.import_module(module), attribute)
    if name == "recipe":
        model = recipe_model(BUILT_IN if context is None else context.stage_kinds)
    return {"$schema": DIALECT, **TypeAdapter(model).json_schema(by_alias=True)}
