"""The recipe of a training run: one YAML document, every field of which ``--set a.b=c`` can change.

Which kinds of stages there are, and so the model of a recipe, depends on the plugins that are installed.

Defaults and their sources: LoRA on all linear layers, alpha 32, no dropout ("LoRA Without Regret",
10.64434/tml.20250929); those of a stage stand with its kind.
"""

from __future__ import annotations

import math
import re
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializeAsAny,
    ValidationError,
    create_model,
    model_validator,
)

from skillpm.errors import DocumentError, UsageError
from skillpm.formats.document import Document, Format, Json, PlacedValueError, model_errors
from skillpm.formats.strict import PlainScalar
from skillpm.formats.strict_yaml import read_yaml
from skillpm.formats.typed_path import typed_path
from skillpm.model.synthesis import placed_scalars
from skillpm.model.template_arguments import check_template_arguments
from skillpm.model.training import SELF, STAGE_NAME, ModelName, Positive, Stage
from skillpm.train.base_model import KNOWN_MODELS
from skillpm.train.distil import Distil
from skillpm.train.grpo import Grpo
from skillpm.train.kinds import Kinds
from skillpm.train.refining import samples_with_vllm
from skillpm.train.sft import Sft

VLLM_RANK = 512
"""The highest rank of an adapter that vLLM takes."""
_OTHER_ARMS = ("base", "adapter")
_SYNTAX = "`skillpm schema recipe` shows every field; put quotes around a text with `: `, ` #`, brackets or braces"
_Rows = Annotated[int, Field(ge=0, le=10_000_000)]  # as many as `skillpm synth` makes


def _distinct(values: Any) -> Any:
    for place, value in enumerate(() if isinstance(values, str) else values):
        if value in values[:place]:
            raise PlacedValueError(f"{value} stands twice", place=(place,), hint="remove one of them")
    return values


def _finite(value: Any) -> Any:
    """Refuse the words of YAML for NaN and infinity, which JSON does not have; in quotes they are texts."""
    for place, item in placed_scalars(value):
        if isinstance(item, PlainScalar) and not _is_finite(item):
            raise PlacedValueError(f"{item} is not a number of JSON", place=place, hint="put quotes around a text")
    return value


def _is_finite(text: str) -> bool:
    try:
        return math.isfinite(float(re.sub(r"\.(?=[in])", "", text.lower())))
    except ValueError:  # a text
        return True


