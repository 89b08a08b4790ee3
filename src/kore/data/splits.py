"""Splits into training and validation examples."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from kore.common.errors import UserError
from kore.data.schema import Example

_HELD_OUT_SEED = 0


def split(
    examples: Sequence[Example], valid_ratio: float, group_by_sentence: bool, seed: int
) -> list[bool]:
    """For each example, whether it is held out; stratified by label as scikit-learn does.

    With `group_by_sentence` whole sentences are drawn instead of examples, each with the label of
    its examples that is rarest in the file. A label of a single one cannot be on both sides: it
    stays in training.

    Raises:
        UserError: too few examples for the labels they have.
    """
    from sklearn.model_selection import train_test_split  # seconds to import

    counts = Counter(example.label for example in examples)
    label_of_unit: dict[object, str | None] = {}
    units = [row.sentence if group_by_sentence else number for number, row in enumerate(examples)]
    for unit, example in zip(units, examples, strict=True):
        before = label_of_unit.setdefault(unit, example.label)
        if counts[example.label] < counts[before]:
            label_of_unit[unit] = example.label
    unit_counts = Counter(label_of_unit.values())
    drawable = [unit for unit, label in label_of_unit.items() if unit_counts[label] > 1]
    _check_size(len(drawable), len({label_of_unit[unit] for unit in drawable}), valid_ratio)
    _, valid_units = train_test_split(
        drawable,
        test_size=valid_ratio,
        stratify=[label_of_unit[unit] for unit in drawable],
        random_state=seed,
    )
    held_out = set(valid_units)
    return [unit in held_out for unit in units]


def _check_size(units: int, labels: int, valid_ratio: float) -> None:
    """Refuses a split that would leave a label without a place on one of its sides."""
    held_out = math.ceil(valid_ratio * units)
    smaller = min(held_out, units - held_out)
    if not labels:
        raise UserError("every label stands in a single example: there is nothing to split")
    if smaller < labels:
        raise UserError(
            f"`valid_ratio` {valid_ratio} of {units} examples (or sentences) puts {smaller} on the "
            f"smaller side of the split, where each of {labels} labels needs one; add examples or "
            "change the ratio"
        )


def shared_sentences(examples: Sequence[Example], in_valid: Sequence[bool]) -> int:
    """Held-out examples whose sentence is in training as well: the leak of a split."""
    in_train = {row.sentence for row, held in zip(examples, in_valid, strict=True) if not held}
    return sum(
        held and row.sentence in in_train for row, held in zip(examples, in_valid, strict=True)
    )


def held_out(texts: Sequence[str], valid_ratio: float, name: str) -> set[str]:
    """The texts to validate on, the same ones for every seed of training; a text is on one side.

    Raises:
        UserError: there are too few in the file `name`.
    """
    different = list(dict.fromkeys(texts))
    count = round(len(different) * valid_ratio)
    if not 0 < count < len(different):
        raise UserError(
            f"{name}: {len(different)} texts are too few to hold {valid_ratio:.0%} of them out; "
            "name a `valid_file`"
        )
    order = np.random.default_rng(_HELD_OUT_SEED).permutation(len(different)).tolist()
    return {different[number] for number in order[:count]}
