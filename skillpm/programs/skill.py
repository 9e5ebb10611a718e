"""Write a whole skill from the drafts of its tools: contract, rules, seeds, cases, a suite, and SKILL.md."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count
from typing import Any

from skillpm.formats.yaml_text import yaml_text
from skillpm.model.task import request_key
from skillpm.programs.draft import LONGEST_LIST, Draft, Slot
from skillpm.programs.phrases import words_of
from skillpm.programs.values import pool
from skillpm.programs.words import words

RunsOf = Callable[[str], Iterable[tuple[str, ...]]]
_FRAMES: list[str] = words()["frames"]  # around the requests of rules
_HEADS: list[str] = words()["heads"]  # of the requests of suites and seeds
_DAYS = ("date", "day", "datetime")  # kinds of values
_IN_ORDER = (("since", "until"), ("after", "before"), ("start", "end"), ("from", "to"), ("start_date", "end_date"),
             ("start_time", "end_time"))  # fmt: skip
_SUITE_TASKS = 24
_SEED_TASKS = 3  # of each tool
_STEP = 30  # turns: names of two slots differ, but not their few days, so that no period ends before it begins
_LONG_ASK = 5  # words; with the words around them they make a run that counts as contamination


@dataclass(frozen=True, slots=True)
class About:
    """The skill as a whole.

    Attributes:
        subject: what it is for, such as ``git`` or ``the API Pets``.
        origin: where the contract comes from, for people.
        programs: that its answers run.
    """

    name: str
    subject: str
    summary: str
    origin: str
    programs: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)


def skill_files(about: About, drafts: Sequence[Draft], runs_of: RunsOf) -> dict[str, bytes]:
    """Return the files of a skill by path.

    ``runs_of`` yields the runs of words of a request. No seed shares one with the suite: synthesis would leave it out.
    """
    suite, seeds = _tasks(drafts, runs_of)
    files = {
        "SKILL.md": _instructions(about, drafts, seeds),
        "README.md": _readme(about, drafts),
        "CHANGELOG.md": f"# Changes\n\n## 0.1.0\n\n- {len(_first(drafts))} tools, from {about.origin}.\n",
        "skill.yaml": yaml_text(
            {
                "manifest": 1,
                "version": "0.1.0",
                "permissions": {"network": False, "run": list(about.programs)},
                "keywords": [re.sub(r"[^a-z0-9-]+", "-", about.subject.lower()).strip("-")[:40] or "tool"],
            }
        ),
        "contract.yaml": _contract(about, drafts),
        "synthesis.yaml": _synthesis(drafts),
        "seeds/examples.jsonl": _lines({"request": request, "expected": call} for request, call in seeds),
        "suites/core.yaml": yaml_text(
            {
                "name": "core",
                "description": "Requests in other words and with other values than synthesis.yaml has. Add your own.",
                "tasks": [{"request": request, "expected": call} for request, call in suite],
            }
        ),
        "cases.jsonl": _cases(drafts, suite),
        **about.files,
    }
    return {path: text.encode() for path, text in files.items()}


def _lines(rows: Iterable[Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _contract(about: About, drafts: Sequence[Draft]) -> str:
    prompt = (
        f"You answer requests about {about.subject} with ONLY one JSON object: "
        '{"tool": name, "args": {...}}. '
        "Give every argument of the tool; set those that were not asked for to null.\nTools:\n"
        "{% for tool in tools %}{{ tool.name }}: {{ tool.description }} "
        'Arguments: {{ tool.arguments | join(", ") }}.\n{% endfor %}'
    )
    tools = []
    for draft in _first(drafts):
        argv = {} if draft.argv is None else {"argv": list(draft.argv)}
        tools.append(
            {"name": draft.name, "description": _sentence(draft.description), "input_schema": draft.schema, **argv}
        )
    return yaml_text({"contract": 1, "system_prompt": prompt, "tools": tools})


def _first(drafts: Sequence[Draft]) -> list[Draft]:
    """Return one draft of each tool."""
    return [draft for draft in drafts if not draft.rule]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "."


def _synthesis(drafts: Sequence[Draft]) -> str:
    values: dict[str, Any] = {}
    tasks = []
    names: set[str] = set()
    for draft in drafts:
        names.add(name := _rule_name(draft, names))
        task: dict[str, Any] = {"name": name, "tool": draft.name}
        task["draw"] = {slot.name: _draw(slot, values) for slot in draft.slots}
        task["args"] = dict(draft.args)
        task["requests"] = list(dict.fromkeys(draft.requests))
        task["clauses"] = _clauses(draft)
        rules: list[Any] = [{"at_most_one": list(names)} for names, _ in draft.exclusions]
        rules += [{"at_least_one": list(names)} for names, required in draft.exclusions if required]
        rules += [{"at_least_one": list(draft.needed)}] if draft.needed else []
        days = {slot.name for slot in draft.slots if slot.source in _DAYS}
        rules += [{"ascending": list(pair)} for pair in _IN_ORDER if days.issuperset(pair)]
        task |= {"constraints": rules} if rules else {}
        tasks.append({key: item for key, item in task.items() if item})
    asked = {word for draft in drafts for request in draft.requests for word in re.findall(r"\w+", request.lower())}
    for source in values.values():  # "create a ticket" must not seem to name a value that it does not have
        if "choice" in source:
            source["choice"] = [item for item in source["choice"] if str(item) not in asked]
    document = {"synthesis": 1, "held_out": 0.2, "slips": 0.02, "frames": _FRAMES, "values": values, "tasks": tasks}
    return yaml_text({key: item for key, item in document.items() if item})


def _rule_name(draft: Draft, taken: Container[str]) -> str:
    """Return a name of at most 64 characters that no other rule has: long names may begin alike."""
    name = re.sub(r"[^a-z0-9_-]", "-", f"{draft.name} {draft.rule}".strip().lower()).strip("-_") or "task"
    names = chain([name[:64]], (f"{name[:60]}-{number}" for number in count(2)))
    return next(item for item in names if item not in taken)


def _clauses(draft: Draft) -> dict[str, list[str]]:
    """Return the clauses of each slot, without those that differ from another slot's in their value alone.

    Nobody could tell which of two limits "with a timeout of 5s" sets. The first slot has them where it has no others.
    """
    texts = {slot.name: {text: text.replace(f"{{{slot.name}}}", "{}") for text in slot.clauses} for slot in draft.slots}
    slots = Counter(bare for own in texts.values() for bare in set(own.values()))
    said: dict[str, str] = {}
    clauses: dict[str, list[str]] = {}
    for name, own in texts.items():
        clear = [text for text, bare in own.items() if slots[bare] == 1]
        kept = clear or [text for text, bare in own.items() if said.setdefault(bare, name) == name]
        clauses |= {name: kept} if kept else {}
    return clauses


def _draw(slot: Slot, values: dict[str, Any]) -> dict[str, Any]:
    source: Any = slot.source if isinstance(slot.source, str) else list(slot.source)
    if isinstance(source, str):
        values |= pool(source)
    if slot.many:
        source = _list_pool(source, slot.name, values)
    return {
        "from": source,
        **({"probability": slot.probability} if slot.probability < 1 else {}),
        **({"otherwise": None} if slot.nullable else {}),
    }


def _list_pool(source: Any, name: str, values: dict[str, Any]) -> str:
    """Add the lists of a pool, or of the values of a slot, and return the name that they have."""
    if not isinstance(source, str):
        choice = {"choice": source}
        names = (f"{name[:48]}_values{number}" for number in chain([""], count(2)))
        source = next(item for item in names if values.setdefault(item, choice) == choice)
    values[f"{source}_list"] = {"list": source, "length": [1, LONGEST_LIST]}
    return f"{source}_list"


def _tasks(drafts: Sequence[Draft], runs_of: RunsOf) -> tuple[list[tuple[str, Any]], list[tuple[str, Any]]]:
    """Return the tasks of the suite and the seeds: other words and other values than the rules have."""
    chance = random.Random(0)
    suite: list[tuple[str, Any]] = []
    seeds: list[tuple[str, Any]] = []
    each = max(1, _SUITE_TASKS // len(drafts))
    for draft in drafts:
        seeds += [(text, {"tool": draft.name, "args": args}) for text, args in draft.seeds[:_SEED_TASKS]]
        for turn in range(each + (0 if draft.seeds else 2)):
            drawn = _some_slots(draft, turn, chance)
            filled = {slot.name: _fresh(slot, turn + _STEP * place) for place, slot in enumerate(drawn)}
            call = {"tool": draft.name, "args": _filled(draft.args, filled)}
            if turn < each:
                suite.append((_worded(draft, drawn, filled, turn), call))
            else:  # a long sentence of what is asked stands in the suite already, and so does "run jq? Jq filter = ..."
                is_known = len(draft.ask.split()) > _LONG_ASK or draft.ask.startswith("run ")
                brief = replace(draft, ask=f"call {draft.name}") if is_known else draft
                seeds.append((_worded(brief, drawn, filled, turn), call))
    known = {request.casefold() for request, _ in seeds}
    suite = _distinct([item for item in suite if item[0].casefold() not in known])
    asked = {run for request, _ in suite for run in runs_of(request)}
    kept = [item for item in _distinct(seeds) if asked.isdisjoint(runs_of(item[0]))]
    if kept or not seeds:
        return suite, kept
    first = set(runs_of(seeds[0][0]))  # of a command with little to say: a skill needs an example to show
    others = [item for item in suite if first.isdisjoint(runs_of(item[0]))]
    return (others, seeds[:1]) if others else (suite, [])


def _distinct(tasks: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return list({request_key(request): (request, call) for request, call in tasks}.values())


def _some_slots(draft: Draft, turn: int, chance: random.Random) -> list[Slot]:
    chosen = {slot.name for slot in draft.slots if slot.probability == 1}
    for names, required in draft.exclusions:
        if required:
            chosen.add(names[turn % len(names)])
    chosen.update(draft.needed[turn % len(draft.needed) :][:1] if draft.needed else ())
    optional = [slot.name for slot in draft.slots if slot.name not in chosen]
    for name in chance.sample(optional, k=min(turn % 3 + (not chosen), len(optional))):
        if not any(name in names and chosen & set(names) for names, _ in draft.exclusions):
            chosen.add(name)
    return [slot for slot in draft.slots if slot.name in chosen]


def _fresh(slot: Slot, turn: int) -> Any:
    values = slot.fresh or (slot.source if isinstance(slot.source, tuple) else ("owl",))
    value = values[turn % len(values)]
    return list(dict.fromkeys((value, values[turn // 2 % len(values)]))) if slot.many else value


def _filled(args: Any, values: Mapping[str, Any]) -> Any:
    """Fill a template of arguments, as synthesis does; what is not drawn is null, and stays away from objects."""
    if isinstance(args, str) and (found := re.fullmatch(r"\{(\w+)\}", args)):
        return values.get(found[1])
    if isinstance(args, dict):
        filled = {key: _filled(item, values) for key, item in args.items()}
        return {key: item for key, item in filled.items() if item is not None}
    return [_filled(item, values) for item in args] if isinstance(args, list | tuple) else args


def _worded(draft: Draft, drawn: list[Slot], values: Mapping[str, Any], turn: int) -> str:
    """Say a call in a manner of its own: a question with its settings behind it."""
    options = [part for part in draft.argv or () if isinstance(part, dict) and "flag" in part]
    flags = {part.get("if") or part.get("value"): part["flag"] for part in options}
    said = []
    for slot in drawn:
        name, value = words_of(slot.name), values[slot.name]
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        called = flags.get(slot.name, name) if len(name) == 1 else name  # nobody says "e" for -e
        said.append(called if value is True else f"{called} = {text}")
    head = _HEADS[turn % len(_HEADS)].format(ask=draft.ask)
    settings = "; ".join(said)  # without a full stop, which could be a part of `*.`
    return f"{head} {settings[0].upper()}{settings[1:]}" if said else head


def _cases(drafts: Sequence[Draft], tasks: Sequence[tuple[str, Any]]) -> str:
    rows: list[dict[str, Any]] = []
    properties = {draft.name: draft.schema.get("properties", {}) for draft in drafts}
    seen: set[str] = set()
    for request, call in tasks:
        if call["tool"] in seen or len(seen) == 4:
            continue
        seen.add(call["tool"])
        right = json.dumps(
            {"tool": call["tool"], "args": {**dict.fromkeys(properties[call["tool"]]), **call["args"]}},
            ensure_ascii=False,
        )
        base = {"request": request, "expected": call}
        name = call["tool"]
        rows += [
            {"name": f"{name}: exact", "kind": "full_reward", **base, "completion": right},
            {"name": f"{name}: prose around it", "kind": "malformed", **base, "completion": f"Sure! {right}"},
            {
                "name": f"{name}: unknown tool",
                "kind": "zero_reward",
                **base,
                "completion": json.dumps({"tool": "no_such_tool", "args": {}}),
            },
            {"name": f"{name}: twice", "kind": "determinism", **base, "completion": right},
        ]
    rows.append(
        {"name": "no answer", "kind": "malformed", "request": tasks[0][0], "expected": tasks[0][1], "completion": ""}
    )
    return _lines(rows)


def _instructions(about: About, drafts: Sequence[Draft], seeds: Sequence[tuple[str, Any]]) -> str:
    asks = ", ".join(draft.ask for draft in _first(drafts))
    use = f"Turns a request about {about.subject} into one exact call. Use when somebody wants to {asks}"
    description = f"{_sentence(about.summary)} {use}"
    head = {
        "name": about.name,
        "description": f"{re.sub(r'[<>]', '', description)[:900].rstrip(', ')}.",
        "license": "Apache-2.0",
        "metadata": {"version": "0.1.0"},
    }
    text = [
        f"---\n{yaml_text(head)}---\n\n# {about.name}\n",
        _sentence(about.summary) + "\n",
        "Answer a request with one JSON object and nothing else: no prose, no code fence, no second object.\n",
        "- `tool` is one of the tools below; `args` holds every argument of that tool.",
        "- What was not asked for is `null`. A flag is `true` or `null`, never `false`.",
        "- Copy names, paths and numbers exactly as they were written; numbers stand without quotes.\n",
    ]
    for draft in _first(drafts):
        text += [f"## {draft.name}\n", _sentence(draft.description) + "\n"]
        properties = draft.schema.get("properties", {})
        if properties:
            text += ["| argument | value | meaning |", "|---|---|---|"]
            required = draft.schema.get("required", [])
            text += [
                f"| `{name}`{' (needed)' if name in required else ''} | {_form(item)} | {_meaning(item, name)} |"
                for name, item in properties.items()
            ] + [""]
        if draft.exclusions:
            text += [
                f"- {'Exactly' if required else 'At most'} one of {', '.join(f'`{name}`' for name in names)}."
                for names, required in draft.exclusions
            ]
            text.append("")
        example = next(((request, call) for request, call in seeds if call["tool"] == draft.name), None)
        if example is not None:
            call = {**example[1], "args": {**dict.fromkeys(properties), **example[1]["args"]}}
            text += [f'"{example[0]}"\n', f"```json\n{json.dumps(call, ensure_ascii=False)}\n```\n"]
    return "\n".join(text)


def _form(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{item}`" for item in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_form(schema.get('items') or {})}"
    names = {"boolean": "`true`", "integer": "number", "number": "number", "object": "object"}
    return names.get(str(schema.get("type")), "text")


def _meaning(schema: Mapping[str, Any], name: str) -> str:
    return str(schema.get("description") or words_of(name)).replace("|", "\\|")


def _readme(about: About, drafts: Sequence[Draft]) -> str:
    rows = [f"| `{draft.name}` | {_sentence(draft.description)} |" for draft in _first(drafts)]
    left = [
        f"- `{draft.name}`: {', '.join(f'`{name}`' for name in draft.left_out[:60])}"
        for draft in drafts
        if draft.left_out
    ]
    parts = [
        f"# {about.name}\n",
        f"{_sentence(about.summary)} Written by `skillpm new` from {about.origin}.\n",
        "| tool | what it does |",
        "|---|---|",
        *rows,
        "",
        "```\nskillpm validate . --level strict\nskillpm selftest .\nskillpm synth . --show 10\n```\n",
        "The requests of `suites/core.yaml` were made together with the rules. Add requests that people wrote.\n",
    ]
    if left:
        parts += ["## What the contract leaves out\n", *left, ""]
    return "\n".join(parts)
