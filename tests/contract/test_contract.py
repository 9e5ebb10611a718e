"""The document contract.yaml: what is refused, the prompt's template, sampling."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from skillpm.errors import DocumentError
from skillpm.model.skill import Skill
from skillpm.runtime.skillfiles import SkillFiles
from tests.serving import compiled

TOOL = "tools: [{name: dev, input_schema: {type: object, properties: {port: {type: integer}}}}]"

BAD = [
    ("contract: 2\n" + TOOL, "contract"),
    ("contract: 1\nanswers: [call, ask, refuse, answer, call]\n" + TOOL, "`answers`: names `call` twice"),
    ("contract: 1\ntools: []", "tools"),
    ("contract: 1\nextra: 1\n" + TOOL, "unknown key `extra`"),
    ("contract: 1\ntools: [{name: dev, input_schema: {type: string}}]", "type: object"),
    ("contract: 1\ntools: [{name: dev, input_schema: {type: object, required: [x]}}]", "required"),
    ("contract: 1\ntools: [{name: dev, input_schema: {type: object, properties: {a: {type: nope}}}}]", "input_schema"),
    (
        "contract: 1\ntools: [{name: d, input_schema: {type: object, properties: {a: {pattern: '(?=x)'}}}}]",
        "input_schema",
    ),
    (
        "contract: 1\ntools: [{name: d, input_schema: {type: object, properties: {a: {$ref: 'http://x/y'}}}}]",
        "inside the schema",
    ),
    ("contract: 1\ntools: [{name: d, argv: [x, {value: y}], input_schema: {type: object}}]", "argv reads `y`"),
    ("contract: 1\ntools: [{name: d, argv: [x, {flag: --y}], input_schema: {type: object}}]", "needs `value`"),
    ("contract: 1\ntools: [{name: d, argv: {command_line: c, allow: {}}, input_schema: {type: object}}]", "argv"),
    (
        "contract: 1\ntools: [{name: d, input_schema: {type: object}}, {name: d, input_schema: {type: object}}]",
        "two tools",
    ),
    (
        "contract: 1\ntools: [{name: d, argv: {command_line: c, allow: {x: {options: [{names: }]}}}, "
        "input_schema: {type: object, properties: {c: {type: string}}}}]",
        "names",
    ),
    ("contract: 1\ncontract: 1\n" + TOOL, "duplicate key"),
]


@pytest.mark.attack(40)
@pytest.mark.parametrize(("text", "problem"), BAD)
def test_a_bad_contract_is_refused(text: str, problem: str, tmp_path: Path) -> None:
    """The message names the file and the rule."""
    with pytest.raises(DocumentError) as caught:
        (tmp_path / "contract.yaml").write_text(text)
        SkillFiles(Skill("dev", "1", "0" * 64, tmp_path)).contract()

    assert problem in caught.value.message
    assert caught.value.path == "dev/contract.yaml"


PROMPTS = [
    "{{ ''.__class__.__mro__ }}",
    "{{ 'a' * 1000000000 }}",
    "{% for i in range(1000000000) %}x{% endfor %}",
    "{{ tools.__class__ }}",
    "{% set a = 1 %}{{ a }}",
    "{{ lipsum() }}",
    "{{ unknown }}",
    "{% for a in tools %}{% for b in tools %}{% for c in tools %}x{% endfor %}{% endfor %}{% endfor %}",
    "{{ tools | map('upper') }}",
    "{% include 'x' %}",
    "{{ tools[0].name.format }}{% if %}",
    # little text, much work: letters are no list, and what is read, walked and written is counted
    "{{ tools[0].description | join(tools[0].description | join(tools[0].description)) }}",
    "{% for a in tools[0].description %}{% for b in tools[0].description %}{% endfor %}{% endfor %}",
    "{% for a in tools[0].description | list %}x{% endfor %}",
    "{{ tools[0] | join(tools[0].description) }}" * 300,
    "{{ tools[0].description | upper | lower | upper }}" * 300,
    "{% if tools[0] == tools[0] %}{% endif %}" * 300,
    "{{ tools | tojson" + " | tojson" * 40 + " }}",
    "{{ tools | tojson(1000000000) }}",
    "{{ tools[0].description | trim(tools[0].description) }}",
    "{% if tools %}" * 200 + "x" + "{% endif %}" * 200,
    "{{ 1 }}" * 20_000,
    "{{ tools" + " | list" * 20_000 + " }}",
]


@pytest.mark.attack(38)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_hostile_prompt_template_is_refused_or_harmless(prompt: str) -> None:
    """A template reaches neither Python nor unbounded work."""
    long = f"tools: [{{name: dev, description: {'ab' * 30_000}, input_schema: {{type: object}}}}]"
    begin = time.process_time()
    with pytest.raises(DocumentError, match="system_prompt"):
        compiled(f"contract: 1\nsystem_prompt: {prompt!r}\n{long}")
    assert time.process_time() - begin < 5


def test_the_prompt_sees_the_tools() -> None:
    """Names, descriptions, arguments and schemas are in scope."""
    text = "{% for t in tools %}{{ t.name }}({{ t.arguments | join(', ') }}) {{ t.input_schema | tojson }}{% endfor %}"

    prompt = compiled(f'contract: 1\nsystem_prompt: "{text}"\n{TOOL}').prompt

    assert prompt == 'dev(port) {"properties": {"port": {"type": "integer"}}, "type": "object"}'


SAMPLED = """
contract: 1
tools:
  - name: all
    input_schema:
      type: object
      properties:
        a: {type: integer, minimum: 5, maximum: 9}
        b: {type: number, minimum: 0, maximum: 1}
        c: {type: boolean}
        d: {enum: [x, y]}
        e: {type: array, items: {type: integer}}
        f: {type: string, pattern: "^z+$", examples: [z, zz]}
        g: {type: [string, "null"]}
        h: {const: 3}
      required: [a, f]
"""


def test_samples_are_valid_and_reproducible() -> None:
    """Every sample may be run, optional arguments come and go, and the same chance gives the same answer."""
    contract = compiled(SAMPLED)
    samples = [contract.sample("all", random.Random(seed)) for seed in range(200)]

    assert all(contract.problems(sample) == [] for sample in samples)
    assert samples == [contract.sample("all", random.Random(seed)) for seed in range(200)]
    assert {sample["args"]["d"] for sample in samples} == {None, "x", "y"}
    assert all(sample["args"]["a"] is not None for sample in samples)


def test_what_cannot_be_sampled_says_what_is_missing() -> None:
    """A pattern of endless texts without examples is an error with a hint, not an endless search."""
    properties = "{a: {type: string, pattern: '^(q{90}){90}$'}}"
    text = f"contract: 1\ntools: [{{name: d, input_schema: {{type: object, required: [a], properties: {properties}}}}}]"
    with pytest.raises(DocumentError) as caught:
        compiled(text).sample("d", random.Random(0))

    assert "examples" in str(caught.value.hint)
