"""The split: by content, on one side only, and never all of a list."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from hypothesis import given as given_by_hypothesis
from hypothesis import strategies as st

from skillpm.contract.contract import Contract
from skillpm.errors import DocumentError
from skillpm.formats.document import read_model
from skillpm.model.contract import ContractDocument
from skillpm.model.synthesis import SynthesisDocument
from skillpm.model.task import Seed, Split
from skillpm.synth.checker import whole_side
from skillpm.synth.days import written
from skillpm.synth.pools import known_as, listing_texts
from skillpm.synth.split import _ONE, Division, HeldOut, divide, hold_out, phrasing_key, rank

TEXTS = st.text("abcdefgh", min_size=1, max_size=2)
SIDES: tuple[Split, Split] = ("train", "held_out")
LISTS = st.lists(st.lists(TEXTS, min_size=1, max_size=9), max_size=8)


def made(**fields: Any) -> SynthesisDocument:
    task = {"name": "t", "tool": "dev", "draw": {}, "requests": ["go"]}
    return SynthesisDocument.model_validate({"synthesis": 1, "tasks": [task], **fields})


def of_pool(pool: dict[str, Any], *, requests: list[str] | None = None, **others: Any) -> SynthesisDocument:
    task = {"name": "t", "tool": "dev", "draw": {"x": {"from": "x"}}, "requests": requests or ["go {x}"]}
    return made(values={"x": pool, **others}, tasks=[task])


@given_by_hypothesis(LISTS, st.floats(0.01, 0.99), st.sets(TEXTS, max_size=5))
def test_no_list_is_held_out_whole_and_nothing_shown_is(lists: list[list[str]], share: float, shown: set[str]) -> None:
    held = hold_out(lists, share, shown)
    assert held.isdisjoint(shown)
    for members in lists:
        assert not held.issuperset(members)


@given_by_hypothesis(st.lists(TEXTS, min_size=2, max_size=30, unique=True), st.floats(0.01, 0.99))
def test_one_list_alone_has_its_share_on_each_side(members: list[str], share: float) -> None:
    held = hold_out([members], share)
    assert len(held) == min(max(1, round(share * len(members))), len(members) - 1)
    assert held == set(sorted(members, key=lambda text: (rank(text), text))[: len(held)])


@given_by_hypothesis(LISTS, st.randoms())
def test_the_choice_does_not_depend_on_the_order_of_lists_or_members(
    lists: list[list[str]], chance: random.Random
) -> None:
    mixed = [chance.sample(members, len(members)) for members in lists]
    chance.shuffle(mixed)
    assert hold_out(lists, 0.3) == hold_out(mixed, 0.3)


def test_small_enumerations_booleans_and_inline_lists_are_shared_and_the_profile_says_so() -> None:
    division = divide(of_pool({"choice": ["a", "b", "c"]}))
    assert division.pools["x"].shared == "fewer than 4 values"
    division = divide(of_pool({"choice": [True, False, True, False]}))
    assert division.pools["x"].shared == "booleans"
    division = divide(of_pool({"integers": [1, 3]}))
    assert division.pools["x"].shared == "fewer than 4 values"


def test_a_value_has_one_side_in_all_pools() -> None:
    letters = [f"v{number}" for number in range(40)]
    document = made(
        values={"x": {"choice": letters[:30]}, "y": {"choice": letters[10:]}, "n": {"integers": [0, 10**6]}},
        tasks=[
            {
                "name": "t",
                "tool": "dev",
                "draw": {"x": {"from": "x"}, "y": {"from": "y"}, "n": {"from": "n"}, "m": {"from": [1, 2, 3]}},
                "requests": ["go {x} {y} {n} {m}"],
            }
        ],
    )
    division = divide(document)
    sides = {text: division.is_held_out(text) for text in letters}
    for pool in ("x", "y"):
        held = [text for text in document.values[pool].choice or () if sides[text]]
        assert len(held) == division.pools[pool].held_out
    assert not any(division.is_held_out(text) for text in "123"), "an inline list shows them"


def test_what_a_seed_a_phrasing_or_a_constant_shows_is_not_held_out() -> None:
    cities = ["Rome", "Oslo", "Lima", "Bern", "New York", "Kyiv"]
    seed = Seed(request="fly to Rome, then Oslo", expected={"tool": "dev", "args": {"to": "New York"}})
    task = {
        "name": "t",
        "tool": "dev",
        "draw": {"x": {"from": "x"}, "y": {"from": ["Lima"], "otherwise": "Kyiv"}},
        "args": {"home": "from Bern"},
        "requests": ["go {x} {y}"],
    }
    division = divide(made(values={"x": {"choice": [*cities, "Ulm", "Wick"]}}, tasks=[task]), [seed])
    assert not any(map(division.is_held_out, cities))
    assert division.is_held_out("Ulm")
    assert division.is_held_out("Wick")


def test_a_pool_of_which_everything_is_shown_is_shared() -> None:
    seed = Seed(request="a b c d e", expected={})
    assert "shows every value" in (divide(of_pool({"choice": list("abcde")}), [seed]).pools["x"].shared or "")


def test_a_template_is_held_out_through_its_parts_or_as_a_whole_where_they_are_shared() -> None:
    parts: dict[str, Any] = {"p": {"choice": list("abcdef")}, "q": {"choice": ["1", "2"]}}
    split = divide(of_pool({"template": "{p}:{q}"}, **parts)).pools["x"]
    assert (split.values, split.train, split.held_out) == (12, 10, 2)
    whole = divide(of_pool({"template": "{p}:{q}"}, p={"choice": ["a", "b"]}, q=parts["q"])).pools["x"]
    assert (whole.values, whole.train, whole.held_out) == (4, 3, 1)


MEMBERS = {
    "choice": {"choice": [*"abcdefghijklmnop"]},
    "dates": {"dates": ["2026-01-01", "2026-03-01"], "forms": ["the %d/%b of %Y (%Y-%m-%d)"]},
    "texts": {"choice": [{"value": number, "texts": [f"no. {number}", f"nr {number}"]} for number in range(20)]},
    "words": {"words": "nouns"},
    "range": {"integers": [1, 99_999]},
    "template": {"template": "{p}-{q}"},
    "schema": {"schema": {"type": "string", "pattern": "^[a-z]{5}$"}},
}


@pytest.mark.parametrize("form", MEMBERS)
def test_lists_hold_different_values_of_one_side_and_their_texts(form: str) -> None:
    parts: dict[str, Any] = {"p": MEMBERS["words"], "q": {"choice": ["1", "2"]}, "m": MEMBERS[form]}
    document = of_pool({"list": "m", "length": [2, 3]}, **parts)
    division, chance = divide(document), random.Random(0).random
    shown = []
    for split in ("train", "held_out"):
        sources = division.sources(document, split)
        drawn = [sources["x"].draw(chance) for _ in range(200)]
        for values, text in drawn:
            assert len(values) in (2, 3) and len({*map(str, values)}) == len(values)
            assert all(str(value) in text for value in values)
        shown.append({str(value) for values, _ in drawn for value in values})
        assert {len(values) for values, _ in drawn} == {2, 3}
    assert not shown[0] & shown[1]


def test_a_member_is_drawn_as_often_as_its_weight_says() -> None:
    choice = [{"value": "", "weight": 6}, {"value": "b", "weight": 3, "texts": ["bee"]}, *"cdefgh"]
    document = of_pool({"template": "x{m}"}, m={"choice": choice})
    source, chance = whole_side(document).sources["x"], random.Random(0).random
    drawn = Counter(source.draw(chance) for _ in range(6000))
    shares = {value: round(count / 400) for value, count in drawn.items()}
    assert shares == {("x", "x"): 6, ("xb", "xbee"): 3, **{(f"x{other}", f"x{other}"): 1 for other in "cdefgh"}}


def test_a_list_of_days_may_be_as_long_as_any() -> None:
    assert (
        of_pool({"list": "m", "length": [1, 16]}, m={"dates": ["2026-01-01", "2027-12-31"]}).values["x"].length[1] == 16
    )


def test_lists_of_a_shared_pool_are_held_out_whole_and_in_every_order() -> None:
    document = of_pool({"list": "m"}, m={"choice": ["a", "b", "c"]})
    division, chance = divide(document), random.Random(0).random
    sides = [
        [source.draw(chance)[0] for _ in range(200)]
        for source in (division.sources(document, split)["x"] for split in ("train", "held_out"))
    ]
    shown, held_out = ({*map(tuple, lists)} for lists in sides)
    assert not {frozenset(names) for names in shown} & {frozenset(names) for names in held_out}
    pool = division.pools["x"]
    assert (pool.values, pool.train, pool.held_out) == (15, len(shown), len(held_out))


def test_a_list_is_shorter_where_a_side_has_too_few_values_for_it() -> None:
    document = of_pool({"list": "m", "length": [1, 4]}, m={"choice": [*"abcdef"]})
    source = divide(document).sources(document, "held_out")["x"]
    assert {len(source.draw(random.Random(seed).random)[0]) for seed in range(50)} == {1}


@pytest.mark.parametrize(
    ("pool", "problem"),
    [
        ({"choice": ["a"], "length": [1, 2]}, "`length` is that of a `list`"),
        ({"list": "m", "length": [3, 2]}, "`length` is [fewest, most]"),
        ({"list": "n"}, "the list `x` names `n`, which is not in `values`"),
        ({"template": "{m}-{n}"}, "the template `x` names `n`, which is not in `values`"),
        ({"list": "lists"}, "the list `x` needs `lists` to be a pool that is not a list"),
        ({"template": "{lists}"}, "the template `x` needs `lists` to be a pool that is not a template or a list"),
        ({"list": "m", "words": "nouns"}, "needs exactly one of"),
        ({"words": "verbs"}, "Input should be 'nouns'"),
        ({"list": "long", "length": [1, 16]}, "a value of `x` can have"),
    ],
)
def test_a_pool_that_cannot_be_meant_is_refused(pool: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        of_pool(pool, m={"choice": [*"abc"]}, lists={"list": "m"}, long={"choice": ["a" * 300]})


def test_an_unknown_part_of_a_pool_has_a_near_name_as_its_hint() -> None:
    tasks = "tasks: [{name: t, refuse: off_topic, requests: [r]}]"
    for pool, key in (("list: month", "list"), ('template: "{month} {months}"', "template")):
        with pytest.raises(DocumentError, match=f"`values.x.{key}`: the {key} `x` names `month`") as refused:
            values = f"values:\n  months: {{choice: [a, b]}}\n  x: {{{pool}}}"
            read_model(SynthesisDocument, f"synthesis: 1\n{values}\n{tasks}\n")
        assert refused.value.hint == "did you mean `months`?"


def test_the_days_of_a_list_are_said_in_one_form() -> None:
    forms = ["%Y-%m-%d", "%-d/%-m/%Y", "%A the %-d of %B"]
    days = {"dates": ["2026-01-01", "2026-12-31"], "forms": forms}
    for parts in ({"m": days}, {"m": {"template": "{hour}h {day}"}, "hour": {"choice": [7, 8]}, "day": days}):
        document = of_pool({"list": "m", "length": [2, 4]}, **parts)
        source, chance = divide(document).sources(document, "train")["x"], random.Random(0).random
        seen = set()
        for _ in range(200):
            values, text = source.draw(chance)
            (form,) = (form for form in forms if text in listing_texts([said(value, form) for value in values]))
            seen.add(form)
        assert seen == {*forms}


def said(value: str, form: str) -> str:
    """Return a text with its day in a form."""
    return re.sub(r"\d{4}-\d\d-\d\d", lambda day: written(date.fromisoformat(day[0]), form), value)


def test_phrasings_that_differ_in_case_or_closing_mark_are_one() -> None:
    document = of_pool({"choice": list("abcdef")}, requests=["Go {x}", "go  {x}.", "run {x}", "use {x}"])
    division = divide(document)
    both = [division.phrasings_of(document.tasks[0].requests, split) for split in ("train", "held_out")]
    assert sorted(map(len, both)) == [1, 2]


def test_a_request_that_reads_like_a_seed_is_not_held_out() -> None:
    requests = ["start the server [*]", "boot {x}"]
    document = of_pool({"choice": list("pqrstu")}, requests=requests)
    for seed, held in (("Start the server on 1!", ("boot {x}",)), ("Boot it", ("start the server [*]",))):
        division = divide(document, [Seed(request=seed, expected={})])
        assert division.phrasings_of(requests, "held_out") == held


@pytest.mark.parametrize(
    ("requests", "value", "request_", "stands"),
    [
        (["把文件{x}删掉", "请移走{x}"], "报告", "现在把文件甲删掉吧", True),
        (["ファイル{x}を消す", "{x}を捨てて"], "東京", "このファイル甲を消すんだ", True),
        (["ลบไฟล์{x}ออก", "ทิ้ง{x}"], "งาน", "ช่วยลบไฟล์กออกที", True),
        (["把文件{x}删掉", "请移走{x}"], "报告", "复制报告到备份", True),
        (["drop {x}", "remove the file {x}"], "excel", "用excel打开", True),
        (["drop {x}", "remove the file {x}"], "excel", "用excels打开", False),
        (["把文件{x}删掉", "请移走{x}"], "报告", "打开报纸", False),
    ],
)
def test_what_is_held_out_is_found_where_a_script_has_no_spaces(
    requests: list[str], value: str, request_: str, stands: bool
) -> None:
    document = of_pool({"choice": [value, *"1234"]}, requests=requests)
    held = Division(0.0, {value: True}, frozenset(map(phrasing_key, requests[:1])), divide(document).pools)
    assert HeldOut(document, held).stands_in(request_) is stands
    assert HeldOut(document, held).stands_in("open it") is False


PLAIN = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta"]
SPELLED: dict[str, tuple[dict[str, Any], Any, list[tuple[Any, Any]]]] = {
    "number": ({"type": "number"}, None, [(number, float(number)) for number in range(1, 9)]),
    "tolerance": ({"type": "number"}, {"number": 0.5}, [(2 * number, 2 * number + 0.5) for number in range(1, 9)]),
    "casefold": ({"type": "string"}, "casefold", [(word, word.title()) for word in PLAIN]),
    "words": ({"type": "string"}, "words", [(f"{word} x", f"{word}  x") for word in PLAIN]),
    "path": ({"type": "string"}, "path", [(f"{word}/x", f"./{word}//x") for word in PLAIN]),
    "set": ({"type": "array"}, "set", [([word, "b"], ["b", word, "b"]) for word in PLAIN]),
    "same": ({"type": "string"}, {"same": {word[:3]: word for word in PLAIN}}, [(word, word[:3]) for word in PLAIN]),
    "order": ({"type": "array"}, None, [(["b", word], [f"{word}2", "b"]) for word in PLAIN]),
}


def taking(schema: Mapping[str, Any], comparison: Any) -> Contract:
    tool: dict[str, Any] = {"name": "take", "input_schema": {"type": "object", "properties": {"value": schema}}}
    compare = {} if comparison is None else {"compare": {"value": comparison}}
    return Contract(
        ContractDocument.model_validate({"contract": 1, "system_prompt": "p", "tools": [{**tool, **compare}]})
    )


@pytest.mark.parametrize(
    ("pool", "tolerance", "why"),
    [
        ({"integers": [1, 50]}, 1, _ONE),
        ({"integers": [1, 50]}, 0.5, None),
        ({"integers": [1, 10**7]}, 1, _ONE),
        ({"integers": [1, 10**7]}, 0.5, None),
        ({"schema": {"type": "number"}}, 1e-6, _ONE),
        ({"schema": {"type": "number", "multipleOf": 0.5, "minimum": 0, "maximum": 1e4}}, 1e-6, None),
        ({"schema": {"type": "integer", "minimum": 5}}, 1, _ONE),
    ],
)
def test_numbers_that_a_tolerance_makes_one_value_are_shared_by_both_sides(
    pool: dict[str, Any], tolerance: float, why: str | None
) -> None:
    task = {"name": "a", "tool": "take", "requests": ["take {p}"], "draw": {"p": {"from": "p"}}}
    document = made(values={"p": pool}, tasks=[task | {"args": {"value": "{p}"}}])
    division, chance = divide(document, (), taking({"type": "number"}, {"number": tolerance})), random.Random(0).random
    assert division.pools["p"].shared == why
    train, held_out = ({division.sources(document, split)["p"].draw(chance)[0] for _ in range(200)} for split in SIDES)
    assert why == _ONE or train.isdisjoint(held_out)


@pytest.mark.parametrize("way", SPELLED)
@pytest.mark.parametrize("part", [False, True])
def test_what_the_contract_calls_one_value_is_on_one_side(way: str, part: bool) -> None:
    schema, comparison, pairs = SPELLED[way]
    contract = taking(schema, comparison)
    first, second = ({"choice": [pair[place] for pair in pairs]} for place in (0, 1))
    values: dict[str, Any] = {"first": first, "second": second}
    drawn = ["first", "second"]
    if part and schema["type"] == "string":
        values |= {"whole": {"template": "{first}"}}
        drawn = ["whole", "second"]
    tasks = [
        {
            "name": pool,
            "tool": "take",
            "requests": ["take {v}"],
            "draw": {"v": {"from": pool}},
            "args": {"value": "{v}"},
        }
        for pool in drawn
    ]
    document = SynthesisDocument.model_validate({"synthesis": 1, "values": values, "tasks": tasks})
    division = divide(document, (), contract)
    sides = {known_as(value): division.is_held_out(known_as(value)) for pair in pairs for value in pair}
    assert len({*sides.values()}) == 2  # something is held out, and something is not
    if way != "order":  # whose pairs are two values each
        assert all(sides[known_as(one)] == sides[known_as(other)] for one, other in pairs)
