"""synthesis.yaml: sample the target first, phrase the request after. Behaviour lives in ``skillpm.synth``.

```yaml
synthesis: 1
held_out: 0.2                     # share of each pool's values and of each list of phrasings that training never shows
slips: 0.05                       # optional: share of rows with a typing slip: two letters of a word that is no value
framed: 0.5                       # optional: share of rows with one of the frames; all by default
frames: ["{request}", "Please {request}.", "Could you {request}?"]      # optional: wrapped around requests
clauses:                          # optional: for every task that draws the slot and has no clauses of its own for it
  port: ["on port {port}", "listening on {port}"]
values:
  port: {integers: [3000, 9000]}
  tag: {template: "{repository}:{release}"}                             # built from other pools
  repository: {choice: [shop, acme/shop]}
  amount: {schema: {type: number, minimum: 0, maximum: 9}}              # any JSON Schema
  day: {dates: [2026-01-01, 2027-12-31], forms: ["%Y-%m-%d", "%A, %-d %B %Y"]}
  topic: {words: nouns}                                                 # 1,477 common nouns
  tags: {list: tag, length: [1, 4]}                                     # lists of values of another pool
  release: {choice: [{value: v1, weight: 5}, "2.0"]}
  span: {choice: [{value: 60, texts: [a minute, 60 seconds]}, {value: 300, texts: [five minutes]}]}
tasks:
  - name: dev
    weight: 3
    tool: dev
    draw:                         # slots: from which pool, how often at all, and the value while not drawn (else null);
                                  # `relative_to: SLOT` counts days and times from those of another slot
      port: {from: port, probability: 0.7}
      no_browser: {from: [true], probability: 0.25}
    args: {port: "{port}", no_browser: "{no_browser}"}    # "{slot}" alone keeps the type; with more text it is a string
    requests: ["start the dev server [*]", "bring up local development [port] [no_browser]"]
    clauses:                      # [slot] is replaced by one of these while the slot is drawn, [*] by all the others
      no_browser: ["without opening a browser"]
    constraints: [{at_most_one: [port, no_browser]}]      # also at_least_one, different, ascending (numbers, texts)
    ask: {slots: [port], weight: 0.3}     # rows that leave the slot unsaid; the answer asks for its argument
  - name: small_talk
    refuse: off_topic                     # or `answer: TEXT`, in place of `tool` and `args`
    requests: ["tell me a joke", "what is the weather like"]
```
Arguments of the tool that ``args`` does not name are null. A request is taken only where it says every drawn slot (by
``{slot}``, ``[slot]`` or ``[*]``) and no other; a slot that is always drawn with one value need not be said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from itertools import chain
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from skillpm.formats.document import Document, Format, Json, PlacedValueError
from skillpm.model.answer_kind import AnswerKind, RefusalReason
from skillpm.model.json_schema import refuse_remote_references
from skillpm.model.name import did_you_mean
from skillpm.model.schema_contradictions import refuse_contradictions, refuse_invalid, refuse_uncompiled
from skillpm.model.task import not_blank

SLOT = re.compile(r"\{([a-z][a-z0-9_]*)\}")  # {port}
CLAUSE = re.compile(r"\[([a-z][a-z0-9_]*|\*)\]")  # [port], [*]
DIRECTIVE = re.compile(r"%(?:-?[dm]|[YBbAa])")  # of strftime(3), in a form of days
MAX_DATES = 10_000  # of one pool
Location = tuple[int | str, ...]
SlotName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Share = Annotated[float, Field(ge=0, le=1)]
Phrasing = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(not_blank)]
Phrasings = Annotated[tuple[Phrasing, ...], Field(min_length=1)]


class Entry(Document):
    """A value of a pool.

    Attributes:
        texts: the ways in which a person says it; None where it is said as it is.
        weight: how often it is drawn, beside the other members.
    """

    value: Json
    texts: Phrasings | None = None
    weight: Annotated[int, Field(ge=1, le=1000)] = 1


def entry_of(item: Any) -> Entry:
    """Return a member of a pool as an entry."""
    return item if isinstance(item, Entry) else Entry.made(value=item, texts=None, weight=1)


def _item(value: Any) -> Any:
    """Read one member of a pool: an Entry where it has texts or a weight of its own, else a JSON value."""
    if not isinstance(value, dict) or not {"value"} < set(value):
        return value
    for key in sorted(set(value) - {*Entry.model_fields}):
        if near := did_you_mean(key, ("texts", "weight")):
            hint = f"{near} An object that is a value stands in another one: `{{value: {{value: …, {key}: …}}}}`"
            raise PlacedValueError(f"unknown key `{key}` beside `value`", place=(key,), hint=hint)
    return Entry.model_validate(value) if set(value) <= {*Entry.model_fields} else value


Items = Annotated[tuple[Annotated[Json, BeforeValidator(_item)], ...], Field(min_length=1)]


Integer = Annotated[int, Field(ge=-(10**100), le=10**100)]  # beyond 10**308 chance, a float, cannot draw


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError("must be a day such as 2026-03-01") from None


Day = Annotated[str, AfterValidator(_day)]


def _form_of_days(text: str) -> str:
    if "%" in (rest := DIRECTIVE.sub("", text)) or rest == text:
        raise ValueError("is written with %Y, %m, %-m, %d, %-d, %B, %b, %A and %a")
    return text


def _schema(schema: dict[str, Any]) -> dict[str, Any]:
    refuse_remote_references(schema)
    for refuse in (refuse_contradictions, refuse_invalid, refuse_uncompiled):
        refuse(schema)
    return schema


Length = Annotated[int, Field(ge=1, le=16)]


class Pool(Document):
    """A named set of values: exactly one of seven.

    Attributes:
        forms: the ways in which a request says ``dates``; all of one request in the same one.
        length: the fewest and the most members of a list.
    """

    integers: tuple[Integer, Integer] | None = None
    dates: tuple[Day, Day] | None = None
    forms: Annotated[
        tuple[Annotated[str, Field(max_length=100), AfterValidator(_form_of_days)], ...], Field(min_length=1)
    ] = ("%Y-%m-%d",)
    choice: Items | None = None
    words: Literal["nouns"] | None = None
    template: str | None = None
    json_schema: Annotated[dict[str, Json], AfterValidator(_schema)] | None = Field(default=None, alias="schema")
    members: str | None = Field(default=None, alias="list")
    length: tuple[Length, Length] = (1, 3)

    @property
    def parts(self) -> tuple[str, ...]:
        """The pools that its values are made of, by name."""
        return (self.members,) if self.members is not None else tuple(SLOT.findall(self.template or ""))

    @model_validator(mode="after")
    def _has_one_form(self) -> Pool:
        every = (self.integers, self.dates, self.choice, self.words, self.template, self.json_schema, self.members)
        if sum(form is not None for form in every) != 1:
            forms = "`integers`, `dates`, `choice`, `words`, `template`, `schema`, `list`"
            raise ValueError(f"needs exactly one of {forms}")
        if "length" in self.model_fields_set and self.members is None:
            raise ValueError("`length` is that of a `list`")
        if self.length[0] > self.length[1]:
            raise ValueError("`length` is [fewest, most]")
        if self.integers is not None and self.integers[0] > self.integers[1]:
            raise ValueError("`integers` is [lowest, highest]")
        if self.dates is None and "forms" in self.model_fields_set:
            raise ValueError("`forms` needs `dates`")
        if self.dates is not None and not 1 <= len(self.days) <= MAX_DATES:
            raise ValueError(f"`dates` is [first, last], with at most {MAX_DATES:,} days")
        return self

    @property
    def days(self) -> range:
        """The days of ``dates``, as ``date.toordinal`` counts them."""
        first, last = (date.fromisoformat(day).toordinal() for day in self.dates or ("0001-01-02", "0001-01-01"))
        return range(first, last + 1)


def _form_of_source(value: Any) -> str:
    return "tag-pool" if isinstance(value, str) else "tag-values"


Source = Annotated[
    Annotated[str, Tag("tag-pool")] | Annotated[Items, Tag("tag-values")], Discriminator(_form_of_source)
]


class Draw(Document):
    """How a slot is filled; ``source`` is a pool's name or an inline list of values.

    Attributes:
        relative_to: a slot of days or times. The values of the source are then spans (``3 days``, ``friday``,
            ``09:00``), and that of the slot is the day or the time to which the span leads from there.
    """

    source: Source = Field(alias="from")
    probability: Share = 1.0
    otherwise: Json = None
    relative_to: SlotName | None = None


class Constraint(Document):
    """A rule between the slots of one task; a sample that breaks it is drawn again."""

    at_most_one: tuple[str, ...] = ()
    at_least_one: tuple[str, ...] = ()
    different: tuple[str, ...] = ()
    ascending: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _compares_slots(self) -> Constraint:
        if not self.slots():
            hint = "such as `{different: [from, to]}`, or remove it"
            raise PlacedValueError("needs `at_most_one`, `at_least_one`, `different` or `ascending`", hint=hint)
        for name in ("at_most_one", "different", "ascending"):
            if len(slots := getattr(self, name)) == 1:
                hint = f"name the slots that `{slots[0]}` is held against, or remove it"
                raise PlacedValueError("needs two slots or more", place=(name,), hint=hint)
        return self

    def slots(self) -> set[str]:
        """Return the slots that it names."""
        return {*self.at_most_one, *self.at_least_one, *self.different, *self.ascending}


Weight = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]


class Ask(Document):
    """Requests of a task that leave out a value which its tool needs; the right answer asks for it.

    Attributes:
        slots: each row leaves one or more of these unsaid.
        weight: how many rows they get, beside the tasks.
        requests: their phrasings; those of the task where None.
    """

    slots: Annotated[tuple[SlotName, ...], Field(min_length=1)]
    weight: Weight = 0.2
    requests: Phrasings | None = None


class TaskRule(Document):
    """One family of tasks; each calls a tool, is refused, or is answered by a text."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    weight: Weight = 1.0
    tool: str | None = None
    refuse: RefusalReason | None = None
    answer: Annotated[str, Field(min_length=1)] | None = None
    draw: dict[SlotName, Draw] = Field(default_factory=dict)
    args: dict[str, Json] = Field(default_factory=dict)
    first: tuple[dict[str, Json], ...] = ()
    requests: Phrasings
    clauses: dict[SlotName, Phrasings] = Field(default_factory=dict)
    constraints: tuple[Constraint, ...] = ()
    ask: Ask | None = None
    tags: tuple[str, ...] = ()

    @property
    def unsaid(self) -> tuple[str, ...]:
        """The slots that its requests may leave out, though they are always drawn."""
        return ()

    @property
    def relative(self) -> tuple[tuple[str, str], ...]:
        """The slots that count from another one, each with that one, and behind it; no slots of a circle."""
        bases = {slot: draw.relative_to for slot, draw in self.draw.items() if draw.relative_to is not None}
        ordered: dict[str, str] = {}
        while ready := {
            s: base for s, base in bases.items() if s not in ordered and (base in ordered or base not in bases)
        }:
            ordered |= ready
        return tuple(ordered.items())

    @property
    def kind(self) -> AnswerKind:
        """The kind of its answers."""
        return "call" if self.tool is not None else "refuse" if self.refuse is not None else "answer"

    @property
    def phrasings(self) -> tuple[str, ...]:
        """Its requests, and those that leave something out."""
        return (*self.requests, *(self.ask.requests or () if self.ask else ()))

    @model_validator(mode="after")
    def _has_one_answer(self) -> TaskRule:
        if sum(form is not None for form in (self.tool, self.refuse, self.answer)) != 1:
            raise ValueError("needs exactly one of `tool`, `refuse`, `answer`")
        if self.tool is None and (self.args or self.ask or self.first):
            raise ValueError("`args`, `ask` and `first` need `tool`")
        return self

    @model_validator(mode="after")
    def _asks_for_what_it_needs(self) -> TaskRule:
        for number, slot in enumerate(self.ask.slots if self.ask else ()):
            draw, place = self.draw.get(slot), ("ask", "slots", number)
            if draw is None:
                problem = f"`ask`: slot `{slot}` is not in `draw`"
                raise PlacedValueError(problem, place=place, hint=did_you_mean(slot, self.draw, "draw it"))
            if draw.probability < 1:
                problem = f"`ask`: slot `{slot}` is not always drawn, so a request without it lacks nothing"
                raise PlacedValueError(
                    problem, place=place, hint=f"draw `{slot}` without a `probability`, or ask for others"
                )
            if slot not in slots_of(self.args):
                problem = f"`ask`: no argument is made of slot `{slot}`, so there is nothing to ask for"
                raise PlacedValueError(problem, place=place, hint=f"use {{{slot}}} in `args`, or ask for others")
        return self

    @model_validator(mode="after")
    def _counts_from_days_that_are_said(self) -> TaskRule:
        for slot, draw in self.draw.items():
            if draw.relative_to is None:
                continue
            base = self.draw.get(draw.relative_to)
            if base is None or base.probability < 1:
                problem = f"`{draw.relative_to}` must be a slot that is always drawn"
                hint = (
                    did_you_mean(draw.relative_to, self.draw.keys() - {slot})
                    if base is None
                    else "remove its `probability`"
                )
                raise PlacedValueError(
                    problem, place=("draw", slot, "relative_to"), hint=hint or "draw it from `dates`"
                )
            if self.ask and draw.relative_to in self.ask.slots:
                problem = f"`ask`: a request without `{draw.relative_to}` leaves open which day `{slot}` is, too"
                hint = f"write a task of its own for this `ask`, which does not draw `{slot}`"
                raise PlacedValueError(problem, place=("ask", "slots"), hint=hint)
            if slot not in dict(self.relative):
                problem = f"`{draw.relative_to}` counts in a circle, and never from a day"
                hint = "draw one of these slots from `dates`, without `relative_to`"
                raise PlacedValueError(problem, place=("draw", slot, "relative_to"), hint=hint)
        return self

    @model_validator(mode="after")
    def _quotes_its_slots(self) -> TaskRule:
        """Refuse `{port}` without quotes, which YAML reads as a mapping."""
        for place, value in placed_scalars(self.args):
            if value is None and len(place) > 1 and place[-1] in self.draw:
                problem = f"{{{place[-1]}}} without quotes is a mapping"
                raise PlacedValueError(problem, place=("args", *place[:-1]), hint=f'write `"{{{place[-1]}}}"`')
        return self

    @model_validator(mode="after")
    def _names_known_slots(self) -> TaskRule:
        for place, slot in self._named():
            if slot not in self.draw:
                literal = f'draw it; `{{{slot}}}` as a text is the value of a slot: `from: ["{{{slot}}}"]`'
                hint = did_you_mean(slot, self.draw, literal)
                raise PlacedValueError(f"slot `{slot}` is used but not in `draw`", place=place, hint=hint)
        for place, text in self._phrased():
            for slot in CLAUSE.findall(text):
                if slot not in {"*", *self.clauses}:
                    hint = did_you_mean(slot, self.clauses, f"give `{slot}` clauses, or write {{{slot}}} for its value")
                    raise PlacedValueError(f"[{slot}] is in a request but not in `clauses`", place=place, hint=hint)
        return self

    def _phrased(self) -> Iterator[tuple[Location, str]]:
        """Yield its phrasings with their places."""
        yield from ((("requests", number), text) for number, text in enumerate(self.requests))
        asked = enumerate(self.ask.requests or () if self.ask else ())
        yield from ((("ask", "requests", number), text) for number, text in asked)

    def _named(self) -> Iterator[tuple[Location, str]]:
        """Yield every slot that it names outside `draw`, with the place."""
        rest = {name: getattr(self, name) for name in ("clauses", "args", "answer", "first")}
        texts = chain(self._phrased(), placed_scalars(rest))
        yield from ((place, slot) for place, text in texts if isinstance(text, str) for slot in SLOT.findall(text))
        yield from ((("clauses", slot), slot) for slot in self.clauses)
        for number, constraint in enumerate(self.constraints):
            yield from ((("constraints", number), slot) for slot in sorted(constraint.slots()))


