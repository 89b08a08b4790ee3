"""How long examples are in tokens, and how many a given max_length would truncate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kore.common.progress import progress_bar
from kore.data.dataset import ENCODING_CHUNK, InputEncoder
from kore.data.markers import MarkerScheme, mark
from kore.data.schema import Example, entity_types
from kore.network import mini
from kore.network.checkpoint import load_model
from kore.network.pretrained import load_tokenizer

QUANTILES = (0.5, 0.9, 0.99, 1.0)
MAX_LENGTHS = (128, 160, 256)
_UNCUT = 1_000_000  # tokens; no sentence is as long


def length_encoder(tokenizer: str, examples: Sequence[Example]) -> InputEncoder:
    """An encoder that truncates nothing.

    Args:
        tokenizer: a checkpoint, whose own markers are used; or a folder or hub name, or "" for a
            vocabulary learned from `examples` as `mini` learns it, both with typed markers in
            punctuation, the default of training.

    Raises:
        UserError: the tokenizer cannot be loaded.
    """
    if Path(tokenizer).suffix in (".pth", ".onnx"):
        trained = load_model(Path(tokenizer)).input_encoder
        return InputEncoder(trained.tokenizer, trained.scheme, _UNCUT)
    scheme = MarkerScheme(True, True, "punct", entity_types(examples))
    if tokenizer:
        return InputEncoder(load_tokenizer(tokenizer), scheme, _UNCUT)
    texts = (mark(example, scheme).text for example in examples)
    return InputEncoder(mini.learn_tokenizer(texts, mini.SIZE.vocab_size), scheme, _UNCUT)


def token_counts(encoder: InputEncoder, examples: Sequence[Example]) -> list[int]:
    """Tokens of every example, [CLS], [SEP] and markers included."""
    counts = []
    starts = range(0, len(examples), ENCODING_CHUNK)  # never the tokens of all examples at once
    for start in progress_bar(starts, desc="counting tokens"):
        encoded = encoder.encode(examples[start : start + ENCODING_CHUNK], quiet=True)
        counts += [len(one.input_ids) for one in encoded]
    return counts


def quantiles(lengths: Sequence[int]) -> dict[str, int]:
    """The length that this share of the examples does not exceed: {"50%": 62, …, "100%": 310}."""
    values = np.quantile(lengths, QUANTILES, method="inverted_cdf")
    names = (f"{share:.0%}" for share in QUANTILES)
    return {name: int(value) for name, value in zip(names, values, strict=True)}


def coverage(counts: Sequence[int]) -> dict[str, float]:
    """The share of examples, from 0 to 1, that each of MAX_LENGTHS leaves whole."""
    return {str(most): float(np.mean(np.asarray(counts) <= most)) for most in MAX_LENGTHS}
