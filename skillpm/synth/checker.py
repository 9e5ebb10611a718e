"""What is wrong with a synthesis document before a row is drawn: labels it would spoil, and tasks it can never make."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, islice, product
from typing import Any, Literal

from skillpm.model.answer_kind import AnswerKind, kind_of
from skillpm.model.contract import Tool
from skillpm.model.json_schema import branches, types_of
from skillpm.model.rule_fit import Flaw
from skillpm.model.synthesis import (
    CLAUSE,
    SLOT,
    AskingRule,
    Draw,
    Entry,
    Location,
    Pool,
    SynthesisDocument,
    TaskRule,
    entry_of,
    placed_scalars,
)
from skillpm.model.task import Seed, Split, canonical_json
from skillpm.synth.coverage import argument_classes, class_of, described
from skillpm.synth.days import time_after
from skillpm.synth.dedupe import normal_form
from skillpm.synth.pools import (
    BETWEEN,
    LISTED,
    Chance,
    NoValueError,
    Sampled,
    Source,
    choice_of,
    is_constant,
    listed,
    members,
    pool_of,
    pool_with,
    texts_of,
    used_pools,
    value_text,
)
from skillpm.synth.sample import REDRAWS, Sampler, Side
from skillpm.synth.split import Corpus, Division, PoolSplit, SoughtTexts, divide

# `${HOME}`, `\frac{A}`, `{{.Names}}` and the path `/users/{userId}` are texts of other languages
_PATH = re.compile(r"\S*/\S*")
_NAME = r"\s*[A-Za-z_][\w-]*(?:[.!\[][\w.\]-]*)?\s*"  # also `x.__class__`, `x!r` and `x[0]`
_BRACES = re.compile(rf"(?<![^\s\"'])(\{{\{{){_NAME}\}}|(?<![${{\w])\{{(?!request\}}){_NAME}\}}")
# of a slot: `{port [*]`, `{port:>10}`, `{port!r:>10}`, but not `{port: 80}`; `[port` and `[*`
_OPENED = re.compile(r"\{\s*(\w+)(?:[.!\[\w\]]*:[^\s{}]+\}|(?!\w)[^{}:]*(?=\{|\Z))")
_OPENED_PLACE = re.compile(r"\[(?:(\w+)(?!\w)[^\[\]]*(?=\[|\Z)|\*(?=[.,!?]?(?:\s|\Z)))")
_CLOSED = re.compile(r"\b(\w+)\s*\}")
_NAMED = 8  # members of an enum in one message
_FILLED = frozenset({"requests", "clauses", "args", "ask"})  # of a task
_Part = Literal["text", "item", "property"]
_DRAWS = 20  # with as many redraws each as a row has, before constraints count as impossible


def label_flaws(document: SynthesisDocument) -> Iterator[Flaw]:
    """Yield slots that leave a hole in a label: a part of a text or a list while they are not drawn, or are null."""
    for place, rule in enumerate(document.tasks):
        for slot in SLOT.findall(rule.answer or ""):
            yield from _hole(document, rule, slot, ("tasks", place, "answer"))
        calls = [(("args",), rule.args), *((("first", number), held) for number, held in enumerate(rule.first))]
        for around, arguments in calls:
            for name, value in arguments.items():
                for slot, kind in _inner_slots(value):
                    yield from _hole(document, rule, slot, ("tasks", place, *around, name), kind)
    for name, pool in document.values.items():
        for part in pool.parts if pool.template is not None else ():
            if _may_be_null(document.values[part], document.values):
                message = f"pool `{name}`: its text has a hole where `{part}` is null"
                yield Flaw(("values", name, "template"), message, f"leave null out of `{part}`")


def _hole(
    document: SynthesisDocument, rule: TaskRule, slot: str, location: Location, kind: _Part = "text"
) -> Iterator[Flaw]:
    """Yield a flaw if a slot leaves a hole in the label of a rule."""
    draw, name, is_text = rule.draw[slot], location[-1], location[2] == "answer"
    where = "its answer" if is_text else f"`{name}`"
    explicit = kind == "property" and "otherwise" in draw.model_fields_set
    if draw.probability < 1 and draw.otherwise is None and not explicit:
        whole = f"; for an optional list, draw whole lists: from a pool with `list`, and `{name}: '{{{slot}}}'`"
        yield Flaw(
            location,
            f"task `{rule.name}`: {where} has no value for `{slot}` while that slot is not drawn",
            f"give the draw of `{slot}` an `otherwise`" + ("" if is_text else f", or write a task without it{whole}"),
        )
    elif kind == "text" and _may_be_null(pool_of(document, draw), document.values):
        message = f"task `{rule.name}`: {where} has no value for `{slot}` where that is null"
        yield Flaw(location, message, f"leave null out of the values of `{slot}`, and write a task without the slot")


def _may_be_null(pool: Pool, pools: Mapping[str, Pool]) -> bool:
    choice = choice_of(pool)
    if choice is not None:
        return any(entry_of(item).value is None for item in choice)
    if pool.json_schema is not None:
        return "null" in types_of(branches([pool.json_schema], pool.json_schema))
    return any(_may_be_null(pools[name], pools) for name in pool.parts)


def _inner_slots(value: Any) -> Iterator[tuple[str, _Part]]:
    """Yield the slots that are a part of an argument, and of what: a text, an item of a list, a property."""
    for place, item in placed_scalars(value):
        text = item if isinstance(item, str) else ""
        is_whole = SLOT.fullmatch(text) is not None
        if place or not is_whole:
            kind: _Part = "text" if not is_whole else "property" if isinstance(place[-1], str) else "item"
            yield from ((slot, kind) for slot in SLOT.findall(text))


def text_flaws(document: SynthesisDocument) -> Iterator[Flaw]:
    """Yield texts that say two values of one pool or none, and braces that no slot fills."""
    yield from _unfilled(document)
    yield from _misplaced(document)
    for items, location, where in _lists(document):
        yield from _shared_texts(items, location, where)
    for name, pool in document.values.items():
        if pool.dates is not None:
            days = [Entry(value=member.value, texts=member.texts) for member in listed(pool, {}) or ()]
            for flaw in islice(_shared_texts(days, (), f"pool `{name}`"), 1):
                yield flaw._replace(location=("values", name, "dates"))
    yield from _run_together(document)
    yield from (flaw for flaw, item in silent_values(document) if item is None)
    yield from _timeless(document)


def _lists(document: SynthesisDocument) -> Iterator[tuple[Sequence[Any], Location, str]]:
    """Yield each list of values with its place, and what a person calls it."""
    for name, pool in document.values.items():
        choice = choice_of(pool)
        if choice is not None:
            yield choice, ("values", name, "choice" if pool.json_schema is None else "schema"), f"pool `{name}`"
    for place, rule in enumerate(document.tasks):
        for slot, draw in rule.draw.items():
            if not isinstance(draw.source, str):
                yield draw.source, ("tasks", place, "draw", slot, "from"), f"task `{rule.name}`, slot `{slot}`"


def _timeless(document: SynthesisDocument) -> Iterator[Flaw]:
    """Yield slots that are relative to what is no day, or have a value that leads to none."""
    for place, rule in enumerate(document.tasks):
        reached: dict[str, list[str]] = {}
        for slot, base in rule.relative:
            try:
                if base not in reached:
                    reached[base] = _ends(time_after(day, 0) for day in _written_out(document, rule.draw[base]))
                spans = _written_out(document, rule.draw[slot])
                reached[slot] = _ends(time_after(*pair) for pair in product(reached[base], spans))
            except ValueError as error:
                reached[slot] = []  # what counts from it has no fault of its own
                message = f"task `{rule.name}`: `{slot}` leads to no day: {str(error)[:200]}"
                hint = f"draw `{base}` from `dates`, and for `{slot}` values such as `3 days` and `friday`"
                yield Flaw(("tasks", place, "draw", slot), message, hint)


def _ends(times: Iterable[str]) -> list[str]:
    """Return the first and the last of some days, and of some times: later ones lead to later ones."""
    kinds: dict[bool, list[str]] = {}
    for each in times:
        kinds.setdefault("T" in each, []).append(each)
    return [end for kind in kinds.values() for end in (min(kind), max(kind))]


def _written_out(document: SynthesisDocument, draw: Draw) -> list[Any]:
    """Return all values of a slot; of a range of numbers too long for that, the ends. Raises ValueError for others."""
    pool = pool_of(document, draw)
    values = [member.value for member in listed(pool, document.values) or ()] or [*(pool.integers or ())]
    if not values:
        raise ValueError(f"its values are not listed: they are more than {LISTED:,}, or those of a schema")
    return values


def silent_values(document: SynthesisDocument) -> Iterator[tuple[Flaw, Any]]:
    """Yield values without a text, null or blanks: a request that holds one may say nothing.

    A clause may say the only value of a slot. A pool that neither a slot nor a list draws from is a part of templates.
    """
    drawn = {draw.source for rule in document.tasks for draw in rule.draw.values() if isinstance(draw.source, str)}
    drawn |= {pool.members for pool in document.values.values() if pool.members is not None}
    for items, location, where in _lists(document):
        if len(items) == 1 or (location[0] == "values" and location[1] not in drawn):
            continue
        for place, item in enumerate(map(entry_of, items)):
            if item.texts is None and not value_text(item.value).strip():
                message = f"{where}: nothing says the value {canonical_json(item.value)}"
                hint = "give it `texts`, or draw the slot with a probability below 1"
                yield Flaw((*location, place), message, hint), item.value


def _unfilled(document: SynthesisDocument) -> Iterator[Flaw]:
    """Yield texts in which braces stay as they are, such as `{Port}`, `{{port}}`, and a slot in a frame."""
    for location, text in placed_scalars(document.model_dump(include={"frames", "tasks"}, by_alias=True)):
        is_frame = location[:1] == ("frames",)
        if not isinstance(text, str) or not (is_frame or location[2] in _FILLED):
            continue
        slots = None if is_frame else document.tasks[int(location[1])].draw
        left = [*_braces(text, slots), *_halves(text, slots or ())]
        if left:
            message = f"`{left[0][:60]}` is not filled, so it stands in every row as it is"
            hint = "write a slot as {slot}: small letters, digits and `_`, with one brace on each side"
            yield Flaw(location, message, "write a place for clauses as [slot] or [*]" if left[0][0] == "[" else hint)


def _misplaced(document: SynthesisDocument) -> Iterator[Flaw]:
    """Yield clauses and frames with a place for clauses, which only a request has: it would vanish, or stay there."""
    drawn = {slot for rule in document.tasks for slot in rule.draw}
    for location, text in placed_scalars(document.model_dump(include={"frames", "tasks"}, by_alias=True)):
        if isinstance(text, str) and (location[0] == "frames" or location[2] == "clauses"):
            for name in {*CLAUSE.findall(text)} & {*drawn, "*"}:
                message = f"`[{name}]` is a place for clauses, which only a request has"
                yield Flaw(location, message, "move it into a request, or write {slot} for the value")


def _braces(text: str, slots: Container[str] | None) -> Iterator[str]:
    """Yield braces that no slot fills; a frame has no slots, and a path may have such braces if they name none."""
    in_path = {place for path in _PATH.finditer(text) for place in range(*path.span())}
    for found in _BRACES.finditer(text):
        if slots is not None:
            is_slot = not found[1] and SLOT.fullmatch(found[0])
            names_slot = found[0].strip("{} ").lower() in slots
            if is_slot or (found.start() in in_path and not names_slot):
                continue
        yield found[0]


def _halves(text: str, slots: Container[str]) -> Iterator[str]:
    """Yield what names a slot and lacks a brace or a bracket, or has a format of Python behind its name."""
    for found in chain(_OPENED.finditer(text), _OPENED_PLACE.finditer(text)):
        if found[1] is None or found[1] in slots:
            yield found[0]
    for found in _CLOSED.finditer(text):
        before = text[: found.start()]
        if found[1] in slots and before.count("{") <= before.count("}"):
            yield found[0]


def _shared_texts(items: Sequence[Any], location: Location, where: str) -> Iterator[Flaw]:
    said: dict[str, tuple[str, str, bool]] = {}  # normal form -> value, text, has the value texts of its own?
    for place, item in enumerate(map(entry_of, items)):
        is_entry = item.texts is not None
        own = canonical_json(item.value)
        # the value of an entry counts as a text of it: "beta" says alpha there and beta here
        for text in dict.fromkeys([*(item.texts or ()), value_text(item.value)]):
            form = normal_form(text)
            other, written, other_is_entry = said.setdefault(form, (own, text, is_entry))
            # values that are their own texts may differ in case alone, as paths do
            if not form or other == own or not (is_entry or other_is_entry or text == written):
                continue
            message = f"{where}: `{text[:60]}` says both {other[:60]} and {own[:60]}"
            yield Flaw((*location, place), message, "give each value texts of its own")
            break


def _run_together(document: SynthesisDocument) -> Iterator[Flaw]:
    """Yield lists of which two read alike, for a text begins as a list of others does: "salt and oil" beside "salt"."""
    for name, pool in document.values.items():
        every = listed(document.values[pool.members], document.values) if pool.members is not None else ()
        said = {text.casefold(): text for member in every or () for text in member.texts}
        for form, text in said.items():
            if any(form[: found.start()] in said for found in BETWEEN.finditer(form)):
                message = f"pool `{name}`: `{text[:60]}` reads as a list that begins with another member"
                yield Flaw(("values", name, "list"), message, "give that member texts without a comma and `and`")
                break


def _unsampled_flaws(document: SynthesisDocument) -> Iterator[Flaw]:
    """Yield pools of whose schema no value is made."""
    for name, pool in document.values.items():
        if pool.json_schema is None:
            continue
        problem = "no value is made of its schema"
        try:
            Sampled(name, pool.json_schema, lambda text: True).draw(random.Random(0).random)
        except NoValueError:
            pass
        except ValueError as error:
            problem = str(error).splitlines()[0][:200]
        else:
            continue
        yield Flaw(("values", name, "schema"), f"pool `{name}`: {problem}", "give the schema `examples`")


def _unlisted_flaws(document: SynthesisDocument) -> Iterator[Flaw]:
    """Yield lists that are longer than a side of the split has values for."""
    lists = {name: pool for name, pool in used_pools(document).items() if pool.members is not None}
    if not lists:
        return
    division = divide(document)
    sides: tuple[tuple[Split, str], ...] = (("train", "training"), ("held_out", "held-out"))
    sources = {split: division.sources(document, split) for split, _ in sides}
    for (split, rows), (name, pool) in product(sides, lists.items()):
        source, chance = sources[split][name], random.Random(0).random
        if not any(_gives_a_value(source, chance) for _ in range(_DRAWS)):
            fewest = pool.length[0]
            enough = math.ceil(fewest / min(document.held_out, 1 - document.held_out))
            message = f"pool `{name}`: {rows} rows have too few values of `{pool.members}` for a list of {fewest}"
            hint = f"make the shortest list shorter, or give `{pool.members}` {enough} values or more"
            yield Flaw(("values", name, "length"), message, hint)


def _gives_a_value(source: Source, chance: Chance) -> bool:
    try:
        source.draw(chance)
    except NoValueError:
        return False
    return True


def whole_side(document: SynthesisDocument) -> Side:
    """Return the one side of a document of which nothing is held out."""
    whole = PoolSplit(values=0, train=None, held_out=None, shared="whole")
    return Side(document, Division(0.0, {}, frozenset(), dict.fromkeys(used_pools(document), whole)), "train")


def unsayable_flaws(document: SynthesisDocument) -> Iterator[Flaw]:
    """Yield tasks that no draw can make, and slots that are never drawn because no request says them."""
    unmade = [*_unsampled_flaws(document)] or [*_unlisted_flaws(document)]
    if unmade:
        yield from unmade
        return
    whole = whole_side(document)
    for place, rule in enumerate(document.tasks):
        sampler = Sampler(whole, rule)
        draws = sampler.sayable_draws()
        if draws is None:
            continue
        if not draws:
            yield _undrawable(sampler, place)
            continue
        if any(constraint.different or constraint.ascending for constraint in rule.constraints):
            chance = random.Random(0).random
            if all(sampler.draw(chance) is None for _ in range(_DRAWS)):
                reason = next((text for text, _ in sampler.rejected.most_common(1)), "its constraints")
                yield Flaw(
                    ("tasks", place, "constraints"),
                    f"task `{rule.name}`: none of {_DRAWS * REDRAWS:,} draws kept {reason}",
                    "give the slots values that can keep it",
                )
                continue
        if rule.ask is not None:
            asked = Sampler(whole, AskingRule.of(rule, rule.ask)).sayable_draws()
            yield from _unaskable(document, rule, place, asked)
            draws += asked or ()  # such as a value that is out of bounds, which a question answers
        silent = [slot for slot, draw in rule.draw.items() if draw.probability > 0]
        for slot in (slot for slot in silent if not any(slot in drawn for drawn in draws)):
            yield Flaw(
                ("tasks", place, "draw", slot),
                f"task `{rule.name}`: no request can say the slot `{slot}`",
                f"put {{{slot}}}, [{slot}] or [*] into a request, and give it clauses",
            )


def _undrawable(sampler: Sampler, place: int) -> Flaw:
    """Return why a task draws no set of slots that can be said."""
    name, broken = sampler.rule.name, sampler.broken_constraint()
    if broken is not None:
        hint = "change how often its slots are drawn (`probability`), or remove the constraint"
        message = f"task `{name}`: whatever slots it draws, they break {broken[1]}"
        return Flaw(("tasks", place, "constraints", broken[0]), message, hint)
    message = f"task `{name}`: no request can say the slots that it draws"
    hint = "put each drawn slot into a request as {slot}, [slot] or [*], and check `constraints`"
    return Flaw(("tasks", place, "requests"), message, hint)


def _unaskable(
    document: SynthesisDocument, rule: TaskRule, place: int, draws: Sequence[frozenset[str]] | None
) -> Iterator[Flaw]:
    """Yield slots that a question is to ask for, and that no request leaves out, or that nobody needs to say."""
    assert rule.ask is not None
    needed = [slot for slot in varied_slots(document, rule) if slot not in rule.ask.slots]
    also = f" and says {' and '.join(f'`{slot}`' for slot in needed)}" if needed else ""
    for number, slot in enumerate(rule.ask.slots):
        location: Location = ("tasks", place, "ask", "slots", number)
        if is_constant(document, rule.draw[slot]):
            message = f"task `{rule.name}`: `{slot}` has one value, so a request without it lacks nothing"
            yield Flaw(location, message, f"take `{slot}` out of `ask`, or draw it from more values")
        elif draws is not None and not any(slot not in drawn for drawn in draws):
            message = f"task `{rule.name}`: no request leaves `{slot}` out{also}"
            hint = f"give `ask` such requests{', or name all that they leave out in its `slots`' if needed else ''}"
            yield Flaw(location, message, f"{hint}; a clause of [{slot}] is left out by itself")
    for number, text in enumerate(rule.ask.requests or ()):
        for slot in rule.ask.slots:
            pool = pool_of(document, rule.draw[slot])
            if slot not in SLOT.findall(text) and value_test(pool, document.values)(own_words(text)):
                message = f"task `{rule.name}`: {text[:60]!r} says a value of `{slot}`, so nothing is missing"
                yield Flaw(
                    ("tasks", place, "ask", "requests", number), message, f"take the value of `{slot}` out of it"
                )


def varied_slots(document: SynthesisDocument, rule: TaskRule) -> list[str]:
    """Return the slots that every row draws, from more than one value."""
    return [slot for slot, draw in rule.draw.items() if draw.probability >= 1 and not is_constant(document, draw)]


def own_words(text: str) -> Corpus:
    """Return what a request says by itself."""
    return Corpus([CLAUSE.sub(" ", SLOT.sub(" ", text))])


def value_test(pool: Pool, pools: Mapping[str, Pool]) -> Callable[[Corpus], bool]:
    """Return the test whether a request says a value of a pool by itself, or a member of a list."""
    if pool.members is not None:
        return value_test(pools[pool.members], pools)
    every = listed(pool, pools)
    if every is not None:
        return SoughtTexts(said for member in every for said in member.texts).any_in
    low, high = pool.integers or (0, -1)
    return lambda words: any(low <= int(word) <= high for word in words.words if word.isascii() and word.isdigit())


def missing_kinds(document: SynthesisDocument, kinds: Iterable[AnswerKind], seeds: Sequence[Seed]) -> Iterator[Flaw]:
    """Yield the kinds of an answer that the contract takes and training would never show."""
    taught = {rule.kind for rule in document.rules} | {kind_of(seed.expected) for seed in seeds}
    for kind in kinds:
        if kind not in taught and kind != "call":
            hint = "add an `ask` to a task" if kind == "ask" else f"add a task with `{kind}`"
            yield Flaw(("tasks",), f"training never shows an answer of the kind `{kind}`", hint)


def missing_classes(document: SynthesisDocument, tools: Mapping[str, Tool], seeds: Sequence[Seed]) -> Iterator[Flaw]:
    """Yield what training would never show: tools, arguments that are given or null, and members of an enum."""
    side = Side(document, divide(document, seeds), "train")
    made: set[tuple[str, str, str]] = set()  # tool, argument, class
    kept: dict[tuple[str, str, str], str] = {}  # the same, and the pool whose split keeps it from training
    first = {rule.tool: place for place, rule in reversed(tuple(enumerate(document.tasks))) if rule.tool is not None}
    for rule in document.tasks:
        if rule.tool is None:
            continue
        draws = Sampler(side, rule).sayable_draws()
        tool = tools.get(rule.tool)
        if draws is None or tool is None:  # too many sets of slots to look at each
            made.update((rule.tool, *item) for item in _classes(tool))
            continue
        for name, schema in tool.properties.items():
            kinds = _made(side, rule, draws, name, schema)
            made.update((rule.tool, name, kind) for kind in kinds)
            kept.update(((rule.tool, name, kind), pool) for kind, pool in _kept(document, rule, name, schema) if draws)
    for tool in tools.values():
        if tool.name not in first:
            yield Flaw(("tasks",), f"no task makes answers of the tool `{tool.name}`", "add a task for it")
            continue
        # members of one enum in one line: by argument, by the pool that keeps them back, and what else is missing
        missing: dict[tuple[str, str, str], list[str]] = {}
        for name, kind in _classes(tool):
            if (item := (tool.name, name, kind)) not in made:
                own = kind if kind in ("null", "value") else ""
                missing.setdefault((name, kept.get(item, ""), own), []).append(kind)
        for (name, pool, _), absent in missing.items():
            hint = "add a task, a probability or a phrasing that makes it"
            if pool:
                hint = f"`{pool}` holds it out: write its values into `draw`, `from: [...]`, which are all for training"
            message = f"training never shows {described(tool.name, name, _either(absent))}"
            yield Flaw(("tasks", first[tool.name]), message, hint)


def _either(kinds: Sequence[str]) -> str:
    """Return some classes as words: ``"a", "b" or "c"``."""
    more = len(kinds) - _NAMED
    *others, last = kinds if more <= 0 else [*kinds[:_NAMED], f"{more:,} others"]
    return f"{', '.join(others)} or {last}" if others else last


def _kept(
    document: SynthesisDocument, rule: TaskRule, name: str, schema: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Yield the members of an enum that a rule draws from a pool, with the name of the pool."""
    whole = SLOT.fullmatch(str(rule.args.get(name)))
    source = rule.draw[whole[1]].source if whole else None
    if isinstance(source, str) and isinstance(schema.get("enum"), list):
        for member in listed(document.values[source], document.values) or ():
            yield class_of(member.value, schema), source


