"""Rows -> probabilities: what validation and inference share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn
from tqdm import tqdm

from batching import longest_first
from checkpoint import TrainedModel
from dataset import Batch, EncodedRow
from metrics import Floats
from schema import Example


def predict_examples(
    trained: TrainedModel, examples: Sequence[Example], accelerator: Accelerator, batch_size: int
) -> Floats:
    """Probabilities (N, C) of examples in their order, in the label order of `trained`."""
    rows = trained.input_encoder.encode(examples)
    model = accelerator.prepare_model(trained.model, evaluation_mode=True)
    return predict_probs(model, rows, trained.input_encoder.pad_id, batch_size, accelerator)


@torch.inference_mode()
def predict_probs(
    model: nn.Module,
    rows: Sequence[EncodedRow],
    pad_id: int,
    batch_size: int,
    accelerator: Accelerator,
) -> Floats:
    """Softmax probabilities (N, C) in the order of `rows`, computed in float64.

    `model` has been through `accelerator.prepare`; its training mode is restored afterwards.
    """
    was_training = model.training
    model.eval()
    batches = longest_first([len(row.input_ids) for row in rows], batch_size)
    logits: list[torch.Tensor] = []
    with tqdm(total=len(rows), desc="predicting", unit=" rows", disable=None) as progress:
        for numbers in batches:
            batch = Batch.collate([rows[i] for i in numbers], pad_id).to(accelerator.device)
            logits.append(
                model(
                    batch.input_ids, batch.attention_mask, batch.subject_span, batch.object_span
                ).float()
            )
            progress.update(len(numbers))
    model.train(was_training)
    probs = torch.cat(logits).double().softmax(dim=-1).cpu().numpy()
    restored = np.empty_like(probs)
    restored[np.concatenate(batches)] = probs
    return restored
