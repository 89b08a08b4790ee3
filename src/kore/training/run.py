"""One training run from its options to its files: schema, data, model, loop, report."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from kore.common.changes import changed_flags, refuse_changes
from kore.common.devices import (
    changed_hardware,
    keep_freed_memory,
    make_accelerator,
    make_deterministic,
)
from kore.common.errors import UnfitError, UserError
from kore.common.files import checksum
from kore.common.flags import AUTO, MINI
from kore.common.resources import find_file
from kore.data.dataset import InputEncoder
from kore.data.label_files import load_label_map
from kore.data.markers import MarkerScheme, mark, marker_tokens
from kore.data.rows import read_examples
from kore.data.schema import Example, LabelMap, entity_types
from kore.network import mini
from kore.network.checkpoint import STATE_KIND, TrainedModel, load_payload, model_from_payload
from kore.network.model import NONE, ModelDesign, RelationClassifier
from kore.network.pooling import CLS_ONLY
from kore.network.pretrained import (
    add_marker_tokens,
    check_positions,
    load_pretrained,
    set_dropout,
    unknown_share,
)
from kore.scoring.label_shift import SAME_BALANCE, class_shares, distance
from kore.training.augmentation import augmented
from kore.training.loop import EpochReport
from kore.training.options import TrainOptions
from kore.training.run_files import RunFiles, run_files, write_options
from kore.training.trainer import EncodedData, Trainer
from kore.training.type_restriction import allowed_relations

# Flags that may differ between a run and its resumption, because no weight depends on them.
_FREE_FLAGS = {
    "recipe",
    "resume",
    "run_name",
    "model_dir",
    "output_dir",
    "on_bad_row",
    "save_steps",
}


def train(options: TrainOptions, report: EpochReport = lambda row: None) -> Path:
    """Trains, writes the run's files and returns the path of its best checkpoint.

    Args:
        report: is given every epoch's row of the log; what it raises ends the run.

    Raises:
        UserError: anything the user can mend, before a file is written where possible.
    """
    make_deterministic()
    accelerator = make_accelerator(options)
    keep_freed_memory()
    set_seed(options.seed)
    files = run_files(options)
    state = _resume_state(options, files, accelerator) if options.resume else None
    checksums = _checksums(options)
    if state is not None:
        _check_same_data(state, checksums, files)
    trained, train_data, valid_data = _prepare(options, files, state)
    if accelerator.is_main_process:
        write_options(files.folder, options)
        _warn_of_same_balance(train_data, valid_data, len(trained.labels))
    trained.classifier.run_encoder(
        checkpointing=options.gradient_checkpointing, compiled=options.compile
    )
    _announce(options, trained, train_data, valid_data, files, accelerator)
    trainer = Trainer(
        options, accelerator, trained, train_data, valid_data, files, checksums, report
    )
    if state is not None:
        trainer.restore(state)
    trainer.run()
    best = trainer.best_epoch()
    if accelerator.is_main_process:
        print(
            f"Best epoch {best['epoch']}: micro-F1 {best['micro_f1']:.2f}, AUPRC "
            f"{best['auprc']:.2f}, accuracy {best['accuracy']:.2f} on {options.valid_file}\n"
            f"Checkpoint: {files.best}    log and learning curve: {files.folder}/"
        )
    return files.best


def _prepare(
    options: TrainOptions, files: RunFiles, state: dict[str, Any] | None
) -> tuple[TrainedModel, EncodedData, EncodedData]:
    """Reads and encodes the data, and makes the model or takes it from a saved state."""
    pretrained = None
    if state is None and options.model_name_or_path != MINI:  # first, as it fails most often
        pretrained = load_pretrained(options.model_name_or_path, options.dropout)
    train_examples, valid_examples, labels = _read(options)
    train_examples = augmented(train_examples, options, labels)
    if state is not None:
        trained = model_from_payload(files.last, state["model"])
    else:
        scheme = _scheme(options, train_examples)
        encoder, tokenizer = pretrained or _make_mini(options, scheme, train_examples)
        trained = _new_model(options, scheme, labels, encoder, tokenizer)
        if options.type_restriction != NONE:
            allowed = allowed_relations(train_examples, scheme.types, labels)
            trained.classifier.get_buffer("allowed").copy_(torch.from_numpy(allowed))
    return (
        trained,
        _encode(trained, train_examples),
        _encode(trained, valid_examples),
    )


def _make_mini(
    options: TrainOptions, scheme: MarkerScheme, examples: list[Example]
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    texts = (mark(example, scheme).text for example in examples)
    tokenizer = mini.learn_tokenizer(texts, mini.SIZE.vocab_size)
    encoder = mini.make_encoder(len(tokenizer), mini.SIZE)
    set_dropout(encoder, options.dropout)
    return encoder, tokenizer


def _new_model(
    options: TrainOptions,
    scheme: MarkerScheme,
    labels: LabelMap,
    encoder: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
) -> TrainedModel:
    add_marker_tokens(encoder, tokenizer, marker_tokens(scheme))
    check_positions(encoder, options.max_length, options.model_name_or_path)
    _check_encoder(options, encoder, tokenizer)
    pooling = options.span_pooling if options.use_span_pooling else CLS_ONLY
    return TrainedModel(
        model=RelationClassifier(
            encoder, len(labels), pooling, options.dropout, _design(options, scheme)
        ),
        input_encoder=InputEncoder(tokenizer, scheme, options.max_length),
        labels=labels,
        options=asdict(options),
        scores={},
    )


def read_labelled(path: Path, options: TrainOptions) -> tuple[list[Example], LabelMap]:
    """Rows, every label checked against the schema; `--label2id_path auto` takes it from them.

    Raises:
        UserError: the file or the label map is faulty.
    """
    known = None if options.label2id_path == AUTO else load_label_map(options)
    examples = read_examples(
        path, options, need_labels=True, known_labels=None if known is None else known.names
    )
    return examples, known or load_label_map(options, [str(row.label) for row in examples])


def _read(options: TrainOptions) -> tuple[list[Example], list[Example], LabelMap]:
    """Both files."""
    train_examples, labels = read_labelled(Path(options.train_file), options)
    valid_examples = read_examples(
        Path(options.valid_file), options, need_labels=True, known_labels=labels.names
    )
    return train_examples, valid_examples, labels


def _scheme(options: TrainOptions, examples: list[Example]) -> MarkerScheme:
    reads_types = _reads_types(options)
    return MarkerScheme(
        use_markers=options.use_entity_markers,
        use_types=options.use_entity_types,
        style=options.marker_style,
        types=entity_types(examples) if options.use_entity_types or reads_types else (),
        cue=options.cue_sentence,
    )


def _design(options: TrainOptions, scheme: MarkerScheme) -> ModelDesign:
    return ModelDesign(
        last_layers=options.last_layers,
        bilstm=options.bilstm,
        num_types=len(scheme.types) if _reads_types(options) else 0,
        type_embedding=options.entity_type_embedding,
        type_restriction=options.type_restriction,
    )


def _reads_types(options: TrainOptions) -> bool:
    """Whether the model itself is given the entities' types."""
    return options.entity_type_embedding or options.type_restriction != NONE