def _modules(target: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """Return a single name as a list: peft takes a text as a pattern that whole paths of modules have to match."""
    return (target,) if isinstance(target, str) and target != "all-linear" else target


_Distinct, _Modules = AfterValidator(_distinct), AfterValidator(_modules)
_TemplateArguments = Annotated[dict[str, Json], BeforeValidator(_finite), AfterValidator(check_template_arguments)]


class Rephrase(Document):
    """A model that writes training requests in other words; what it does not answer the same itself is not kept.

    Attributes:
        model: a known name, a folder, a hub id, or a server's URL#MODEL.
        share: of the training rows that it tries.
    """

    model: ModelName
    share: Annotated[float, Field(ge=0, le=1)] = 0.5


class Data(Document):
    """How many rows are made for each skill.

    Attributes:
        rows: to learn from in SFT stages.
        refine: kept away from SFT for the stages that refine by verdict; with 0 they use the same rows.
        held_out: with values and phrasings that training never shows, to measure with.
        evaluate: of each skill: held-out rows that the model answers when training ends, unless a stage `eval` is last.
        caps: of skills: at most so many of their rows to learn from.
        weights: of skills: how often an epoch of SFT has each of their rows; 0.5 takes every second row.
        traces: learn from what you approved and edited in `skillpm run`, too.
        rules: a document like synthesis.yaml, whose rules alone make the rows; a file, or one that the skill has.
        failures: a run, or an evaluation; rules that it answered wrongly get more rows.
        rephrase: let a model write training requests in other words.
    """

    rows: Annotated[int, Field(ge=1, le=10_000_000)] = 400
    refine: _Rows = 64
    held_out: _Rows = 50
    evaluate: _Rows = 20
    caps: dict[str, Positive] = Field(default_factory=dict)
    weights: dict[str, Annotated[float, Field(gt=0, le=100)]] = Field(default_factory=dict)
    traces: bool = False
    rules: str = ""
    failures: str = ""
    rephrase: Rephrase | None = None


class Lora(Document):
    """Low-rank adaptation (arXiv 2106.09685).

    Attributes:
        rank: of the update of each matrix.
        alpha: the update's scale is alpha / rank, with rslora alpha / the root of the rank.
        dropout: share of the adapter's inputs that is left out.
        target_modules: all-linear, or the names of the matrices that get an update.
        dora: learn the length of each matrix apart from its direction (arXiv 2402.09353).
        rslora: scale by the root of the rank, for high ranks (arXiv 2312.03732).
        quantization: nf4 keeps the model below the adapter in 4 bits a weight (QLoRA, arXiv 2305.14314).
    """

    rank: Annotated[int, Field(gt=0, le=1024)] = 16
    alpha: Annotated[int, Field(ge=1, le=1 << 16)] = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    target_modules: Annotated[str | Annotated[tuple[str, ...], Field(min_length=1)], _Distinct, _Modules] = "all-linear"
    dora: bool = False
    rslora: bool = False
    quantization: Literal["none", "nf4"] = "none"


class Recipe(Document):
    """Everything that decides a run beside the skills themselves.

    Attributes:
        recipe: the version of this format.
        name: of the run folder.
        model: smollm2-135m, a model's folder, or a hub id.
        skills: what to train on; all installed skills if empty.
        seed: of all chance.
        dtype: of the weights; auto is bfloat16 where the processor has units for it, and float32 to tune all weights.
        tune: lora trains an adapter, full all weights of the model; take about a tenth of LoRA's learning rate then.
        layers: train these layers alone, counted from 0; all if empty.
        adapter: begin from one of the same model: of a run, installed, or in a folder. Its own settings replace lora.
        gradient_checkpointing: compute activations twice and keep fewer, which takes less memory and more time.
        chat_template_kwargs: handed to the model's chat template; without any, thinking is switched off where it can.
        report_to: programs that show the figures of each step while it trains; none by default.
        checkpoint_seconds: between two checkpoints of a stage; 0 saves one after each step.
        data: how many rows.
        lora: of the adapter.
        stages: in this order, on one model. A distribution can bring further kinds: skillpm_trainers of docs/hooks.md.
    """

    recipe: Format = 1
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,47}$")] = "run"
    model: ModelName = "smollm2-135m"
    skills: tuple[str, ...] = ()
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    tune: Literal["lora", "full"] = "lora"
    layers: Annotated[tuple[Annotated[int, Field(ge=0, lt=10_000)], ...], _Distinct] = ()
    adapter: str = ""
    gradient_checkpointing: bool = False
    chat_template_kwargs: _TemplateArguments = Field(default_factory=dict)
    report_to: Annotated[tuple[Literal["trackio", "tensorboard", "wandb"], ...], _Distinct] = ()
    checkpoint_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 60.0
    data: Data = Data()
    lora: Lora = Lora()
    stages: tuple[SerializeAsAny[Stage], ...] = (Sft(kind="sft"), Grpo(kind="grpo"))

    @property
    def teachers(self) -> tuple[str, ...]:
        """The other models that its stages learn from."""
        names = (stage.teacher for stage in self.stages if isinstance(stage, Distil))
        return tuple(dict.fromkeys(name for name in names if name != SELF))

    @property
    def uses_vllm(self) -> bool:
        """Does a stage learn from answers that vLLM samples?"""
        return any(samples_with_vllm(stage) for stage in self.stages)

    @model_validator(mode="after")
    def _vllm_takes_the_policy(self) -> Recipe:
        wrong = {
            "`tune` is `lora`": self.tune == "full",
            "`lora.dora` is off": self.lora.dora,
            "`lora.quantization` is `none`": self.lora.quantization != "none",
            f"`lora.rank` is at most {VLLM_RANK}": self.lora.rank > VLLM_RANK,
        }
        for rule, broken in wrong.items():
            if broken and self.uses_vllm:
                raise ValueError(f"vLLM takes each policy as an adapter to the model's own weights, so {rule}")
        return self

    @model_validator(mode="after")
    def _stages_have_names(self) -> Recipe:
        names = [stage.name for stage in self.stages]
        for place, name in enumerate(names):
            if not re.fullmatch(STAGE_NAME, name):
                problem = f"`{name[:80]}` is not a stage name: use at most 32 lower-case letters, digits and hyphens"
                raise PlacedValueError(problem, place=("stages", place, "name"))
            if name in _OTHER_ARMS:
                problem = f"`{name}` is what evaluations call the model before it is trained"
                hint = f"give it another name, such as `name: {name}-2`"
                raise PlacedValueError(problem, place=("stages", place, "name"), hint=hint)
            if name in names[:place]:
                raise PlacedValueError(f"two stages are named {name}", place=("stages", place), hint=_own_name(name))
        if self.adapter and self.tune == "full":
            raise ValueError("`adapter` is an adapter to go on with, so `tune` is `lora`")
        if self.adapter and self.layers:
            raise ValueError("`adapter` has its own layers: remove `layers`")
        if self.lora.quantization != "none" and self.tune == "full":
            raise ValueError("weights of 4 bits cannot be trained: remove `lora.quantization`, or set `tune: lora`")
        return self


