"""Answers that vLLM samples: a server beside the training, which gets each policy as an adapter.

vLLM asks for other versions of transformers than training does, so it is never imported here. It is the program
``vllm`` of whatever environment has it, and is talked to over a socket that only this user can open.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from skillpm.errors import TrainingError, UsageError
from skillpm.train.hf.conversation import Conversation
from skillpm.train.hf.model import window
from skillpm.train.hf.rollout import Answer, Drawing, Ended
from skillpm.train.recipe import VLLM_RANK

_BASE = "base"  # what the server calls the model without an adapter
_RANKS = (8, 16, 32, 64, 128, 256, VLLM_RANK)  # that vLLM makes room for
_SHARE = "0.3"  # of a GPU's memory, which training has the rest of
_START = 1800.0  # seconds that it may take to load the model
_POLL = 0.5
_ENDING = 10.0  # seconds that it gets to end
_LOG = 4000  # characters of what it printed, for a report of a failure
_ERROR = re.compile(r"^.*?\b(\w+Error: .+)$", re.MULTILINE)
_FOLLOW_UP = "Engine core initialization failed"  # says that there was an error before
_GUARD = Path(__file__).with_name("vllm_guard.py")


def vllm_program() -> str:
    """Return the path of vLLM's program. Raises TrainingError where it is not installed."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    program = shutil.which("vllm", path=path)
    if program is None:
        raise TrainingError(
            "`rollouts: vllm` needs the program vllm, and no folder of PATH has it",
            hint="python -m venv ~/vllm && ~/vllm/bin/pip install vllm, then PATH=$PATH:~/vllm/bin skillpm train",
        )
    return program


class VllmSampler:
    """A vLLM server that samples answers of a model, with the adapter that it was last given.

    Args:
        source: the base model: a folder or a hub id.
        model: the PEFT model that is trained.

    Raises:
        TrainingError: vLLM is not installed, or does not serve this model.
        UsageError: the adapter is of a kind or a rank that vLLM does not take.
    """

    def __init__(self, source: Path | str, model: Any) -> None:
        program, rank = vllm_program(), _rank(model)
        self._folder = Path(tempfile.mkdtemp(prefix="skillpm-"))
        self._socket, self._log = self._folder / "socket", self._folder / "log"
        self._policy, self._policies = _BASE, 0
        settings = {
            "uds": self._socket,
            "served-model-name": _BASE,
            "dtype": str(model.dtype).removeprefix("torch."),
            "max-lora-rank": rank,
            "max-model-len": window(model),
            "logprobs-mode": "processed_logprobs",  # of the distribution that is sampled from, at its temperature
            "generation-config": "vllm",  # else the model's own top_p and the like would change that distribution
            "gpu-memory-utilization": _SHARE,
        }
        options = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
        eager = ["--enforce-eager"] if model.device.type == "cpu" else []  # compiling takes minutes there
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(_GUARD), str(os.getpid()), str(self._folder), program, "serve", str(source),
                 "--enable-lora", *options, *eager],
                env={**os.environ, "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1", "VLLM_NO_USAGE_STATS": "1"},
                cwd=self._folder,  # no module of the project
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us, and all of it can be ended
            )  # fmt: skip
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    @property
    def version(self) -> str:
        """The version of vLLM, as the server says it; ``unknown`` where it does not."""
        with suppress(OSError, HTTPException, ValueError, LookupError, TypeError):
            return str(json.loads(self._request("GET", "/version", None)[1])["version"])
        return "unknown"

    def close(self) -> None:
        """End the server, and the processes that it has started."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_ENDING)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def follow(self, model: Any) -> None:
        """Sample from a PEFT model as it is now, from now on.

        Each policy has a name of its own, in whatever stage it is, so that no keys and values of an earlier one are
        used again.

        Raises:
            TrainingError: the server does not take the adapter.
        """
        self._policies += 1
        before, self._policy = self._policy, f"policy-{self._policies}"
        model.save_pretrained(self._folder / self._policy, selected_adapters=["default"])  # what it was stands beside
        self._post("load_lora_adapter", {"lora_name": self._policy, "lora_path": str(self._folder / self._policy)})
        if before != _BASE:
            self._post("unload_lora_adapter", {"lora_name": before})
            shutil.rmtree(self._folder / before, ignore_errors=True)

    def answers(
        self,
        model: Any,
        conversation: Conversation,
        prompts: Sequence[Sequence[int]],
        how: Drawing,
        *,
        ended: Ended | None = None,
        places: Sequence[int] = (),
    ) -> list[list[Answer]]:
        """Return a group of answers to each prompt, as ``sample_answers`` does, with the score of each token.

        Raises:
            TrainingError: the server refuses, or has ended.
        """
        stop = sorted(conversation.stops)

        def asked(number: int) -> list[Answer]:
            prompt, place = list(prompts[number]), places[number] if places else 0
            question = {
                "model": self._policy,
                "prompt": prompt,
                "n": how.samples,
                "temperature": how.temperature,
                "max_tokens": how.max_new_tokens,
                "seed": random.Random(f"{how.seed} {place} {prompt}").getrandbits(31),
                "stop_token_ids": stop,
                "logprobs": 0,
                "return_token_ids": True,
            }
            choices = json.loads(self._post("completions", question))["choices"]
            choices.sort(key=lambda choice: choice["index"])
            return [Answer(one["token_ids"], scores=one["logprobs"]["token_logprobs"]) for one in choices]

        groups = []
        with ThreadPoolExecutor(max(1, how.batch_size // how.samples)) as pool:
            for number, group in enumerate(pool.map(asked, range(len(prompts)))):
                groups.append(group)
                if ended is not None:
                    for answer in group:
                        ended(number, answer.tokens)
        return groups

    def _wait(self) -> None:
        """Wait until it serves. Raises TrainingError where it does not."""
        last = time.monotonic() + _START
        while self._process.poll() is None and time.monotonic() < last:
            with suppress(OSError, HTTPException):
                if self._request("GET", "/health", None)[0] == 200:
                    return
            time.sleep(_POLL)
        raise self._failure("does not serve this model")

    def _post(self, name: str, question: Mapping[str, Any]) -> bytes:
        try:
            status, body = self._request("POST", f"/v1/{name}", json.dumps(question))
        except (OSError, HTTPException):
            raise self._failure("has ended") from None
        if status != 200:
            raise TrainingError(f"vLLM refuses {name}: {body.decode(errors='replace')[:300]}")
        return body

    def _request(self, method: str, path: str, body: str | None) -> tuple[int, bytes]:
        connection = _Connection(self._socket)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def _failure(self, what: str) -> TrainingError:
        log = self._log.read_text(encoding="utf-8", errors="replace")
        reasons = [line for line in _ERROR.findall(log) if _FOLLOW_UP not in line]
        reason = reasons[-1][:300] if reasons else "no reason given"
        return TrainingError(f"vLLM {what}: {reason}", hint="leave `rollouts: vllm` out", log=log[-_LOG:])


class _Connection(HTTPConnection):
    """HTTP over a socket that is a file."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


def _rank(model: Any) -> int:
    """Return the room that the adapter of a model needs. Raises UsageError where vLLM does not take it."""
    (adapter,) = model.peft_config.values()
    if adapter.use_dora or adapter.r > VLLM_RANK:
        problem = "DoRA" if adapter.use_dora else f"rank {adapter.r}"
        raise UsageError(f"vLLM takes no adapter of {problem}", hint="leave `rollouts: vllm` out")
    return next(rank for rank in _RANKS if rank >= adapter.r)
