"""Many threads ask one model: together, and each gets its own answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from skillpm.agent.together import Together, UnwantedError
from skillpm.errors import PluginError, SkillpmError, TrainingError
from skillpm.model.ports import Completion
from skillpm.model.task import Message


class Echo:
    """A policy that repeats, latest prompt first; it waits at a gate. ``batches`` holds what it was asked at once."""

    name = "echo"

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = threading.Event()

    def complete(
        self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int
    ) -> Iterator[tuple[int, Completion]]:
        self.gate.wait(10)
        texts = [prompt[0].content for prompt in prompts]
        self.batches.append(texts)
        if "fail" in texts:
            raise TrainingError("out of memory")
        if "crash" in texts:
            raise ValueError("no text")
        for index in reversed(range(len(texts))):
            if texts[index] != "nothing":
                yield index, Completion(f"{texts[index]} {max_new_tokens}", 1, 1, "stop")


def ask(together: Together, text: str, most: int = 9) -> str:
    try:
        return together.complete([Message(role="user", content=text)], most).text
    except (SkillpmError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def asked(echo: Echo, most: int, wanted: Sequence[tuple[str, int]]) -> list[str]:
    together = Together(echo, most)
    with ThreadPoolExecutor(len(wanted)) as threads:
        futures = [threads.submit(ask, together, *item) for item in wanted]
        while len(together._waiting) < len(wanted) - most and not all(future.running() for future in futures):
            pass
        echo.gate.set()
        return [future.result(30) for future in futures]


def test_each_gets_its_own_answer_and_waiting_ones_share_a_batch() -> None:
    echo = Echo()
    wanted = [(str(number), 9 if number % 5 else 7) for number in range(30)]
    assert asked(echo, 8, wanted) == [f"{text} {most}" for text, most in wanted]
    assert len(echo.batches) < 20 and max(map(len, echo.batches)) <= 8
    assert sorted(text for batch in echo.batches for text in batch) == sorted(text for text, _ in wanted)


def test_who_ask_the_same_are_as_many_as_they_are() -> None:
    assert asked(Echo(), 2, [("same", 9)] * 7) == ["same 9"] * 7


def test_a_failure_is_of_the_one_alone_that_causes_it() -> None:
    echo = Echo()
    wanted = [("fail", 9), *[(str(number), 9) for number in range(6)], ("crash", 9)]
    answers = asked(echo, 8, wanted)
    assert answers[1:-1] == [f"{number} 9" for number in range(6)]
    assert answers[0] == "TrainingError: out of memory" and answers[-1] == "ValueError: no text"


class Endless:
    """A policy that answers what is wanted, and goes on with the rest until it is unwanted."""

    name = "endless"

    def __init__(self) -> None:
        self.began: list[str] = []
        self.unwanted: Callable[[int], bool] = lambda index: False

    def stoppable(self, unwanted: Callable[[int], bool]) -> Endless:
        self.unwanted = unwanted
        return self

    def complete(
        self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int
    ) -> Iterator[tuple[int, Completion]]:
        texts = [prompt[0].content for prompt in prompts]
        self.began += texts
        for index, text in enumerate(texts):
            while text == "endless" and not self.unwanted(index):
                time.sleep(0.001)
            yield index, Completion(text, 1, 1, "length")


def test_an_unwanted_answer_is_stopped_and_one_that_waits_is_never_begun() -> None:
    endless, gone = Endless(), threading.Event()
    together = Together(endless, 1)
    prompts = [[Message(role="user", content=text)] for text in ("endless", "waits", "other")]
    with ThreadPoolExecutor(3) as threads:
        futures = [threads.submit(together.complete, prompts[0], 9, gone.is_set)]
        while not endless.began:
            time.sleep(0.001)
        futures += [threads.submit(together.complete, prompts[1], 9, gone.is_set)]
        futures += [threads.submit(together.complete, prompts[2], 9)]
        gone.set()
        assert futures[0].result(30).finish_reason == "length" and futures[2].result(30).text == "other"
        with pytest.raises(UnwantedError):
            futures[1].result(30)
    assert endless.began == ["endless", "other"]


def test_an_answer_does_not_wait_for_longer_ones_of_its_batch() -> None:
    """The first is a batch of its own; those that wait for it are one, whose last goes on until it is unwanted."""
    endless, gone, first = Endless(), threading.Event(), threading.Event()
    together = Together(endless, 2)
    wanted = [("endless", 1, first), ("short", 9, gone), ("endless", 9, gone)]
    with ThreadPoolExecutor(3) as threads:
        futures = []
        for place, (text, most, unwanted) in enumerate(wanted):
            prompt = [Message(role="user", content=text)]
            futures.append(threads.submit(together.complete, prompt, most, unwanted.is_set))
            while not (len(together._waiting) == place if place else endless.began):
                time.sleep(0.001)
        first.set()
        assert futures[1].result(30).text == "short" and not futures[2].done()
        gone.set()
        assert futures[2].result(30).text == "endless"


def test_a_prompt_that_the_policy_leaves_out_has_a_reason() -> None:
    echo = Echo()
    echo.gate.set()
    with pytest.raises(PluginError, match="left a prompt without an answer"):
        Together(echo, 4).complete([Message(role="user", content="nothing")], 1)
