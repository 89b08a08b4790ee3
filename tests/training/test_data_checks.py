"""Data that is right row by row and wrong as a whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.builders import EXAMPLES, LABELS

from kore.common.errors import UserError
from kore.training.data_checks import check_expected, check_relations, warn_of_validation

FIRST, SECOND, THIRD, FOURTH = EXAMPLES  # employee_of, no_relation, founded, no_relation


def test_a_single_relation_is_refused() -> None:
    with pytest.raises(UserError, match=r"a\.csv: all examples \(2\) have the relation no_rel"):
        check_relations([SECOND, FOURTH], Path("a.csv"))
    check_relations([FIRST, SECOND], Path("a.csv"))


def test_shares_that_leave_the_validation_examples_nothing_are_refused() -> None:
    shares = np.zeros(len(LABELS))
    shares[LABELS.index(["per:employee_of"])] = 1.0
    check_expected([FIRST, SECOND], LABELS, shares)
    with pytest.raises(UserError, match="the class shares to expect are 0"):
        check_expected([SECOND, THIRD], LABELS, shares)


@pytest.mark.parametrize(
    ("valid", "said"),
    [
        # Two of three, then one of two: half is not most. Ids and labels do not count.
        ([FIRST._replace(id="x"), SECOND._replace(label="org:founded"), FOURTH], "2 of the 3"),
        ([FIRST, FOURTH], None),
        # None of them, but a third of each relation as in training.
        ([row._replace(sentence=f"{row.sentence} ") for row in (FIRST, SECOND, THIRD)], "balance"),
        ([FOURTH], None),
    ],
)
def test_what_validation_cannot_show_is_said(
    valid: list, said: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    warn_of_validation([FIRST, SECOND, THIRD], valid, LABELS)
    assert len(caplog.messages) == (said is not None)
    if said:
        assert said in caplog.text


def test_shares_that_are_expected_already_are_not_asked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rows = [FIRST, SECOND, THIRD]
    alike = [row._replace(sentence=f"{row.sentence} ") for row in rows]
    warn_of_validation(rows, alike, LABELS, target_prior="klue_dev_shares.json")
    assert not caplog.messages
