"""Requests answered per second, and the wait for the first token: `skillpm serve` beside `transformers serve`.

Both serve SmolLM2-135M on this machine, one after the other, and get the same requests of langgraph-cli with its system
prompt, as streams, greedy, cut after the same number of tokens. The untrained model writes prose up to that cut, so
`skillpm serve` decodes as many tokens as its peer and then answers 422 (`--tries 1`), because the contract refuses the
answer. It sends nothing before the contract has read an answer whole; its first token is its last one.

Needs the extras ``train`` and ``serve`` and the model ``smollm2-135m``; the peer needs openai as well.

    python benchmarks/serving.py                        # without openai: the figures of ours alone
    python benchmarks/serving.py --install              # puts openai below --peers first
    python benchmarks/serving.py --together 1 16 --requests 32 --tokens 32
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "parts"))

from running import running

SKILL = "langgraph-cli"

Times = tuple[float, float]  # seconds to the first piece of an answer, and to its end


def prompts(count: int) -> list[list[dict[str, str]]]:
    """Return the messages of some requests: the seeds of the skill, from the first again where they are fewer."""
    from skillpm.ops.context import Context
    from skillpm.ops.learning.session import open_session
    from skillpm.settings import load_settings

    context = Context(load_settings())
    with open_session(context, [context.skill(SKILL)]) as session:
        given = session.contributions[SKILL]
    requests = [given.seeds[number % len(given.seeds)].request for number in range(count)]
    return [[{"role": "system", "content": given.prompt}, {"role": "user", "content": text}] for text in requests]


def ask(port: int, model: str, messages: list[dict[str, str]], tokens: int) -> Times:
    """Ask once. Times count from the request."""
    body = {"model": model, "messages": messages, "max_tokens": tokens, "temperature": 0, "stream": True}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    start = time.perf_counter()
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    first = 0.0
    for line in response:
        if not first and (b'"content":"' in line.replace(b'": "', b'":"') or response.status == 422):
            first = time.perf_counter() - start
    end = time.perf_counter() - start
    connection.close()
    if response.status not in (200, 422):
        raise SystemExit(f"status {response.status}")
    return first or end, end


def measure(port: int, model: str, given: Sequence[list[dict[str, str]]], together: int, tokens: int) -> list[float]:
    """Return requests/s, the median wait for the first token, and the median of whole answers, in seconds."""
    with ThreadPoolExecutor(together) as threads:
        start = time.perf_counter()
        times = list(threads.map(lambda messages: ask(port, model, messages, tokens), given))
        whole = time.perf_counter() - start
    return [len(given) / whole, *(statistics.median(side) for side in zip(*times, strict=True))]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=32, metavar="N")
    parser.add_argument("--tokens", type=int, default=32, metavar="N", help="of each answer")
    parser.add_argument("--together", type=int, nargs="+", default=[1, 16], metavar="N", help="clients at once")
    parser.add_argument("--peers", type=Path, default=Path(tempfile.gettempdir()) / "skillpm-peers", metavar="FOLDER")
    parser.add_argument("--install", action="store_true", help="install what the peer needs below --peers")
    options = parser.parse_args()
    from skillpm.ops.learning.models import ready_model
    from skillpm.settings import load_settings

    model, home = str(ready_model("smollm2-135m", load_settings())), options.peers / "transformers-serve"
    if options.install:
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(home)]
        subprocess.run([*pip, "openai", "jiter", "distro", "tqdm", "sniffio"], check=True)
    path = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), str(home)])
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": path}
    from skillpm.train.hf.model import machine_settings

    settings = machine_settings("auto")  # ours, and so the peer's: on this processor it may be slow in its own
    serve = [str(Path(sys.executable).with_name("transformers")), "serve", model]
    serve += ["--device", str(settings["device"]), "--dtype", str(settings["dtype"])]
    sides = {
        "peer": (serve, model),
        "batching": ([*serve, "--continuous-batching"], model),
        "ours": ([sys.executable, "-m", "skillpm", "serve", SKILL, "--model", model, "--tries", "1", "--yes"], SKILL),
    }
    if not (home / "openai").is_dir():
        print(f"transformers serve: openai is not installed in {home}; --install does it", file=sys.stderr)
        del sides["peer"], sides["batching"]
    given = prompts(options.requests)
    figures: dict[str, list[list[float]]] = {}
    for name, (command, called) in sides.items():
        with running([*command, "--port"], environment) as server:
            measure(server.port, called, given[:2], 1, 4)  # the first request loads and warms
            figures[name] = [measure(server.port, called, given, most, options.tokens) for most in options.together]
    print(f"{'what':44} " + " ".join(f"{name:>9}" for name in sides) + "     ratio")
    for number, most in enumerate(options.together):
        for place, what in enumerate(("requests/s", "first token, s, median", "whole answer, s, median")):
            *peers, ours = (figures[name][number][place] for name in sides)
            ratio = (ours / max(peers) if place == 0 else min(peers) / ours) if peers else 1.0
            print(f"{f'{what}, {most} at once':44} " + " ".join(f"{value:9.2f}" for value in [*peers, ours, ratio]))
    print("batching: `transformers serve --continuous-batching`; ratio: ours beside the better of both, >1 is better")
    print(
        f"{options.requests} requests, {options.tokens} tokens each; {os.cpu_count()} cores, {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