class AskingRule(TaskRule):
    """The rows of a task whose requests leave something out; derived, never read."""

    @classmethod
    def of(cls, rule: TaskRule, ask: Ask) -> AskingRule:
        """Return the rule that a task's ``ask`` stands for."""
        requests = rule.requests if ask.requests is None else ask.requests
        new = {"name": f"{rule.name}-ask", "weight": ask.weight, "requests": requests}
        return cls.made(**dict(rule) | new)

    @property
    def unsaid(self) -> tuple[str, ...]:
        """The slots of which each request leaves out at least one."""
        return self.ask.slots if self.ask else ()

    @property
    def kind(self) -> AnswerKind:
        """The kind of its answers."""
        return "ask"


def placed_scalars(value: Any, place: Location = ()) -> Iterator[tuple[Location, Any]]:
    """Yield every value inside a JSON value that holds no others, with the keys and places that lead to it."""
    if isinstance(value, dict | list | tuple):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from placed_scalars(item, (*place, key))
    else:
        yield place, value


def scalars(value: Any) -> Iterator[Any]:
    """Yield the same values without their places."""
    return (item for _, item in placed_scalars(value))


def slots_of(value: Any) -> set[str]:
    """Return the slots that stand in the texts of a JSON value."""
    return {slot for item in scalars(value) if isinstance(item, str) for slot in SLOT.findall(item)}


