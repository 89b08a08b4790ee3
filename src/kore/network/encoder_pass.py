"""The encoder's forward pass, computed only where the head reads its states.

BERT, RoBERTa, XLM-RoBERTa and ELECTRA share one kind of layer; a ModernBERT without local attention
has another (see modern_bert.py). Their modules are called here one by one, so that

- on a CPU the last layer computes queries, feed-forward and norms only for the tokens that the head
  reads, and attention is written out (see attention.py);
- on a GPU the rows of BERT's kind run without their padding, packed one after the other.

Both equal the encoder's own forward pass up to rounding. Any other encoder is called as it is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import BertModel, ElectraModel, PreTrainedModel, RobertaModel, XLMRobertaModel

from kore.data.levitated import ENTITY_MARKERS, PAIR_MARKERS
from kore.network import bert, modern_bert
from kore.network.attention import (
    Layout,
    Levitated,
    Marking,
    Packed,
    Padded,
    Rotation,
    attend,
    attend_as_markers,
    packing_works,
)
from kore.network.positions import at_positions, distinct_entities, query_positions

ALL_LAYERS = 100  # more than an encoder has
_BERT_LIKE = (BertModel, ElectraModel, RobertaModel, XLMRobertaModel)


def layers_are_known(encoder: PreTrainedModel) -> bool:
    """Whether its layers are called one by one, and can be given levitated markers."""
    is_bert_like = type(encoder) in _BERT_LIKE and not encoder.config.is_decoder
    return is_bert_like or modern_bert.is_global_modern_bert(encoder)


class Kind(NamedTuple):
    """What a kind of layer computes before and behind attention, see bert.py and modern_bert.py."""

    project: Callable[[Any, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
    finish: Callable[[Any, Tensor, Tensor], Tensor]
    attention_dropout: Callable[[Any], float]


_BERT = Kind(bert.project, bert.finish, bert.attention_dropout)
_MODERN = Kind(modern_bert.project, modern_bert.finish, modern_bert.attention_dropout)


class ReadTexts(NamedTuple):
    """Texts that were read, and what levitated markers attend to in them.

    states: (B, T, H), as the encoder gives them.
    kept: (B, T, heads, D) each, key and value of the first layer, of the second and so on.
    mask: (B, T), True on tokens.
    """

    states: Tensor
    kept: tuple[Tensor, ...]
    mask: Tensor


class EncoderPass:
    """How one encoder is run. Calls share nothing, so that threads may call it at once.

    Args:
        checkpointing: activations of a layer are recomputed in the backward pass instead of kept
            (Chen et al. 2016): less memory, a third more arithmetic.
        compiled: torch.compile fuses a layer, once for all layers and lengths.
        last_layers: the states of so many layers are joined, each normed, those of the last layer
            at the end.
        pair_layers: in so many of the last layers levitated markers attend to all markers of their
            pair, in the earlier ones to those of their entity.
    """

    def __init__(
        self,
        encoder: PreTrainedModel,
        *,
        checkpointing: bool = False,
        compiled: bool = False,
        last_layers: int = 1,
        pair_layers: int = ALL_LAYERS,
    ) -> None:
        self._encoder: Any = encoder
        self._is_known = layers_are_known(encoder)
        self._is_modern = modern_bert.is_global_modern_bert(encoder)
        self._is_bert_like = self._is_known and not self._is_modern
        self._checkpointing = checkpointing
        self._compiled = compiled
        self._last_layers = last_layers
        self._pair_layers = pair_layers
        # ModernBERT's norms stand before its layers, so that what leaves a layer is not normed.
        self._norm: Callable[[Tensor], Tensor] = getattr(encoder, "final_norm", nn.Identity())
        kind = _MODERN if self._is_modern else _BERT

        def of_kind(step: Callable[..., Any]) -> Callable[..., Any]:
            step = functools.partial(step, kind)
            return torch.compile(step, dynamic=True) if compiled else step

        self._layer, self._read_layer = of_kind(layer_states), of_kind(read_layer)
        self._mark_layer = of_kind(mark_layer)
        if checkpointing and not self._is_known:
            encoder.gradient_checkpointing_enable({"use_reentrant": False})

    def __call__(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        query_mask: Tensor,
        num_tokens: int | None,
        added: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """States (B, K, H * last_layers) and their positions (B, K), None where K is T.

        Args:
            input_ids, attention_mask: (B, T).
            query_mask: (B, T), True where the head reads. K is the most of them in a row, or a few
                more; a row with fewer gets states of other tokens behind its own.
            num_tokens: the sum of `attention_mask`, without which rows are not packed (it would
                have to be fetched from the GPU).
            added: (B, T, E), is added to the word embeddings.
        """
        if not self._is_known or torch.compiler.is_exporting():
            return self._own_pass(input_ids, attention_mask, added), None
        if input_ids.is_cuda:
            if self._can_pack(num_tokens) and packing_works(input_ids.device):
                assert num_tokens is not None
                return self._packed(input_ids, attention_mask, num_tokens, added), None
            hidden = self._embeddings(input_ids, added)
            return self._layers(hidden, Padded(attention_mask)), None
        positions = query_positions(query_mask)
        layout = Padded(None if attention_mask.all() else attention_mask)
        return self._layers(self._embeddings(input_ids, added), layout, positions), positions

    def with_markers(
        self, input_ids: Tensor, attention_mask: Tensor, borders: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The states of texts (B, T, H * last_layers) and of the markers behind them (B, M, …).

        Args:
            input_ids, attention_mask: (B, T + M), the last M tokens are levitated markers.
            borders: (B, M), the positions of the markers in the text.
        """
        (text_ids, marker_ids), (text_mask, _) = (
            whole.tensor_split([-borders.shape[1]], dim=1) for whole in (input_ids, attention_mask)
        )
        is_exporting = torch.compiler.is_exporting()
        if not self._encoder.training and not is_exporting and self._last_layers == 1:
            texts = self.read(text_ids, text_mask)
            return texts.states, self.mark(texts, marker_ids, borders)
        length = text_ids.shape[1]
        text = torch.arange(length, device=borders.device).expand(len(borders), -1)
        positions = torch.cat([text, borders], dim=1)
        hidden = self._embeddings(input_ids, None, self._from_first(positions))
        has_padding = is_exporting or not text_mask.all()
        layout = Levitated(text_mask if has_padding else None, borders.shape[1])
        states = self._layers(hidden, layout, None, positions)
        return states[:, :length], states[:, length:]

    def read(self, input_ids: Tensor, attention_mask: Tensor) -> ReadTexts:
        """The states of texts (B, T), and what `mark` needs; a known encoder in evaluation mode."""
        hidden = self._embeddings(input_ids, None)
        mask = None if attention_mask.all() else attention_mask
        layout = Padded(mask, self._rotations(hidden))
        kept: list[Tensor] = []
        for layer in self._all_layers:
            hidden, *of_layer = self._read_layer(layer, hidden, layout)
            kept += of_layer
        return ReadTexts(self._norm(hidden), tuple(kept), attention_mask)

    def mark(self, texts: ReadTexts, marker_ids: Tensor, borders: Tensor) -> Tensor:
        """The states (B, M, H) of levitated markers behind texts that have been read.

        They are those of a pass over both, since texts attend to themselves alone.

        Args:
            marker_ids, borders: (B, M), the markers and their positions in the text.
        """
        early = max(0, len(texts.kept) // 2 - self._pair_layers)
        if not early:
            hidden = self._embeddings(marker_ids, None, self._from_first(borders))
            return self._norm(self._marked(texts, hidden, borders, slice(None)))
        # Below, an entity's markers know of no other: they are computed once for all its pairs.
        first, back = distinct_entities(marker_ids, borders)
        ids, places = marker_ids.gather(1, first), borders.gather(1, first)
        hidden = self._embeddings(ids, None, self._from_first(places))
        hidden = self._marked(texts, hidden, places, slice(early), ENTITY_MARKERS)
        hidden = self._marked(texts, at_positions(hidden, back), borders, slice(early, None))
        return self._norm(hidden)

    def _marked(
        self,
        texts: ReadTexts,
        hidden: Tensor,
        borders: Tensor,
        layers: slice,
        group: int = PAIR_MARKERS,
    ) -> Tensor:
        """What some layers make of markers (B, M, H) with the positions `borders` (B, M)."""
        rotations = None
        if self._is_modern:
            rotations = (
                modern_bert.rotation(self._encoder, hidden, borders),
                modern_bert.rotation(self._encoder, texts.states),
            )
        layout = Marking(None if texts.mask.all() else texts.mask, group, rotations)
        of_layers = zip(self._all_layers, texts.kept[::2], texts.kept[1::2], strict=True)
        for layer, *text in list(of_layers)[layers]:
            hidden = self._mark_layer(layer, hidden, tuple(text), layout)
        return hidden

    def _can_pack(self, num_tokens: int | None) -> bool:
        return bool(num_tokens) and self._is_bert_like and not self._compiled

    def _own_pass(self, input_ids: Tensor, attention_mask: Tensor, added: Tensor | None) -> Tensor:
        """The states (B, T, H) of an encoder that is called as it is."""
        inputs = {"input_ids": input_ids}
        if added is not None:
            inputs = {"inputs_embeds": self._encoder.get_input_embeddings()(input_ids) + added}
        is_joined = self._last_layers > 1
        output = self._encoder(
            **inputs, attention_mask=attention_mask.long(), output_hidden_states=is_joined
        )
        if not is_joined:
            return output.last_hidden_state
        earlier = [self._norm(states) for states in output.hidden_states[-self._last_layers : -1]]
        return torch.cat([*earlier, output.last_hidden_state], dim=-1)

    def _packed(
        self, input_ids: Tensor, attention_mask: Tensor, num_tokens: int, added: Tensor | None
    ) -> Tensor:
        """The states (B, T, H) of all tokens, zeros for padding, from one row of `num_tokens`."""
        batch, length = input_ids.shape
        places = torch.nonzero_static(attention_mask.flatten(), size=num_tokens).squeeze(1)
        starts = functional.pad(attention_mask.sum(dim=1).cumsum(dim=0), (1, 0))
        hidden = self._embeddings(
            input_ids.flatten()[places][None],
            None if added is None else added.flatten(0, 1)[places][None],
            (places % length + self._first_position())[None],
        )
        hidden = self._layers(hidden, Packed(starts, length))[0]
        unpacked = hidden.new_zeros(batch * length, hidden.shape[-1])
        return unpacked.index_copy(0, places, hidden).view(batch, length, -1)

    def _from_first(self, positions: Tensor) -> Tensor:
        """Positions as the embeddings count them."""
        return positions if self._is_modern else positions + self._first_position()

    def _first_position(self) -> int:
        """The position of a row's first token: RoBERTa counts from its padding index on."""
        padding = self._encoder.embeddings.position_embeddings.padding_idx
        return 0 if padding is None else padding + 1

    def _embeddings(
        self, input_ids: Tensor, added: Tensor | None, position_ids: Tensor | None = None
    ) -> Tensor:
        words = None
        if added is not None:
            words = self._encoder.get_input_embeddings()(input_ids) + added
        if self._is_modern:
            if words is not None:
                return self._encoder.embeddings(inputs_embeds=words)
            return self._encoder.embeddings(input_ids=input_ids)
        hidden = self._encoder.embeddings(
            input_ids=input_ids if words is None else None,
            inputs_embeds=words,
            token_type_ids=torch.zeros_like(input_ids),
            position_ids=position_ids,
        )
        if hasattr(self._encoder, "embeddings_project"):  # a small ELECTRA
            hidden = self._encoder.embeddings_project(hidden)
        return hidden

    def _layers(
        self,
        hidden: Tensor,
        layout: Layout,
        positions: Tensor | None = None,
        position_ids: Tensor | None = None,
    ) -> Tensor:
        """positions (B, K): where the head reads; position_ids (B, T): other ones than 0, 1, 2 …"""

        def queried(states: Tensor) -> Tensor:
            return states if positions is None else at_positions(states, positions)

        if not isinstance(layout, Packed):
            layout = layout._replace(rotations=self._rotations(hidden, position_ids))
        *layers, last = self._all_layers
        read = []
        for number, layer in enumerate(layers, start=1):
            hidden = self._run(
                layer, hidden, hidden, self._grouped(layout, len(layers) + 1 - number)
            )
            if number > len(layers) + 1 - self._last_layers:
                read.append(queried(hidden))
        if positions is not None and isinstance(layout, Padded):
            layout = layout.at(positions)
        read.append(self._run(last, queried(hidden), hidden, self._grouped(layout, 0)))
        normed = [self._norm(states) for states in read]
        return torch.cat(normed, dim=-1) if len(normed) > 1 else normed[0]

    def _rotations(
        self, hidden: Tensor, position_ids: Tensor | None = None
    ) -> tuple[Rotation, Rotation] | None:
        """A ModernBERT's, of queries and keys at `position_ids`, see `_layers`."""
        if not self._is_modern:
            return None
        rotation = modern_bert.rotation(self._encoder, hidden, position_ids)
        return rotation, rotation

    def _grouped(self, layout: Layout, above: int) -> Layout:
        """The layout of a layer that has so many layers above it."""
        if isinstance(layout, Levitated) and above >= self._pair_layers:
            return layout._replace(group=ENTITY_MARKERS)
        return layout

    @property
    def _all_layers(self) -> Iterable[nn.Module]:
        return self._encoder.layers if self._is_modern else self._encoder.encoder.layer

    def _run(self, layer: nn.Module, queries: Tensor, hidden: Tensor, layout: Layout) -> Tensor:
        if self._checkpointing and layer.training:
            return checkpoint(self._layer, layer, queries, hidden, layout, use_reentrant=False)
        return self._layer(layer, queries, hidden, layout)


def layer_states(kind: Kind, layer: Any, queries: Tensor, hidden: Tensor, layout: Layout) -> Tensor:
    """One layer's output for `queries` (B, K, H), which attend to `hidden` (B, T, H)."""
    query, key, value = kind.project(layer, queries, hidden)
    probability = kind.attention_dropout(layer) if layer.training else 0.0
    attended = attend(query, key, value, layout, probability)
    return kind.finish(layer, queries, attended.flatten(-2))


def read_layer(
    kind: Kind, layer: Any, hidden: Tensor, layout: Padded
) -> tuple[Tensor, Tensor, Tensor]:
    """One layer's output for texts (B, T, H), and their keys and values (B, T, heads, D)."""
    query, key, value = kind.project(layer, hidden, hidden)
    attended = attend(query, key, value, layout, 0.0)
    return kind.finish(layer, hidden, attended.flatten(-2)), key, value


def mark_layer(
    kind: Kind, layer: Any, hidden: Tensor, text: tuple[Tensor, Tensor], layout: Marking
) -> Tensor:
    """One layer's output for markers (B, M, H); `text` is what `read_layer` gave."""
    attended = attend_as_markers(*kind.project(layer, hidden, hidden), text, layout)
    return kind.finish(layer, hidden, attended.flatten(-2))
