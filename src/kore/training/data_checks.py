"""What can be wrong with the data of a run although every row is right."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kore.common.arrays import Floats
from kore.common.errors import UserError
from kore.data.duplicates import row_key
from kore.data.ner import TaggedText
from kore.data.schema import Example, LabelMap
from kore.scoring.label_shift import SAME_BALANCE, distance, gold_shares, row_weights

_LOGGER = logging.getLogger(__name__)

MOSTLY_SHARED = 0.5  # of the validation examples


def check_relations(examples: Sequence[Example], path: Path) -> None:
    """Refuses training examples of a single relation, from which nothing can be learned.

    Raises:
        UserError: they have one relation.
    """
    relations = {str(example.label) for example in examples}
    if len(relations) == 1:
        raise UserError(
            f"{path}: all examples ({len(examples)}) have the relation {relations.pop()}, so "
            "there is nothing to learn; add examples of other relations"
        )


def check_expected(valid: Sequence[Example], labels: LabelMap, expected: Floats) -> None:
    """Refuses class shares (C,) under which the validation examples could not be scored.

    Raises:
        UserError: they leave nothing to the relations of these examples.
    """
    row_weights(np.asarray(labels.index(str(example.label) for example in valid)), expected)


def check_entities(texts: Sequence[TaggedText], path: Path) -> None:
    """Refuses texts none of which has an entity.

    Raises:
        UserError: none has.
    """
    if not any(row.entities for row in texts):
        raise UserError(f"{path}: no text has an entity, so there is nothing to learn")


def warn_of_validation(
    train: Sequence[Example],
    valid: Sequence[Example],
    labels: LabelMap,
    target_prior: str = "",
) -> None:
    """Logs why the validation scores may say little of the data to be predicted.

    Args:
        target_prior: the file of the class shares to expect; "" = none is named.
    """
    known = {row_key(example) for example in train}
    shared = sum(row_key(example) in known for example in valid)
    if shared > MOSTLY_SHARED * len(valid):
        _LOGGER.warning(
            f"{shared} of the {len(valid)} validation examples are training examples as well: the "
            "scores do not show how good the model is on new ones; hold others out"
        )
    elif not target_prior and _is_same_balance(train, valid, labels):
        _LOGGER.warning(
            "The validation examples have the class balance of the training examples. Where those "
            "to predict have another one, scores differ: `target_prior` names the class shares "
            "to expect"
        )


def _is_same_balance(train: Sequence[Example], valid: Sequence[Example], labels: LabelMap) -> bool:
    return distance(gold_shares(train, labels), gold_shares(valid, labels)) <= SAME_BALANCE