def _with_clauses(task: Any, shared: dict[str, Any]) -> Any:
    if not isinstance(task, dict) or not isinstance(task.get("draw"), dict):
        return task
    own = task.get("clauses", {})
    if not isinstance(own, dict):
        return task
    return {**task, "clauses": {slot: shared[slot] for slot in task["draw"] if slot in shared} | own}


class SynthesisDocument(Document):
    """synthesis.yaml, whole."""

    synthesis: Format
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.2
    slips: Share = 0.0
    framed: Share = 1.0
    frames: Phrasings = ("{request}",)
    clauses: dict[SlotName, Phrasings] = Field(default_factory=dict)
    values: dict[SlotName, Pool] = Field(default_factory=dict)
    tasks: Annotated[tuple[TaskRule, ...], Field(min_length=1)]

    @property
    def rules(self) -> tuple[TaskRule, ...]:
        """The tasks, each with the rule of its ``ask`` behind it."""
        pairs = ((task, AskingRule.of(task, task.ask)) if task.ask else (task,) for task in self.tasks)
        return tuple(rule for pair in pairs for rule in pair)

    @model_validator(mode="before")
    @classmethod
    def _share_clauses(cls, data: Any) -> Any:
        """Give each task the clauses that all have in common, where it draws their slot and says nothing else of it."""
        if not isinstance(data, dict) or not isinstance(data.get("clauses"), dict):
            return data
        tasks = data.get("tasks")
        if not isinstance(tasks, list | tuple):
            return data
        return {**data, "tasks": [_with_clauses(task, data["clauses"]) for task in tasks]}

    @field_validator("frames")
    @classmethod
    def _frames_hold_the_request(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for frame in value:
            if frame.count("{request}") != 1:
                raise ValueError(f"frame `{frame}` must hold {{request}} once")
        return value

    @model_validator(mode="after")
    def _names_no_rule_twice(self) -> SynthesisDocument:
        made_by_asking = {rule.name for rule in self.rules if rule.unsaid}
        for place, rule in enumerate(self.tasks):
            if rule.name in made_by_asking:
                problem = f"task `{rule.name}` has the name of the rows that another task's `ask` makes"
                raise PlacedValueError(problem, place=("tasks", place, "name"))
            if any(rule.name == earlier.name for earlier in self.tasks[:place]):
                raise PlacedValueError(f"two tasks are named `{rule.name}`", place=("tasks", place, "name"))
        return self

    @model_validator(mode="after")
    def _names_known_pools(self) -> SynthesisDocument:
        for place, rule in enumerate(self.tasks):
            for slot, draw in rule.draw.items():
                if isinstance(draw.source, str) and draw.source not in self.values:
                    problem = f"task `{rule.name}` draws `{slot}` from `{draw.source}`, which is not in `values`"
                    literal = f"add it to `values`, or write values as a list: `from: [{draw.source}]`"
                    hint = did_you_mean(draw.source, self.values, literal)
                    raise PlacedValueError(problem, place=("tasks", place, "draw", slot, "from"), hint=hint)
        for slot in self.clauses:
            if not any(slot in rule.draw for rule in self.tasks):
                raise PlacedValueError(f"`clauses` has `{slot}`, which no task draws", place=("clauses", slot))
        for name, pool in self.values.items():
            key, wanted = ("template", "a template or a list") if pool.members is None else ("list", "a list")
            for part in pool.parts:
                made = self.values.get(part)
                if made is None:
                    problem = f"the {key} `{name}` names `{part}`, which is not in `values`"
                    hint = did_you_mean(part, self.values, "add it to `values`")
                    raise PlacedValueError(problem, place=("values", name, key), hint=hint)
                if made.members is not None or (key == "template" and made.template is not None):
                    problem = f"the {key} `{name}` needs `{part}` to be a pool that is not {wanted}"
                    hint = f"write what `{part}` is made of in its place, or draw it as a slot of its own"
                    if name in (part, *made.parts):
                        problem, hint = f"the {key} `{name}` is made of itself", "make it of plain pools alone"
                    raise PlacedValueError(problem, place=("values", name, key), hint=hint)
        return self

    @model_validator(mode="after")
    def _makes_no_endless_text(self) -> SynthesisDocument:
        from skillpm.model.longest import check_lengths

        check_lengths(self)
        return self
