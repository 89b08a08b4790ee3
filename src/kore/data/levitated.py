"""Levitated markers: behind a text that they leave as it is, they point to an entity's borders.

    [CLS] 이순신은 조선의 장군이다. [SEP]   [E1-PER] [/E1-PER] [E2-ORG] [/E2-ORG]

A marker has the position of the border that it stands for. Tokens of the text attend to the text
alone, markers to the text and to those of their own pair. So the text is encoded once, however many
pairs are asked about (Zhong and Chen 2021, "A Frustratingly Easy Approach for Entity and Relation
Extraction"; Ye et al. 2022, "Packed Levitated Marker for Entity and Relation Extraction").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from kore.data.dataset import EncodedExample

PAIR_MARKERS = 4  # opening and closing one of the subject, then those of the object
ENTITY_MARKERS = PAIR_MARKERS // 2
# A text with more pairs is read once for each so many: they bound the memory of a batch.
_MOST_PAIRS = 128


class TextWithPairs(NamedTuple):
    """Examples of one text, which is read once for all of them."""

    examples: Sequence[EncodedExample]

    @property
    def text_ids(self) -> list[int]:
        """The tokens of the text, [CLS] and [SEP] included."""
        return self.examples[0].input_ids[:-PAIR_MARKERS]

    @property
    def input_ids(self) -> list[int]:
        """The tokens of the text, and the markers of all pairs behind them."""
        return [*self.text_ids, *(token for row in self.examples for token in _markers(row))]

    @property
    def length(self) -> int:
        """What it takes in a batch, in tokens."""
        return len(self.text_ids) + PAIR_MARKERS * len(self.examples)


def _markers(row: EncodedExample) -> list[int]:
    return row.input_ids[-PAIR_MARKERS:]


def texts_with_pairs(rows: Sequence[EncodedExample]) -> Iterator[TextWithPairs]:
    """Neighbouring examples with the same tokens of the text, together."""
    start = 0
    for end in range(1, len(rows) + 1):
        text = rows[start].input_ids[:-PAIR_MARKERS]
        is_full = end - start == _MOST_PAIRS
        if end == len(rows) or is_full or rows[end].input_ids[:-PAIR_MARKERS] != text:
            yield TextWithPairs(rows[start:end])
            start = end


class LevitatedInputs(NamedTuple):
    """Texts padded to T tokens, with the markers of P pairs behind each: M = 4 P.

    Shapes, with B texts:
        input_ids: (B, T + M), int64.
        attention_mask: (B, T + M), bool, False on padding, that of missing pairs included.
        borders: (B, M), int64, the position of the border that a marker stands for.
        examples: the examples in the order of their pairs, B * P; for a missing pair the text's
            first.
    """

    input_ids: Tensor
    attention_mask: Tensor
    borders: Tensor
    examples: list[EncodedExample]


def levitated_inputs(texts: Sequence[TextWithPairs], pad_id: int, length: int) -> LevitatedInputs:
    """The tensors of texts with their pairs.

    Args:
        length: T + M where that is more than they need.
    """
    pairs = max(len(text.examples) for text in texts)
    markers = PAIR_MARKERS * pairs
    longest = max(max(len(text.text_ids) for text in texts), length - markers)
    ids = np.full((len(texts), longest + markers), pad_id, dtype=np.int64)
    mask = np.zeros(ids.shape, dtype=bool)
    borders = np.zeros((len(texts), markers), dtype=np.int64)
    examples = []
    for number, text in enumerate(texts):
        own, count = text.text_ids, PAIR_MARKERS * len(text.examples)
        ids[number, : len(own)] = own
        mask[number, : len(own)] = True
        ids[number, longest : longest + count] = [
            token for row in text.examples for token in _markers(row)
        ]
        mask[number, longest : longest + count] = True
        borders[number, :count] = [place for row in text.examples for place in row.borders]
        examples += [*text.examples, *[text.examples[0]] * (pairs - len(text.examples))]
    return LevitatedInputs(
        torch.from_numpy(ids), torch.from_numpy(mask), torch.from_numpy(borders), examples
    )