def recipe_model(kinds: Kinds) -> type[Recipe]:
    """Return the model of recipes whose stages are of these kinds."""
    settings: Any = reduce(or_, (trainer.settings for trainer in kinds.trainers.values()))
    stages = tuple[Annotated[settings, Field(discriminator="kind")], ...]
    default = Recipe.model_fields["stages"].default
    field = (stages, Field(default, min_length=1))
    return create_model("Recipe", __base__=Recipe, __doc__=Recipe.__doc__, stages=field)


def load_recipe(path: Path | None, text: str | None, changes: tuple[str, ...], kinds: Kinds) -> Recipe:
    """Read a recipe and apply ``--set`` changes.

    Args:
        path: for messages; None for the default recipe.
        text: the YAML, or None for the default recipe.
        changes: ``a.b=value``; a stage is addressed by its name: ``stages.sft.epochs=2``.
        kinds: of stages, each with the model of its settings.

    Raises:
        DocumentError: the recipe is wrong, with path and line.
        UsageError: a change is wrong.
    """
    name = str(path) if path else "recipe"
    try:
        root = {} if text is None else read_yaml(text, path=name)
    except DocumentError as error:
        error.hint = _SYNTAX
        raise
    root = {} if root is None else root
    if not isinstance(root, dict):
        raise DocumentError("must be a mapping", path=name, line=1, hint=_SYNTAX)
    model = recipe_model(kinds)
    recipe = _validated(model, root, name, kinds)
    if not changes:
        return recipe
    document = recipe.model_dump(mode="json")
    for change in changes:
        _apply(document, change)
    return _validated(model, document, "--set", kinds)


def _validated(model: type[Recipe], root: dict[str, Any], path: str, kinds: Kinds) -> Recipe:
    try:
        return model.model_validate(root)
    except ValidationError as error:
        first = model_errors(error, root, path=path, model=model)[0]
        rule, hint = first.rule, first.hint or "`skillpm schema recipe` shows every field"
        detail = error.errors(include_url=False)[0]
        if detail["type"].startswith("union_tag_"):  # of the kinds of stages, the only such union
            place = ".".join(map(str, detail["loc"]))
            kind = str(detail.get("ctx", {}).get("tag", ""))[:80]
            rule = f"`{place}`: no kind of stage `{kind}`" if kind else f"missing key `{place}.kind`"
            hint = kinds.hint(kind)
        raise DocumentError(rule, path=path, line=first.line, hint=hint) from None


def _apply(document: dict[str, Any], change: str) -> None:
    keys, equals, value = change.partition("=")
    steps = keys.split(".")
    if not equals or not all(steps):
        raise UsageError(f"`--set {change}` is not a change", hint="write `--set key.key=value`")
    node: Any = document
    for step in steps[:-1]:
        node = _child(node, step, change)
    if not isinstance(node, dict):
        raise UsageError(f"`--set {change}`: `{steps[-2]}` has no fields", hint="see `skillpm train --dry-run`")
    node[steps[-1]] = read_yaml(value, path=f"--set {change}")


def _child(node: Any, step: str, change: str) -> Any:
    if isinstance(node, dict) and step in node:
        return node[step]
    stages = [item for item in node if isinstance(item, dict)] if isinstance(node, list) else []
    names = [str(item.get("name", item.get("kind"))) for item in stages]  # a change may have written no name
    if names.count(step) > 1:
        raise UsageError(f"`--set {change}`: two stages are named {step}", hint=_own_name(step))
    if step in names:
        return stages[names.index(step)]
    hint = f"known here: {', '.join(sorted(node) if isinstance(node, dict) else names) or 'nothing'}"
    raise UsageError(f"`--set {change}`: no `{step}`", hint=hint)


def _own_name(name: str) -> str:
    return f"give one of them a name of its own, such as `name: {name[:29]}-2`"


def with_whole_paths(recipe: Recipe) -> Recipe:
    """Return a recipe whose folders of models, skills and an adapter are named by whole paths.

    Such a recipe, and the run that stores it, means the same wherever it is read.
    """

    def model(text: str) -> str:
        path = typed_path(text)
        return str(path.resolve()) if text not in (*KNOWN_MODELS, SELF) and path.is_dir() else text

    def typed_as_path(text: str) -> str:  # else it is a run, or what is installed
        return model(text) if "/" in text or text.startswith((".", "~")) else text

    stages = (
        stage.model_copy(update={"teacher": model(stage.teacher)}) if isinstance(stage, Distil) else stage
        for stage in recipe.stages
    )
    changes = {
        "model": model(recipe.model),
        "skills": tuple(map(typed_as_path, recipe.skills)),
        "adapter": typed_as_path(recipe.adapter),
        "stages": tuple(stages),
    }
    return recipe.model_copy(update=changes)
