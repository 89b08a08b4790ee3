"""Attention and attributions of single tokens; nothing here knows files or options.

Attention is what the encoder's own pass gives; attributions are integrated gradients of a
relation's log probability (Sundararajan et al. 2017, "Axiomatic Attribution for Deep Networks").
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from kore.common.errors import UserError
from kore.common.progress import progress_bar
from kore.data.dataset import Batch
from kore.data.schema import Span
from kore.network.model import RelationClassifier


class Word(NamedTuple):
    """A word between spaces, and the positions of its tokens; none where it was truncated."""

    text: str
    tokens: list[int]


def integrated_gradients(
    function: Callable[[Tensor], Tensor],
    inputs: Tensor,
    baseline: Tensor,
    steps: int,
    points_at_once: int,
) -> Tensor:
    """How much each number of `inputs` adds to `function`, on the way there from `baseline`.

    The gradient is integrated along the straight line by Gauss-Legendre quadrature, which is
    exact for polynomials up to degree 2 * steps - 1. The result sums to f(inputs) - f(baseline), up
    to the error of the quadrature ("completeness").

    Args:
        function: (S, *shape) -> (S,), each value of its own point alone.
        inputs, baseline: of one shape, which the result has as well.
        steps: points of the line.
        points_at_once: S, the most of them that are computed together.
    """
    nodes, weights = np.polynomial.legendre.leggauss(steps)  # on [-1, 1]
    total = torch.zeros_like(inputs)
    starts = range(0, steps, points_at_once)
    for start in progress_bar(starts, desc="integrating"):
        chosen = slice(start, start + points_at_once)
        along = _column((nodes[chosen] + 1) / 2, inputs)
        points = (baseline + along * (inputs - baseline)).requires_grad_()
        (gradients,) = torch.autograd.grad(function(points).sum(), points)
        total += (_column(weights[chosen] / 2, inputs) * gradients).sum(dim=0)
    return total * (inputs - baseline)


def _column(values: np.ndarray, like: Tensor) -> Tensor:
    """(S,) numbers -> (S, 1, ...), to be multiplied with tensors shaped like `like`."""
    return torch.as_tensor(values, dtype=like.dtype, device=like.device).view(-1, *[1] * like.ndim)


def word_embeddings(encoder: PreTrainedModel, input_ids: Tensor) -> Tensor:
    """input_ids (T,) -> (T, E), before positions are added."""
    with torch.no_grad():
        return encoder.get_input_embeddings()(input_ids[None])[0]


def baseline_embeddings(encoder: PreTrainedModel, embeddings: Tensor, is_special: Tensor) -> Tensor:
    """The baseline (T, E): the vocabulary's mean for every token but [CLS] and [SEP].

    Every example has these two, so that everything is attributed to words. The mean and not zeros:
    at zeros the first layer norm of an encoder that adds no positions turns abruptly (with small
    DeBERTas the attributions then miss more than their whole sum, and nothing with the mean).

    Args:
        embeddings: (T, E) of the example.
        is_special: (T,), True on [CLS] and [SEP].
    """
    vocabulary: Any = encoder.get_input_embeddings()
    return torch.where(is_special[:, None], embeddings, vocabulary.weight.detach().mean(dim=0))


def log_probs_at(
    classifier: RelationClassifier, batch: Batch, relation: int, embeddings: Tensor
) -> Tensor:
    """Log probability (S,) of a relation with word embeddings (S, T, E) in place of the batch's.

    It is the classifier's own forward pass. The log probability and not the logit, which can rise
    while those of other relations rise more.

    Args:
        batch: of one example.

    Raises:
        UserError: the encoder pads its input by itself, as Longformer does.
    """
    count = len(embeddings)
    inputs = (batch.input_ids, batch.attention_mask, batch.subject_span, batch.object_span)
    types = None if batch.entity_types is None else batch.entity_types.expand(count, -1)
    ngrams = None if batch.ngrams is None else batch.ngrams.expand(count, -1)
    with _embeddings_replaced(classifier.encoder, embeddings):
        logits = classifier(
            *(part.expand(count, -1) for part in inputs), entity_types=types, ngrams=ngrams
        )
    return logits.log_softmax(dim=-1)[:, relation]


@contextmanager
def _embeddings_replaced(encoder: PreTrainedModel, embeddings: Tensor) -> Iterator[None]:
    """Inside, the encoder's word embeddings are `embeddings`, whatever ids it is given."""

    def replace(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        if output.shape != embeddings.shape:
            raise UserError(
                f"{type(encoder).__name__} does not read its input token by token as it is, so its "
                "predictions cannot be explained; use a model with another encoder"
            )
        return embeddings

    handle = encoder.get_input_embeddings().register_forward_hook(replace)
    try:
        yield
    finally:
        handle.remove()


def attention_weights(
    encoder: PreTrainedModel, batch: Batch, added: Tensor | None = None
) -> Tensor | None:
    """Attention (layers, T, T) of a batch of one example, mean over heads; queries in rows.

    None where the encoder gives none, or not from every token to every token.

    Args:
        added: (1, T, E), added to the word embeddings as in the classifier.
    """
    words: dict[str, Tensor] = {"input_ids": batch.input_ids}
    if added is not None:
        words = {"inputs_embeds": word_embeddings(encoder, batch.input_ids[0])[None] + added}
    implementation = encoder.config._attn_implementation
    encoder.set_attn_implementation("eager")  # the fused kernels keep no weights
    try:
        with torch.no_grad():
            output = encoder(
                **words,
                attention_mask=batch.attention_mask.long(),
                output_attentions=True,
            )
    finally:
        encoder.set_attn_implementation(implementation)
    square = (batch.input_ids.shape[1],) * 2
    layers = output.get("attentions") or ()
    if not layers or any(layer is None or layer.shape[-2:] != square for layer in layers):
        return None
    return torch.stack([layer[0].mean(dim=0) for layer in layers])


def words_of(text: str, spans: Sequence[Span]) -> list[Word]:
    """The words of `text` with the positions of their tokens.

    Args:
        spans: each token's characters in `text`; an empty span belongs to no word, any other
            one to the word that ends after its start, since some tokenizers count the space
            before a word as its token's.
    """
    places = [match.span() for match in re.finditer(r"\S+", text)]
    ends = [end for _, end in places]
    words = [Word(text[start:end], []) for start, end in places]
    for position, span in enumerate(spans):
        if span.start < span.end:
            number = bisect_right(ends, span.start)
            words[min(number, len(words) - 1)].tokens.append(position)
    return words
