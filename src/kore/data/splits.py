"""Splits into training and validation examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from kore.common.errors import UserError
from kore.data.schema import Example


def split(
    examples: Sequence[Example], valid_ratio: float, group_by_sentence: bool, seed: int
) -> list[bool]:
    """For each row, whether it is held out; stratified by label as sklearn does.

    With `group_by_sentence` whole sentences are drawn instead of rows, each with the label that
    is rarest in the file among its rows'. A label of a single unit cannot be on both sides: it
    stays in training.

    Raises:
        UserError: too few rows for the labels they have.
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
    try:
        _, valid_units = train_test_split(
            drawable,
            test_size=valid_ratio,
            stratify=[label_of_unit[unit] for unit in drawable],
            random_state=seed,
        )
    except ValueError as error:
        raise UserError(
            f"{len(drawable)} rows or sentences with {len(unit_counts)} labels cannot be split at "
            f"`valid_ratio` {valid_ratio} ({error}); bring more rows or another ratio"
        ) from error
    held_out = set(valid_units)
    return [unit in held_out for unit in units]


def shared_sentences(examples: Sequence[Example], in_valid: Sequence[bool]) -> int:
    """Held-out rows whose sentence stands in training as well: the leak of a split."""
    in_train = {row.sentence for row, held in zip(examples, in_valid, strict=True) if not held}
    return sum(
        held and row.sentence in in_train for row, held in zip(examples, in_valid, strict=True)
    )
