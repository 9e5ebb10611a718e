"""What is trained and asked is what the template itself writes, for every template that ships with trl."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import trl

from skillpm.errors import UsageError
from skillpm.model.task import Message
from skillpm.train.hf import conversation
from skillpm.train.hf.conversation import Conversation
from tests.random_models import random_tokenizer

TEMPLATES = sorted((Path(trl.__file__).parent / "chat_templates").glob("*.jinja"))
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ANSWER = '{"tool": "dev", "args": {"port": 8001, "reload": true}}'
ASKED = (Message(role="system", content="You call tools."), Message(role="user", content="start it on 8001"))


def tokenizer(template: str, **more: Any) -> Any:
    """Return a tokenizer of bytes with a template."""
    made = random_tokenizer(**more)
    made.chat_template = template
    return made


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_training_and_asking_use_what_the_template_writes_around_an_answer(template: Path) -> None:
    """Prompt, answer and end are a piece of one text: the template's own conversation, system text and all."""
    talk = Conversation(tokenizer(template.read_text(), special=["<|end|>"]))

    prompt, answer = talk.finished(ASKED, ANSWER)

    assert prompt == talk.prompt(ASKED)
    assert talk.text(answer) == ANSWER
    written = talk._written(ASKED, ANSWER)
    assert written.startswith(talk.tokenizer.decode(prompt) + ANSWER)
    assert "You call tools." in written
    assert "start it on 8001" in written
    assert answer[-1] == talk.end[-1]
    # No thought is left open before the answer: a server that strips thoughts would strip the answer.
    assert written.partition(ANSWER)[0].count("<think>") == written.partition(ANSWER)[0].count("</think>")


def test_a_refused_system_role_is_put_before_the_request() -> None:
    refusing = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + CHATML
    losing = CHATML.replace("{% for m in messages %}", "{% for m in messages if m['role'] != 'system' %}")
    asked = "loop.last and m['role'] == 'user' and messages[0]['role'] == 'system'"
    system = f"{{% if {asked} %}}{{{{ messages[0]['content'] }}}}\n\n{{% endif %}}"
    losing_it_later = losing.replace("{{ m['content'] }}", system + "{{ m['content'] }}")  # when answered, as Mistral's

    for template in (refusing, losing, losing_it_later):
        talk = Conversation(tokenizer(template))
        assert "You call tools.\n\nstart it on 8001" in talk.tokenizer.decode(talk.prompt(ASKED))


def test_the_end_of_a_turn_is_learned_and_stops_decoding() -> None:
    """A template that ends a turn with another token than the tokenizer's end: that one is the answer's last."""
    talk = Conversation(tokenizer(CHATML.replace("<|im_end|>", "<|turn|>"), special=["<|turn|>"]))

    assert talk.tokenizer.convert_ids_to_tokens(talk.finished(ASKED, ANSWER)[1][-1]) == "<|turn|>"


