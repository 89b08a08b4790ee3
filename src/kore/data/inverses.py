"""Which relation holds in the other direction."""

from __future__ import annotations

from pathlib import Path

from kore.common.errors import UserError, nearest
from kore.common.files import read_json
from kore.data.schema import LabelMap

KLUE_INVERSES = "klue_inverses.json"  # of the relations of KLUE-RE, among the resources


def read_inverses(path: Path, labels: LabelMap | None) -> dict[str, str]:
    """{"per:parents": "per:children", …} in both directions, from a table that names one of them.

    Args:
        labels: the relations there are; None = any.

    Raises:
        UserError: it is missing or damaged, names an unknown relation or contradicts itself.
    """
    table = read_json(path)
    if not isinstance(table, dict):
        raise UserError(f'{path}: expected an object such as {{"per:parents": "per:children"}}')
    inverses: dict[str, str] = {}
    for pair in table.items():
        for name in pair:
            if labels is not None and name not in labels.names:
                raise UserError(
                    f"{path}: {name!r} is not one of the {len(labels)} relations; did you mean "
                    f"{nearest(str(name), labels.names)}?"
                )
        for name, inverse in (pair, pair[::-1]):
            if inverses.setdefault(name, inverse) != inverse:
                raise UserError(
                    f"{path}: contradicts itself: the inverse of {name} is {inverses[name]} and "
                    f"{inverse}; leave one of them out"
                )
    return inverses
