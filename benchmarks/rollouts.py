"""Answers for GRPO: our decoding loop beside padded ``generate()``, same model, prompts, tokens and sampling.

Groups of eight answers to each of a few requests of langgraph-cli, cut at the same length and without an end token, so
that both sides decode exactly the same number of tokens. ``generate()`` is what TRL's GRPOTrainer calls by default: it
gets every prompt as often as it is to be answered. With ``--lora`` our loop decodes with an adapter beside the weights,
and from packed layers with it merged in, as in training. Needs the extra ``train`` and the model ``smollm2-135m``.

    python benchmarks/rollouts.py [--prompts 8] [--tokens 40] [--rounds 3] [--lora]
"""

from __future__ import annotations

import argparse
import time
from functools import partial

from gpu_trainer import decode, generate, least


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lora", action="store_true", help="compare an adapter beside the weights, and merged")
    given = parser.parse_args()

    from skillpm.ops.context import Context
    from skillpm.ops.learning.models import ready_model
    from skillpm.ops.learning.session import open_session
    from skillpm.settings import load_settings
    from skillpm.train.hf.model import load_conversation, load_model
    from skillpm.train.hf.packed import packed

    context = Context(load_settings())
    source = ready_model("smollm2-135m", context.settings)
    model = load_model(source).eval()
    conversation = load_conversation(source).stopping_with(model)
    with open_session(context, [context.skill("langgraph-cli")]) as session:
        contributions = session.contributions["langgraph-cli"]
    from skillpm.model.task import Message

    system = Message(role="system", content=contributions.prompt)
    requests = [seed.request for seed in contributions.seeds[: given.prompts]]
    prompts = [conversation.prompt([system, Message(role="user", content=text)]) for text in requests]
    group = 8
    total = len(prompts) * group * given.tokens

    asked = (conversation.tokenizer, prompts, group, given.tokens)
    if given.lora:
        from peft import LoraConfig, get_peft_model

        model = get_peft_model(model, LoraConfig(target_modules="all-linear", r=16)).eval()
        ours = partial(decode, model, *asked)

        def merged() -> None:
            with packed(model, prompts[0]):
                ours()

        peer = least(ours, given.rounds, time.process_time)
        mine, what = least(merged, given.rounds, time.process_time), "adapter beside, merged: tokens/CPU s"
    else:
        peer, mine = (least(partial(work, model, *asked), given.rounds) for work in (generate, decode))
        what = f"{len(prompts)} prompts x {group}, tokens/s"
    print(f"{'what':44} {'peer':>8} {'ours':>8} {'ratio':>7}")
    print(f"{what:44} {total / peer:8.0f} {total / mine:8.0f} {peer / mine:7.2f}")


if __name__ == "__main__":
    main()
