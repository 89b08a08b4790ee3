"""The encoder's states, computed only where the head reads them.

BERT and its kin (RoBERTa, XLM-RoBERTa, ELECTRA) share one kind of layer. Its parts are called here
one by one, so that

- on a processor the last layer computes queries, feed-forward and norms only for the tokens that
  the head reads, and attention is written out: for rows as short as ours torch's fused kernel
  takes longer, in training up to three times, since its backward is slow;
- on a GPU the rows run without their padding, packed one after the other.

Both equal the encoder's own pass up to rounding. Any other encoder is called as it is.
"""

from __future__ import annotations

import functools
import logging
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import BertModel, ElectraModel, PreTrainedModel, RobertaModel, XLMRobertaModel

from kore.network.dropout import dropout

_LOGGER = logging.getLogger(__name__)

_BERT_LIKE = (BertModel, ElectraModel, RobertaModel, XLMRobertaModel)


class Padded(NamedTuple):
    """Rows of one length. mask (B, T), True on tokens; None where there is no padding."""

    mask: Tensor | None


class Packed(NamedTuple):
    """Rows one after the other. starts (B + 1,) of each row, and the end; longest: of any row."""

    starts: Tensor
    longest: int


Layout = Padded | Packed


class EncoderPass:
    """How one encoder is run.

    Args:
        checkpointing: inner values of a layer are computed anew in the backward pass instead of
            kept (Chen et al. 2016): less memory, a third more arithmetic.
        compiled: torch.compile fuses a layer, once for all layers and lengths.
        last_layers: the states of so many layers are joined, those of the last layer at the end.
    """

    def __init__(
        self,
        encoder: PreTrainedModel,
        *,
        checkpointing: bool = False,
        compiled: bool = False,
        last_layers: int = 1,
    ) -> None:
        self._encoder: Any = encoder
        self._is_bert_like = type(encoder) in _BERT_LIKE and not encoder.config.is_decoder
        self._checkpointing = checkpointing
        self._compiled = compiled
        self._last_layers = last_layers
        self._layer: Callable[[Any, Tensor, Tensor, Layout], Tensor] = (
            torch.compile(layer_states, dynamic=True) if compiled else layer_states
        )
        if checkpointing and not self._is_bert_like:
            encoder.gradient_checkpointing_enable({"use_reentrant": False})

    def __call__(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        read: Tensor,
        num_tokens: int | None,
        added: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """States (B, K, H * last_layers) and their positions (B, K), None where K is T.

        Args:
            input_ids, attention_mask: (B, T).
            read: (B, T), True where the head reads. K is the most of them in a row, or a few
                more; a row with fewer gets states of other tokens behind its own.
            num_tokens: the sum of `attention_mask`, without which rows are not packed (a GPU
                would have to be waited for).
            added: (B, T, E), is added to the embeddings of the words.
        """
        if not self._is_bert_like or torch.compiler.is_exporting():
            return self._own_pass(input_ids, attention_mask, added), None
        if input_ids.is_cuda:
            if num_tokens and not self._compiled and packing_works(input_ids.device):
                return self._packed(input_ids, attention_mask, num_tokens, added), None
            hidden = self._embeddings(input_ids, added)
            return self._layers(hidden, Padded(attention_mask)), None
        positions = read_positions(read)
        layout = Padded(None if attention_mask.all() else attention_mask)
        return self._layers(self._embeddings(input_ids, added), layout, positions), positions

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
        return torch.cat(output.hidden_states[-self._last_layers :], dim=-1)

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
        hidden = self._encoder.embeddings(
            input_ids=input_ids if words is None else None,
            inputs_embeds=words,
            token_type_ids=torch.zeros_like(input_ids),
            position_ids=position_ids,
        )
        if hasattr(self._encoder, "embeddings_project"):  # a small ELECTRA
            hidden = self._encoder.embeddings_project(hidden)
        return hidden

    def _layers(self, hidden: Tensor, layout: Layout, positions: Tensor | None = None) -> Tensor:
        def read(states: Tensor) -> Tensor:
            return states if positions is None else at_positions(states, positions)

        *layers, last = self._encoder.encoder.layer
        joined = []
        for number, layer in enumerate(layers, start=1):
            hidden = self._run(layer, hidden, hidden, layout)
            if number > len(layers) + 1 - self._last_layers:
                joined.append(read(hidden))
        states = self._run(last, read(hidden), hidden, layout)
        return torch.cat([*joined, states], dim=-1) if joined else states

    def _run(self, layer: nn.Module, queries: Tensor, hidden: Tensor, layout: Layout) -> Tensor:
        if self._checkpointing and layer.training:
            return checkpoint(self._layer, layer, queries, hidden, layout, use_reentrant=False)
        return self._layer(layer, queries, hidden, layout)


def layer_states(layer: Any, queries: Tensor, hidden: Tensor, layout: Layout) -> Tensor:
    """One layer's output for `queries` (B, K, H), which attend to `hidden` (B, T, H)."""
    attention = layer.attention.self

    def heads(states: Tensor) -> Tensor:  # (B, T, H) -> (B, T, heads, H / heads)
        return states.unflatten(-1, (attention.num_attention_heads, -1))

    probability = attention.dropout.p if layer.training else 0.0
    query = heads(attention.query(queries))
    key, value = heads(attention.key(hidden)), heads(attention.value(hidden))
    if isinstance(layout, Packed):
        attended = _attend_packed(query, key, value, layout, probability)
    else:
        attended = _attend_padded(query, key, value, layout, probability)
    return layer.feed_forward_chunk(layer.attention.output(attended.flatten(-2), queries))


def _attend_padded(
    query: Tensor, key: Tensor, value: Tensor, layout: Padded, probability: float
) -> Tensor:
    """query (B, K, heads, D), key and value (B, T, heads, D) -> (B, K, heads, D)."""
    query, key, value = (states.transpose(1, 2) for states in (query, key, value))
    mask = None if layout.mask is None else layout.mask[:, None, None, :]
    if query.is_cuda:
        attended = functional.scaled_dot_product_attention(
            query, key, value, mask, dropout_p=probability
        )
    else:
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        attended = dropout(scores.softmax(dim=-1), probability) @ value
    return attended.transpose(1, 2)


def _attend_packed(
    query: Tensor, key: Tensor, value: Tensor, layout: Packed, probability: float
) -> Tensor:
    """All (1, tokens, heads, D); every row attends to itself alone."""

    def rows(states: Tensor) -> Tensor:
        return torch.nested.nested_tensor_from_jagged(
            states[0], offsets=layout.starts, min_seqlen=1, max_seqlen=layout.longest
        ).transpose(1, 2)

    attended = functional.scaled_dot_product_attention(
        rows(query), rows(key), rows(value), dropout_p=probability
    )
    return attended.transpose(1, 2).values()[None]


def read_positions(read: Tensor) -> Tensor:
    """(B, T) -> (B, K): the positions that are True, in order, then others where they are fewer.

    K is the most that are True in a row, in steps of 8: few shapes, see `batching.padded_length`.
    """
    most = -(-int(read.sum(dim=1).max()) // 8) * 8
    return read.byte().argsort(dim=1, descending=True, stable=True)[:, :most]


def at_positions(hidden: Tensor, positions: Tensor) -> Tensor:
    """hidden (B, T, H), positions (B, K) -> (B, K, H)."""
    batch, length, size = hidden.shape
    rows = torch.arange(batch, device=hidden.device)[:, None] * length
    flat = hidden.reshape(batch * length, size).index_select(0, (rows + positions).flatten())
    return flat.view(*positions.shape, size)


@functools.cache
def packing_works(device: torch.device) -> bool:
    """Whether attention over packed rows runs here and equals attention over padded ones.

    Nested tensors are new in torch and need kernels that not every GPU has, so it is tried once,
    and told where it fails: padded rows take longer.
    """
    fault = _packing_fault(device)
    if fault:
        _LOGGER.info(f"Rows run padded: {fault}")
    return not fault


def _packing_fault(device: torch.device) -> str:
    heads, size = 2, 64
    dtype = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else torch.float32
    states = torch.randn(1, 5, heads, size, device=device, generator=torch.Generator(device))
    starts = torch.tensor([0, 2, 5], device=device)
    states = states.to(dtype).requires_grad_()
    try:
        with torch.enable_grad(), warnings.catch_warnings(action="ignore"):
            packed = _attend_packed(states, states, states, Packed(starts, 8), 0.0)
            packed.sum().backward()
            rows = [states[:, :2], states[:, 2:]]
            padded = [_attend_padded(row, row, row, Padded(None), 0.0) for row in rows]
        difference = (packed - torch.cat(padded, dim=1)).abs().max()
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, NotImplementedError, TypeError) as error:
        return f"packed ones fail here ({' '.join(str(error).split())[:200]})"
    is_right = bool(difference < 0.05) and states.grad is not None
    return "" if is_right else "packed ones give other numbers here"
