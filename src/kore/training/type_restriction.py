"""Which relations can hold between entities of which types, learned from the training examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kore.data.schema import Example, LabelMap


def allowed_relations(
    examples: Sequence[Example], types: Sequence[str], labels: LabelMap
) -> NDArray[np.bool_]:
    """(T + 1, T + 1, C): which relations some example has between a subject and an object
    of such types.

    Types are numbered from 1, 0 stands for any other. no_relation is always allowed, and where no
    example has such types, everything is.
    """
    number_of = {name: number for number, name in enumerate(types, start=1)}
    relation_of = {name: number for number, name in enumerate(labels.names)}
    allowed = np.zeros((len(types) + 1, len(types) + 1, len(labels)), dtype=np.bool_)
    for example in examples:
        pair = tuple(number_of.get(entity.type, 0) for entity in (example.subject, example.object))
        allowed[(*pair, relation_of[str(example.label)])] = True
    allowed[0] = allowed[:, 0] = True
    allowed[~allowed.any(axis=-1)] = True
    if labels.no_relation is not None:
        allowed[..., relation_of[labels.no_relation]] = True
    return allowed
