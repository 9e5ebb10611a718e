"""Answers for GRPO: our decoding loop beside padded ``generate()``, same model, prompts, tokens and sampling.

Groups of eight answers to each of a few requests of langgraph-cli, cut at the same length and without an end token, so
that both sides decode exactly the same number of tokens. ``generate()`` is what TRL's GRPOTrainer calls by default: it
gets every prompt as often as it is to be answered. With ``--lora`` our loop decodes with an adapter beside the weights,
as in training, and with one merged into them. Needs the extra ``train`` and the model ``smollm2-135m``.

    python benchmarks/rollouts.py [--prompts 8] [--tokens 40] [--rounds 3] [--lora]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any


def best(work: Callable[[], Any], rounds: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the least time of a few rounds, in seconds; by default on the wall."""
    times = []
    for _ in range(rounds):
        start = clock()
        work()
        times.append(clock() - start)
    return min(times)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lora", action="store_true", help="compare an adapter beside the weights and a merged one")
    given = parser.parse_args()

    from skillpm.ops.context import Context
    from skillpm.ops.learning.models import ready_model
    from skillpm.ops.learning.session import open_session
    from skillpm.settings import load_settings
    from skillpm.train.hf.decode import Sampling, decode
    from skillpm.train.hf.model import load_conversation, load_model

    context = Context(load_settings())
    source = ready_model("smollm2-135m", context.settings)
    conversation, model = load_conversation(source), load_model(source).eval()
    tokenizer = conversation.tokenizer
    with open_session(context, [context.skill("langgraph-cli")]) as session:
        contributions = session.contributions["langgraph-cli"]
    from skillpm.model.task import Message

    system = Message(role="system", content=contributions.prompt)
    requests = [seed.request for seed in contributions.seeds[: given.prompts]]
    prompts = [conversation.prompt([system, Message(role="user", content=text)]) for text in requests]
    group = 8
    total = len(prompts) * group * given.tokens

    def ours() -> None:
        sampling = Sampling(
            given.tokens, frozenset(), tokenizer.pad_token_id, 1.0, samples=group, batch_size=len(prompts) * group
        )
        for _ in decode(model, prompts, sampling):
            pass

    def padded() -> None:
        batch = tokenizer.pad(
            {"input_ids": [ids for ids in prompts for _ in range(group)]}, padding_side="left", return_tensors="pt"
        ).to(model.device)
        model.generate(
            **batch,
            do_sample=True,
            temperature=1.0,
            top_k=0,
            min_new_tokens=given.tokens,
            max_new_tokens=given.tokens,
        )

    if given.lora:
        from peft import LoraConfig, get_peft_model

        model = get_peft_model(model, LoraConfig(target_modules="all-linear", r=16)).eval()
        peer = best(ours, given.rounds, time.process_time)
        model.merge_adapter()
        mine, what = best(ours, given.rounds, time.process_time), "adapter beside, merged: tokens/CPU s"
    else:
        peer, mine = best(padded, given.rounds), best(ours, given.rounds)
        what = f"{len(prompts)} prompts x {group}, tokens/s"
    print(f"{'what':44} {'peer':>8} {'ours':>8} {'ratio':>7}")
    print(f"{what:44} {total / peer:8.0f} {total / mine:8.0f} {peer / mine:7.2f}")


if __name__ == "__main__":
    main()
