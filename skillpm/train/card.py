"""card.md of a run: what an adapter is, what it was made of, and how to load it."""

from __future__ import annotations

from skillpm.model.run import RunManifest
from skillpm.train.base_model import KNOWN_MODELS
from skillpm.train.plan import TrainPlan


def model_card(manifest: RunManifest, plan: TrainPlan) -> str:
    """Return the card, Markdown."""
    known = KNOWN_MODELS.get(manifest.model)
    skills = "\n".join(f"| {skill.name} | {skill.version} | `{skill.tree}` |" for skill in manifest.skills)
    stages = "\n".join(f"| {s.name} | {s.kind} | {s.steps} | {s.seconds:.0f} |" for s in manifest.stages)
    counts = plan.document()
    rows = "\n".join(
        f"| {name} | {n} | {counts['refine'][name]} | {counts['held_out'][name]} |"
        for name, n in counts["rows"].items()
    )
    versions = ", ".join(f"{name} {version}" for name, version in sorted(manifest.versions.items()))
    base = f"`{manifest.model}`{f' ({known.license})' if known else ''}"
    return f"""# {manifest.name}

A LoRA adapter of {base}, made on {manifest.created}, seed {manifest.seed}.

## Skills

| skill | version | tree (SHA-256) |
|---|---|---|
{skills}

## Data

Requests are synthesised from the skills' rules: the expected answer is drawn first, the request phrased after, and
every row passes the skill's own verifier. Held-out rows use values and phrasings that training never shows. No row
stands in a suite.

| skill | rows of SFT | rows to refine on | held-out rows |
|---|---|---|---|
{rows}

## Stages

| stage | kind | optimiser steps | seconds |
|---|---|---|---|
{stages}

## Use

`adapter/` is the last stage's; each stage's own is in `stages/NAME/adapter/`. It answers the skills' tool calls and
nothing else: check every answer against the skill's contract, and ask a person, before anything is run.

```
skillpm eval --run .
```

Made with {versions}.
"""
