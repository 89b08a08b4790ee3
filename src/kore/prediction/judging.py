"""Texts -> which labels are true: what the command, the folds and the service share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from kore.common.arrays import Floats
from kore.common.errors import UserError
from kore.common.flags import BATCH_TOKENS
from kore.data.emotion import JudgedText, record_of
from kore.network.emotion_file import TrainedEmotions
from kore.prediction.predictor import Compute, Predictor
from kore.scoring.labels import Truths

HARD = "hard"


class Judgements(NamedTuple):
    """(N, C) which labels are true, and how probable each is."""

    truths: Truths
    probs: Floats


class Judge:
    """One classifier or several that vote, in evaluation mode. Threads may share it.

    Args:
        models: of the same labels, in any order.
        vote: "soft" = the means of probabilities and of thresholds decide; "hard" = the majority,
            and where it is a tie the means.
        batch_tokens: most tokens computed at once, padding included.

    Raises:
        UserError: the models know other labels.
    """

    def __init__(
        self,
        models: Mapping[str, TrainedEmotions],
        compute: Compute,
        vote: str = "soft",
        batch_tokens: int = BATCH_TOKENS,
    ) -> None:
        first, *others = models
        self.labels = models[first].labels
        for name in others:
            if set(models[name].labels) != set(self.labels):
                raise UserError(
                    f"{name} knows the labels {', '.join(models[name].labels)}, but {first} "
                    f"{', '.join(self.labels)}; only models of the same labels can vote"
                )
        self._vote = vote
        self._members = [
            (
                trained,
                Predictor(
                    trained.model.to(compute.device).eval(), trained.encoder, compute, batch_tokens
                ),
            )
            for trained in models.values()
        ]

    def __call__(self, texts: Sequence[JudgedText]) -> Judgements:
        """The labels of texts, in their order."""
        if not texts:
            empty = np.empty((0, len(self.labels)))
            return Judgements(empty.astype(bool), empty)
        probs, decided, thresholds = [], [], []
        for trained, predictor in self._members:
            rows = trained.encoder.encode(texts, quiet=True)
            # Each model has the order of its own training file.
            order = [trained.labels.index(name) for name in self.labels]
            probs.append(predictor.probs(rows)[..., 1][:, order])
            thresholds.append(trained.model.thresholds.cpu().double().numpy()[order])
            decided.append(probs[-1] >= thresholds[-1])
        mean = np.mean(probs, axis=0)
        truths = mean >= np.mean(thresholds, axis=0)
        if self._vote == HARD:
            votes = 2 * np.sum(decided, axis=0) - len(decided)
            truths = np.where(votes == 0, truths, votes > 0)
        return Judgements(truths, mean)


def judged_records(
    judge: Judge, texts: Sequence[JudgedText], *, with_probs: bool
) -> list[dict[str, Any]]:
    """The rows of texts with their `output` filled in, and maybe `probs`."""
    found = judge(texts)
    records = []
    for text, truths, probs in zip(texts, found.truths, found.probs, strict=True):
        record = record_of(text, dict(zip(judge.labels, truths, strict=True)))
        if with_probs:
            rounded = (round(float(value), 6) for value in probs)
            record["probs"] = dict(zip(judge.labels, rounded, strict=True))
        records.append(record)
    return records