def _encode(trained: TrainedModel, examples: list[Example]) -> EncodedData:
    return EncodedData(
        rows=trained.input_encoder.encode(examples),
        labels=trained.labels.index(str(example.label) for example in examples),
    )


def _check_encoder(
    options: TrainOptions, encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    layers = getattr(encoder.config, "num_hidden_layers", options.last_layers)
    if options.last_layers > layers:
        raise UnfitError(
            f"`last_layers` {options.last_layers}, but {options.model_name_or_path} has {layers}"
        )
    if options.mask_tokens and tokenizer.mask_token_id is None:
        raise UnfitError(f"`mask_tokens`: {options.model_name_or_path} has no [MASK] token")


def _resume_state(
    options: TrainOptions, files: RunFiles, accelerator: Accelerator
) -> dict[str, Any] | None:
    """The saved state of the run, or None where it was stopped before the first was saved.

    Raises:
        UserError: the state was made with other flags or another number of processes.
    """
    if not files.last.exists():
        if files.best.exists():
            raise UserError(
                f"{files.last} is gone, so that the run that made {files.best} cannot go on; pass "
                "another `run_name`"
            )
        print(f"{files.last} is not there yet: starting from the beginning", file=sys.stderr)
        return None
    state = load_payload(files.last, STATE_KIND)
    changed = changed_flags(state["model"]["options"], options, _FREE_FLAGS)
    changed += changed_hardware(state["hardware"], accelerator)
    refuse_changes(files.last, changed)
    return state


def _checksums(options: TrainOptions) -> dict[str, str]:
    paths = [Path(options.train_file), Path(options.valid_file), find_file(options.swap_entities)]
    return {str(path): checksum(path) for path in paths if path.is_file()}


def _check_same_data(state: dict[str, Any], checksums: dict[str, str], files: RunFiles) -> None:
    for path, found in checksums.items():
        if state["data_checksums"].get(path) != found:
            raise UserError(
                f"{path} has changed since {files.last} was written; restore it, or start a run "
                "with another `run_name`"
            )


def _warn_of_same_balance(train_data: EncodedData, valid_data: EncodedData, relations: int) -> None:
    shares = [class_shares(np.asarray(data.labels), relations) for data in (train_data, valid_data)]
    if distance(*shares) <= SAME_BALANCE:
        print(
            "The validation rows have the class balance of the training rows. Where the rows to "
            "predict have another one, scores will differ: --target_prior of src/evaluation.py "
            "tells by how much",
            file=sys.stderr,
        )


def _announce(
    options: TrainOptions,
    trained: TrainedModel,
    train_data: EncodedData,
    valid_data: EncodedData,
    files: RunFiles,
    accelerator: Accelerator,
) -> None:
    unknown = unknown_share(
        train_data.rows, trained.input_encoder.tokenizer, options.model_name_or_path
    )
    if not accelerator.is_main_process:
        return
    cut = sum(row.was_cut for row in train_data.rows)
    weights = sum(weight.numel() for weight in trained.model.parameters())
    print(
        f"{files.run_name}: {options.model_name_or_path}, {weights / 1e6:.1f} M weights, on "
        f"{accelerator.device}, precision {accelerator.mixed_precision}; "
        f"{len(train_data.rows)} training rows ({cut} cut to {options.max_length} tokens, "
        f"{unknown:.1%} of all tokens unknown), "
        f"{len(valid_data.rows)} validation rows, {len(trained.labels)} relations",
        file=sys.stderr,
    )
