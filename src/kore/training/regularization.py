"""Regularization: R-Drop, adversarial training (FGM) and token masking."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from kore.data.dataset import Batch
from kore.network.pooling import span_mask
from kore.training.loss import Loss


def example_losses(model: Callable[..., Tensor], batch: Batch, loss: Loss, r_drop: float) -> Tensor:
    """(B,) losses of a batch.

    With `r_drop` every example passes twice, under other dropout: the loss is the mean of both,
    plus `r_drop` times the symmetric divergence between the two (Liang et al. 2021, "R-Drop").
    """
    assert batch.labels is not None
    if not r_drop:
        return loss(model(*batch.inputs), batch.labels)
    both = batch.twice()
    assert both.labels is not None
    logits = model(*both.inputs).float()
    first, second = logits.log_softmax(dim=-1).chunk(2)
    divergence = sum(
        functional.kl_div(one, other, reduction="none", log_target=True).sum(dim=-1)
        for one, other in ((first, second), (second, first))
    )
    mean_loss = torch.stack(loss(logits, both.labels).chunk(2)).mean(dim=0)
    return mean_loss + r_drop * divergence / 2


@contextmanager
def adversarial(weight: nn.Parameter, epsilon: float) -> Iterator[None]:
    """Inside, `weight` is moved by `epsilon` along its gradient, to where the loss is higher.

    Fast gradient method on word embeddings (Miyato et al. 2017, "Adversarial Training Methods for
    Semi-Supervised Text Classification"). Afterwards it is what it was, to the bit.
    """
    assert weight.grad is not None
    before = weight.detach().clone()
    norm = weight.grad.norm().clamp(min=torch.finfo(torch.float32).tiny)
    with torch.no_grad():
        weight.add_(weight.grad * (epsilon / norm))
    try:
        yield
    finally:
        with torch.no_grad():
            weight.copy_(before)


def masked(batch: Batch, ratio: float, tokenizer: PreTrainedTokenizerBase) -> Batch:
    """The batch with about `ratio` of the text's tokens outside the entities replaced by [MASK].

    Entities, their markers, [CLS], [SEP], padding and all that leads the text (a cue sentence, or
    both words where there are no markers) stay. Drawn from torch's global generator.
    """
    ids = batch.input_ids
    is_sep = ids == tokenizer.sep_token_id
    seps_from_here = is_sep.flip(1).cumsum(dim=1).flip(1)
    is_text = (seps_from_here == 1) & ~is_sep  # before the last [SEP], behind all others
    is_kept = ~is_text | (ids == tokenizer.cls_token_id)
    for span in (batch.subject_span, batch.object_span):
        is_kept |= span_mask(span, ids.shape[1])
    is_masked = (torch.rand(ids.shape, device=ids.device) < ratio) & ~is_kept
    return replace(batch, input_ids=ids.masked_fill(is_masked, tokenizer.mask_token_id))
