"""The only folder that may import torch, transformers, trl, peft and datasets; reached by name from ``ops``.

Importing any of its modules first sets, where the user has not, what those libraries read when they are imported: no
telemetry, no advice, no progress bars of their own, and threads that sleep while they wait.
"""

import os

for _name in (
    "HF_HUB_DISABLE_TELEMETRY",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS",
    "TRL_EXPERIMENTAL_SILENCE",
    "TQDM_DISABLE",
):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# OpenMP threads that wait for work spin by default. On a processor that other programs share, they take the time of the
# thread that they wait for: one epoch of SFT cost 347 CPU seconds, and 20 with sleeping threads.
_WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}
if not _WAITING.keys() & os.environ.keys():
    os.environ.update(_WAITING)
