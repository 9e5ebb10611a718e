"""The card of a run: what an adapter is, what it was made of, what it reached, and how to use it.

card.md and the README.md of each adapter are the same page, so an adapter that is handed on says what it is. A card
names no path of the machine that made it.
"""

from __future__ import annotations

from collections.abc import Iterator

from skillpm.model.run import RunFigure, RunManifest
from skillpm.train.base_model import KNOWN_MODELS, portable_name


def cards(manifest: RunManifest) -> dict[str, str]:
    """Return every card of a run, by its path relative to the run folder."""
    text = model_card(manifest)
    adapters = ["adapter", *dict.fromkeys(manifest.adapters.values())]
    return {"card.md": text, **{f"{adapter}/README.md": text for adapter in adapters}}


def model_card(manifest: RunManifest) -> str:
    """Return the card: Markdown behind the front matter that model hubs read."""
    sections = [*_front(manifest), *_skills(manifest), *_data(manifest), *_stages(manifest), *_results(manifest)]
    return "\n".join([*sections, *_use(manifest)]) + "\n"


def _front(manifest: RunManifest) -> Iterator[str]:
    known = KNOWN_MODELS.get(manifest.model)
    base = manifest.base_model or portable_name(manifest.model)
    yield "---"
    yield f"base_model: {base}"
    yield f"library_name: {'transformers' if manifest.tune == 'full' else 'peft'}"
    yield "pipeline_tag: text-generation"
    if known is not None:
        yield f"license: {known.license.lower()}"
    yield from ("---", "", f"# {manifest.name}", "")
    revision = f" at revision `{manifest.base_revision}`" if manifest.base_revision else ""
    what = "All weights of" if manifest.tune == "full" else "A LoRA adapter of"
    yield f"{what} `{base}`{revision}, trained on {manifest.created}, seed {manifest.seed}."
    if known is not None:
        yield ""
        yield f"It was trained on the 4-bit weights of `{known.distribution}`, SHA-256 `{known.sha256}`, expanded to"
        yield f"32 bits; `skillpm model prepare {known.name}` makes the same weights."


def _skills(manifest: RunManifest) -> Iterator[str]:
    yield from ("", "## Skills", "", "| skill | version | tree (SHA-256) |", "|---|---|---|")
    yield from (f"| {skill.name} | {skill.version} | `{skill.tree}` |" for skill in manifest.skills)


def _data(manifest: RunManifest) -> Iterator[str]:
    yield from ("", "## Data", "")
    yield "Requests are synthesised from the skills' rules: the expected answer is drawn first, the request is phrased"
    yield "after it, and every row passes the skill's own verifier. No row is in a suite."
    if manifest.rows:
        yield from ("", "| skill | rows of SFT | rows to refine on | held-out rows |", "|---|---|---|---|")
        yield from (f"| {name} | {n.train} | {n.refine} | {n.held_out} |" for name, n in manifest.rows.items())


def _stages(manifest: RunManifest) -> Iterator[str]:
    yield from ("", "## Stages", "", "| stage | kind | steps | seconds |", "|---|---|---|---|")
    yield from (f"| {stage.name} | {stage.kind} | {stage.steps} | {stage.seconds:.0f} |" for stage in manifest.stages)


def _results(manifest: RunManifest) -> Iterator[str]:
    shown = manifest.shown_evaluation
    yield from ("", "## Results", "")
    if shown is None:
        yield "Not evaluated yet."
        return
    part = "" if shown.whole else " of a part of the tasks"
    yield f"Share of exact answers{part}, with 95 % intervals. Answers are greedy."
    yield from ("", "| skill | task set | arm | tasks | exact |", "|---|---|---|---|---|")
    yield from (f"| {f.skill} | {f.task_set} | {f.arm} | {f.tasks} | {_share(f)} |" for f in shown.figures)


def _share(figure: RunFigure) -> str:
    if figure.exact is None or figure.low is None or figure.high is None:
        return "not judged"
    return f"{figure.exact * 100:.1f} % [{figure.low * 100:.1f}, {figure.high * 100:.1f}]"


def _use(manifest: RunManifest) -> Iterator[str]:
    yield from ("", "## Use", "")
    yield "It answers a request for the skills' tools with one JSON object and nothing else. It is a language model, so"
    yield "check every answer against the skill's contract, and ask a person before anything is run."
    versions = ", ".join(f"{name} {version}" for name, version in sorted(manifest.versions.items()))
    if versions:
        yield from ("", f"Made with {versions}.")
