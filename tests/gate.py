"""The gate over skills whose code runs in this process: its logic, without a worker for each test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from skillpm.layout.skeleton import skeleton
from skillpm.layout.tree import FolderTree, tree_digest
from skillpm.model.episode import Episode
from skillpm.model.skill import Skill
from skillpm.model.verdict import Judgement
from skillpm.ops.learning.selftest import Selftest, selftest
from skillpm.runtime.catalogue import build_catalogue
from skillpm.runtime.described import Described
from skillpm.runtime.host import Host
from skillpm.runtime.skillfiles import SkillFiles
from skillpm.worker.main import LoadedSkill
from skillpm.worker.protocol import Judged, judge_request
from skillpm.worker.scoring import Scorer
from skillpm.worker.skill_judge import paid
from tests.conftest import write_tree
from tests.serving import lines

HEAD = """
import difflib, fnmatch, json, random, re, unicodedata
from skillpm.plugin import RewardFunction, Verdict, hookimpl
PASS = Verdict(status="passed", score=1.0)
FAIL = Verdict(status="failed", score=0.0)
STATE = {"calls": 0}
def gold(a):
    return json.dumps(a.expected, ensure_ascii=False)
def parsed(x):
    for text in (x, x.rpartition("</think>")[2]):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            pass
def args(x):
    value = parsed(x)
    return value.get("args", {}) if isinstance(value, dict) and isinstance(value.get("args", {}), dict) else {}
def runs(a):
    c = a.verdict.components
    return bool(c.get("only_json") and c.get("schema_valid") and c.get("tool"))
def same(a, equal):
    mine, theirs = args(gold(a)), args(a.completion)
    if not runs(a):
        return a.verdict
    texts = lambda g, v: equal(g, v) if isinstance(g, str) and isinstance(v, str) else g == v
    return PASS if all(texts(mine.get(k), v) for k, v in theirs.items()) else a.verdict
def matches(pattern, text):
    try:
        return len(pattern) < 300 and re.fullmatch(pattern, text)
    except (re.error, OverflowError, RecursionError):
        return None
def searches(pattern, text):
    try:
        return len(pattern) < 300 and re.search(pattern, text)
    except (re.error, OverflowError, RecursionError):
        return None
def words(text):
    return set(re.findall(r"\\w+", text.lower()))
def numbers(text):
    return [float(item) for item in re.findall(r"-?[0-9]+(?:\\.[0-9]+)?", text[:10000]) if len(item) < 30]
def near(x, expected):
    try:
        return abs(float(x.strip()[:30]) - float(expected)) <= 0.01 * abs(float(expected))
    except ValueError:
        return False
def nfc(text):
    return unicodedata.normalize("NFC", text)
"""
ORDER = """
contract: 1
system_prompt: Answer with JSON.
tools:
  - name: order
    input_schema:
      type: object
      properties:
        title: {type: string}
        labels: {type: array, items: {type: string}}
        amount: {type: number}
        port: {type: [integer, string]}
        city: {type: string}
        note: {type: string}
"""
NESTED = """
contract: 1
system_prompt: Answer with JSON.
tools:
  - name: order
    input_schema:
      type: object
      properties:
        customer: {type: object, properties: {name: {type: string}, email: {type: string}}}
        items: {type: array, items: {type: object, properties: {sku: {type: string}, price: {type: number}}}}