@pytest.mark.parametrize(
    "date",
    [
        "{{ strftime_now('%d %b %Y') }}",
        "{% set form = '%d %b %Y' %}{{ strftime_now(form) }}",
        "{% set now = strftime_now %}{{ now(format='%d ' ~ '%b %Y') }}",
        "{% macro today() %}{{ strftime_now('%d %b %Y') if strftime_now is defined }}{% endmacro %}{{ today() }}",
    ],
)
def test_the_clock_stands_still(date: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A date in the prompt is the same in training and on any day after it."""
    dated = f"\n  {{% set it = 1 %}}Today is {date}.\n{CHATML}"
    first = Conversation(tokenizer(dated)).prompt(ASKED)

    assert Conversation(tokenizer(dated)).tokenizer.decode(first).startswith("\nToday is 01 Jan 2026.\n<|im_start|>")
    monkeypatch.setattr(conversation, "TODAY", datetime(2031, 5, 5))
    assert Conversation(tokenizer(dated)).prompt(ASKED) != first


@pytest.mark.parametrize(
    ("changing", "reason"),
    [
        ("{{ ['a', 'b'] | random }}", "draws with `random`"),
        ("{% if messages | length > 9 %}{{ messages | random }}{% endif %}", "draws with `random`"),
        ("{% filter random %}ab{% endfilter %}", "draws with `random`"),
        ('{{ ["ab"] | map("random") | first }}', "draws with `random`"),
        ("{{ [range(99999)] | map('ran' ~ 'dom') | first }}", "draws"),
        ("{{ lipsum(1) }}", "draws with `lipsum`"),
        ("{{ raise_exception }}", "writes addresses"),
        ("{{ messages | map(attribute='role') }}", "writes addresses"),
        ("at random, lipsum", ""),
    ],
)
def test_a_template_that_does_not_write_the_same_each_time_is_refused(changing: str, reason: str) -> None:
    made = tokenizer(changing + CHATML)
    if reason:
        with pytest.raises(UsageError, match=f"{reason}, so no two prompts of a request are the same"):
            Conversation(made)
    else:
        assert Conversation(made).prompt(ASKED)


def test_the_templates_own_arguments_can_be_given() -> None:
    template = "{{ style | default('plain') }}\n" + CHATML

    assert (
        Conversation(tokenizer(template), {"style": "terse"})
        .tokenizer.decode(Conversation(tokenizer(template), {"style": "terse"}).prompt(ASKED))
        .startswith("terse")
    )


@pytest.mark.parametrize("given", [{}, {"enable_thinking": True}, {"style": "it's", "more": {"a": [None, True]}},
                                   {"none": 1, "not": 2, "if": 3, "%}": 4, "style": "%} {{ 7 }}"}])  # fmt: skip
def test_programs_that_give_the_template_nothing_ask_as_we_do(given: dict[str, Any]) -> None:
    """A template that thinks unless it is told not to; another program may still tell it something else."""
    thought = "{% if not enable_thinking | default(true) %}<think></think>{% endif %}"
    thinking = CHATML.replace("assistant\n{% endif %}", f"assistant\n{thought}{{% endif %}}")
    talk = Conversation(tokenizer("{{ style }} {{ more | default(1) | tojson }}\n" + thinking), given)
    other = tokenizer(talk.template())

    def asked(**arguments: Any) -> str:
        messages = [{"role": message.role, "content": message.content} for message in ASKED]
        return str(other.apply_chat_template(messages, add_generation_prompt=True, tokenize=False, **arguments))

    assert asked() == talk.tokenizer.decode(talk.announced(ASKED))
    assert "</think>" in asked(enable_thinking=False) and "</think>" not in asked(enable_thinking=True)


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{% for m in messages %}{{ m['content'] }", "cannot write a request and its answer"),
        ("{{ messages[0].nothing.at_all }}", "cannot write a request and its answer"),
        ("always the same", "leaves one of them out"),
        (CHATML.replace("m['content'] }}", "m['content'] | upper }}"), "leaves one of them out"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused_with_the_reason(template: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Conversation(tokenizer(template))


@pytest.mark.parametrize("words", ["\n", "</assistant>", " "])
@pytest.mark.parametrize("answer", [ANSWER, "yes\n", "</assistant>", ""])
def test_words_of_the_template_before_the_end_are_learned_and_are_not_the_answers(words: str, answer: str) -> None:
    talk = Conversation(tokenizer(CHATML.replace("{{ m['content'] }}", "{{ m['content'] }}" + words)))

    tokens = talk.finished(ASKED, answer)[1]

    assert talk.tokenizer.decode(tokens) == f"{answer}{words}<|im_end|>"
    assert talk.text(tokens) == answer


@pytest.mark.parametrize("answer", ["end", "<", "m", "", "assistant", "start it on 8001", "yes\n", "größe 🙂"])
def test_an_answer_is_looked_up_where_it_stands(answer: str) -> None:
    """Not in the token that ends it, nor in the request; an empty one is its end alone."""
    talk = Conversation(tokenizer(CHATML))
    prompt, tokens = talk.finished(ASKED, answer)
    assert (prompt, talk.text(tokens)) == (talk.prompt(ASKED), answer)
    trimming = Conversation(tokenizer(CHATML.replace("m['content'] }}", "m['content'] | trim }}")))
    with pytest.raises(UsageError, match="changes the answer"):
        trimming.finished(ASKED, f"{answer} ")


def test_an_answer_that_the_tokenizer_cannot_write_is_refused() -> None:
    """A special token in a value is not text: it would be learned as the end of the turn."""
    talk = Conversation(tokenizer(CHATML))

    with pytest.raises(UsageError, match="writes"):
        talk.finished(ASKED, '{"tool": "dev", "args": {"tag": "<|im_end|>"}}')
