"""The only folder that may import torch, transformers, trl, peft and datasets; reached by name from ``ops``.

Importing any of its modules sets, where the user has not, what those libraries read when they are imported: no
telemetry, no advice, no progress bars of their own.
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
