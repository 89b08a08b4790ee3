"""A torch model -> the bytes of an ONNX file, in full precision or with weights in 8 bits."""

from __future__ import annotations

import json
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from kore.common.errors import UserError
from kore.data.dataset import Batch
from kore.data.schema import Entity, Example, Span
from kore.network.model import RelationClassifier
from kore.network.onnx_file import (
    BORDERS_INPUT,
    FORMAT_VERSION,
    INPUTS,
    KIND,
    METADATA_KEY,
    NGRAMS_INPUT,
    OUTPUT,
    TYPES_INPUT,
)
from kore.network.trained import TrainedModel, describe, published

OPSET = 18  # every onnxruntime since 1.14 runs it
MOST_BYTES = 2**31 - 1  # what one file in the format of ONNX (protobuf) can hold
ATTENTION = "eager"  # plain operators: the simplest graph, and as fast in onnxruntime


class ProbabilityModel(nn.Module):
    """What is traced: from ids and spans to probabilities."""

    def __init__(self, model: RelationClassifier) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        subject_span: Tensor,
        object_span: Tensor,
        entity_types: Tensor | None = None,
        ngrams: Tensor | None = None,
        borders: Tensor | None = None,
    ) -> Tensor:
        """input_ids, attention_mask (B, T), ngrams (B, F), borders (B, 4), others (B, 2), int64
        -> (B, C), rows that sum to 1.
        """
        mask = attention_mask.bool()
        spans = (subject_span, object_span)
        logits = self.model(input_ids, mask, *spans, None, entity_types, ngrams, borders)
        return logits.float().softmax(dim=-1)


def onnx_bytes(trained: TrainedModel, int8: bool = False) -> bytes:
    """An ONNX file of the model; with `int8` its matrices are quantized dynamically.

    Raises:
        UserError: the model is an ONNX file already, is too large for one, or the packages that
            write them are not installed.
    """
    model = trained.classifier
    description = {"kind": KIND, "format_version": FORMAT_VERSION, **describe(trained)}
    graph = _graph_of(model, example_batch(trained))
    return serialized(ProbabilityModel(model), model.encoder, graph, description, int8)


class Graph(NamedTuple):
    """What a traced module takes: example inputs, their names, and the axes that vary."""

    inputs: tuple[Tensor | None, ...]
    names: tuple[str, ...]
    axes: tuple[dict[int, str] | None, ...]


def serialized(
    module: nn.Module,
    encoder: PreTrainedModel,
    graph: Graph,
    description: dict[str, Any],
    int8: bool = False,
) -> bytes:
    """An ONNX file of a module of any task.

    Args:
        module: gives probabilities; `encoder` is a part of it.
        description: what KoRE reads back from the file's metadata.

    Raises:
        UserError: as `onnx_bytes`.
    """
    size = sum(weight.numel() * 4 for weight in module.parameters())
    if size > MOST_BYTES:
        raise UserError(
            f"the weights take {size / 2**30:.1f} GiB, but an ONNX file holds 2 GiB at most; pass "
            "`format` hf"
        )
    try:
        import onnx  # noqa: F401 - the exporter needs both, and would fail without saying so
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(
            "writing ONNX files needs more packages: poetry install --with export, or "
            "python -m pip install onnx onnxruntime onnxscript"
        ) from error
    with _quiet():
        proto = _trace(module, encoder, graph)
        if int8:
            proto = _quantized(proto)
    own = {**published(description), "weights": "int8" if int8 else "float32"}
    entry = proto.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, json.dumps(own, ensure_ascii=False)
    return bytes(proto.SerializeToString())


def example_batch(trained: TrainedModel) -> Batch:
    """Two examples of different lengths, so that padding is traced as well."""
    examples = [
        Example("a", "가 나", Entity("가", Span(0, 1), ""), Entity("나", Span(2, 3), "")),
        Example("b", "가 나 다 라", Entity("라", Span(6, 7), ""), Entity("나", Span(2, 3), "")),
    ]
    return Batch.collate(trained.input_encoder.encode(examples), trained.input_encoder.pad_id)


def _graph_of(model: RelationClassifier, batch: Batch) -> Graph:
    """With dynamic numbers of examples, tokens and n-grams."""
    arguments: tuple[Tensor | None, ...] = (
        batch.input_ids,
        batch.attention_mask.long(),
        batch.subject_span,
        batch.object_span,
    )
    names: tuple[str, ...] = INPUTS
    axes: tuple[dict[int, str] | None, ...] = ({0: "batch", 1: "length"},) * 2
    axes += ({0: "batch"},) * 2
    optional: list[tuple[str, Tensor | None, dict[int, str]]] = [
        (TYPES_INPUT, batch.entity_types if model.design.num_types else None, {0: "batch"}),
        (NGRAMS_INPUT, batch.ngrams, {0: "batch", 1: "ngrams"}),
        (BORDERS_INPUT, batch.borders, {0: "batch"}),
    ]
    while optional and optional[-1][1] is None:  # the exporter forgets the names of all axes
        optional.pop()
    for name, tensor, axis in optional:  # arguments go by their place, and None is no input
        arguments = (*arguments, tensor)
        axes = (*axes, None if tensor is None else axis)
        names = names if tensor is None else (*names, name)
    return Graph(arguments, names, axes)


def _trace(module: nn.Module, encoder: PreTrainedModel, graph: Graph) -> Any:
    """The module as an `onnx.ModelProto`."""
    was_training = encoder.training
    with _attention(encoder), torch.no_grad():
        try:
            program = torch.onnx.export(
                module.eval(),
                graph.inputs,
                input_names=graph.names,
                output_names=[OUTPUT],
                opset_version=OPSET,
                dynamic_shapes=graph.axes,
                dynamo=True,
                verbose=False,
            )
        finally:
            module.train(was_training)
    assert program is not None
    proto = program.model_proto
    for node in proto.graph.node:  # the exporter notes paths and source lines of this machine
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for value in (*proto.graph.value_info, *proto.graph.input, *proto.graph.output):
        value.ClearField("metadata_props")
    return proto


def _quantized(proto: Any) -> Any:
    """The same graph with weights of matrices and embeddings in 8 bits.

    Activations are quantized as they come. Seven of the eight bits are used: CPUs without the newer
    instructions (VNNI) overflow with all eight, and a file should score the same on all.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantize_dynamic(
            proto, path, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8
        )
        return onnx.load(path)


@contextmanager
def _attention(encoder: PreTrainedModel) -> Iterator[None]:
    """Lets the encoder compute its attention in plain operators within the block."""
    before = encoder.config._attn_implementation
    if before == ATTENTION:
        yield
        return
    encoder.set_attn_implementation(ATTENTION)
    try:
        yield
    finally:
        encoder.set_attn_implementation(before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences the exporters' own notices; what goes wrong is raised to us."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(before)