def _classes(tool: Tool | None) -> Iterator[tuple[str, str]]:
    for name, schema in tool.properties.items() if tool else ():
        yield from ((name, kind) for kind in argument_classes(tool is None or name in tool.required, schema))


def _made(
    side: Side, rule: TaskRule, draws: Iterable[frozenset[str]], name: str, schema: Mapping[str, Any]
) -> set[str]:
    """Return the classes of one argument that a rule makes for training."""
    template = rule.args.get(name)
    whole = SLOT.fullmatch(template) if isinstance(template, str) else None
    if whole is None:
        slots = set(SLOT.findall(template)) if isinstance(template, str) else set()
        if slots and isinstance(schema.get("enum"), list):
            return set(argument_classes(True, schema))  # a text of several slots may be any of them
        return {class_of(template, schema)}
    draw, is_drawn = rule.draw[whole[1]], {whole[1] in drawn for drawn in draws}
    made = {class_of(value, schema) for value in _values(side, draw)} if True in is_drawn else set()
    return made | {class_of(draw.otherwise, schema)} if False in is_drawn else made


def _values(side: Side, draw: Draw) -> Iterator[Any]:
    """Yield values of a slot that a side of the split shows; of an unlisted pool one stands for all."""
    if isinstance(draw.source, str):
        yield from _shown(side, draw.source)
    else:
        yield from (member.value for member in members(draw.source))


def _shown(side: Side, name: str) -> Iterator[Any]:
    pools, division = side.document.values, side.division
    pool, every = pools[name], listed(pools[name], pools)
    if every is None or pool.members is not None:
        with suppress(NoValueError):
            yield side.sources[name].draw(random.Random(0).random)[0]
    elif any(division.pools[part].shared is None for part in pool.parts):  # made of what the side shows of its parts
        yield from texts_of(pool, {part: pool_with(tuple(_shown(side, part))) for part in pool.parts})
    else:
        shared = division.pools[name].shared is not None
        yield from (item.value for item in every if shared or not division.is_held_out(value_text(item.value)))
