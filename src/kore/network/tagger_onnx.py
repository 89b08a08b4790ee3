"""A tagger -> the bytes of an ONNX file, in full precision or with weights in 8 bits."""

from __future__ import annotations

from torch import Tensor, nn

from kore.network.onnx_export import Graph, serialized
from kore.network.onnx_file import NGRAMS_INPUT
from kore.network.onnx_file import TAGGER_KIND as KIND
from kore.network.tagger import Tagger
from kore.network.tagger_file import ONNX_INPUTS, ONNX_VERSION, TrainedTagger, description_of


class TagProbabilities(nn.Module):
    """What is traced."""

    def __init__(self, model: Tagger) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        tokens: Tensor,
        places: Tensor,
        ngrams: Tensor | None = None,
    ) -> Tensor:
        """input_ids, attention_mask (B, T); tokens, places (B, S); ngrams (B, S, F), all int64 ->
        (B, S, K).
        """
        mask = attention_mask.bool()
        logits = self.model(input_ids, mask, tokens, places, ngrams=ngrams)
        return logits.float().softmax(dim=-1)


def tagger_onnx_bytes(trained: TrainedTagger, int8: bool = False) -> bytes:
    """An ONNX file of a tagger; with `int8` its matrices are quantized dynamically.

    Raises:
        UserError: as `onnx_export.onnx_bytes`.
    """
    model = trained.tagger
    windows = [rows[0] for rows in trained.encoder.encode(["가 나", "가 나 다 라"], quiet=True)]
    batch = trained.encoder.collate(windows)
    inputs = (batch.input_ids, batch.attention_mask.long(), batch.tokens, batch.places)
    graph = Graph(
        inputs, ONNX_INPUTS, ({0: "batch", 1: "length"},) * 2 + ({0: "batch", 1: "characters"},) * 2
    )
    if batch.ngrams is not None:
        graph = Graph(
            (*inputs, batch.ngrams), (*graph.names, NGRAMS_INPUT), (*graph.axes, graph.axes[-1])
        )
    description = {"kind": KIND, "format_version": ONNX_VERSION, **description_of(trained)}
    return serialized(TagProbabilities(model), model.encoder, graph, description, int8)