"""
ORDERS: list[dict[str, Any]] = [
    {
        "title": "Broken lamp",
        "labels": ["red", "old"],
        "amount": 12.5,
        "port": 8080,
        "city": "Zürich",
        "note": "Call me",
    },
    {"title": "New chair", "labels": ["blue"], "amount": 4000, "port": 22, "city": "New York", "note": "Before noon"},
    {"title": "Two tables", "labels": ["big", "old", "oak"], "amount": 7, "city": "Łódź", "note": "At the back door"},
    {"title": "Lost key", "labels": ["red"], "amount": 0.75, "port": 443, "city": "San José"},
]
NESTED_ORDERS: list[dict[str, Any]] = [
    {
        "customer": {"name": "Ada", "email": "ada@example.com"},
        "items": [{"sku": "A1", "price": 1.5}, {"sku": "B2", "price": 20}],
    },
    {"customer": {"name": "José", "email": "jose@example.org"}, "items": [{"sku": "C3 blue", "price": 300}]},
    {"customer": {"name": "Mei Lin"}, "items": [{"sku": "D4", "price": 9.99}, {"sku": "A1", "price": 2}]},
]
TEXTS = {"What is 2 + 3?": "5", "Capital of France?": "Paris", "Where is Broadway?": "New York", "Who?": "Zoë Müller"}
NUMBERS = {"How many eggs?": "42", "How long?": "3.5", "How much?": "1200"}
SENTENCES = {
    "What does a cat do?": "the cat does not chase the old dog",
    "Where?": "a small lamp stands in the hall",
    "Why?": "the train was late because of snow",
}
DATES = {"When was the moon landing?": "1969-07-20", "Leap day?": "2024-02-29", "When did it fall?": "1989-11-09"}
CODE = {"Sum": "x + y", "Double": "2 * x", "Square minus": "x * x - y"}
LISTS: dict[str, Any] = {"Colours?": ["red", "green", "blue"], "Steps?": ["open", "read"], "Trees?": ["oak", "ash"]}
OBJECTS: dict[str, Any] = {"Ada is 36": {"name": "Ada", "age": 36}, "Bo is 8": {"name": "Bo", "age": 8}}


class InProcess:
    """A scorer of one skill that judges with the worker's own judge, in this process."""

    def __init__(self, skill: Skill) -> None:
        self._skill = skill
        self._loaded = LoadedSkill(skill, SkillFiles(skill).code())

    def describe(self, skill: Skill) -> Described:
        return Described.model_validate({"number": 0, **self._loaded.describe({})})

    def judge_afresh(self, episodes: Sequence[Episode]) -> list[Judgement]:
        reply = self._loaded.judge(judge_request(episodes, None))
        payable = self.describe(self._skill).payable(has_code=bool(self._loaded.files.code()))
        judged = Judged.model_validate({"number": 0, **reply}).judgements(len(episodes), payable)
        return [paid(episode, item) for episode, item in zip(episodes, judged, strict=True)]

    def anew(self) -> InProcess:
        return InProcess(self._skill)

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def examined(root: Path, files: Mapping[str, Any], name: str = "serving") -> Selftest:
    """Write a skill and return what the gate says of it."""
    write_tree(root, files)
    skill = Skill(name, "1.0.0", tree_digest(FolderTree(root)), root)
    scorer = InProcess(skill)
    contributions = build_catalogue([skill], Host(), describe=scorer.describe)[name]
    return selftest(contributions, cast(Scorer, scorer))


def case_files(case: Mapping[str, Any]) -> dict[str, str]:
    """Return the skill of a case of tests/cases/verifiers."""
    files = _base(case.get("kind", "find"), case.get("tasks"))
    if "compare" in case:
        files["contract.yaml"] += f"    compare: {case['compare']}\n"
    if "manifest" in case:
        files["skill.yaml"] += f"{case['manifest']}\n"
    if "batch" in case:
        verdicts = f"[PASS if {case['batch']} else a.verdict for a in attempts]"
        files["verifier.py"] = f"{HEAD}def verify(attempts, contract):\n    return {verdicts}\n"
    if "verify" in case:
        body = f"def one(a, x):\n    {case['verify']}\n"
        files["verifier.py"] = (
            f"{HEAD}{body}def verify(attempts, contract):\n    return [one(a, a.completion) for a in attempts]\n"
        )
    if "reward" in case:
        reward = (
            f"RewardFunction('paid', lambda task, episode, verdict: {case['reward']}, default={'default' not in case})"
        )
        files["plugin.py"] = f"{HEAD}@hookimpl\ndef skillpm_rewards(skill):\n    yield {reward}\n"
    return {path: text for path, text in files.items() if not path.startswith(tuple(case.get("without", ["-"])))}


def _base(kind: str, own: Mapping[str, Any] | None) -> dict[str, str]:
    head = "---\nname: serving\ndescription: Serve things.\n---\nServe.\n"
    files = {"SKILL.md": head, "skill.yaml": "manifest: 1\nversion: 1.0.0\n"}
    if kind == "find" and own is None:
        return {path: text.decode() for path, text in skeleton("serving").items()}
    if kind in ("order", "nested"):
        orders, contract = (ORDERS, ORDER) if kind == "order" else (NESTED_ORDERS, NESTED)
        expected = [{"tool": "order", "args": order} for order in orders]
        tasks: Mapping[str, Any] = {f"order number {number}": item for number, item in enumerate(expected, 1)}
        files["contract.yaml"] = contract
    else:
        kinds = {"text": TEXTS, "numbers": NUMBERS, "object": OBJECTS, "list": LISTS}
        tasks = own or {**kinds, "sentence": SENTENCES, "date": DATES, "code": CODE}[kind]
    files["seeds/seeds.jsonl"] = lines(*({"request": request, "expected": item} for request, item in tasks.items()))
    return files
