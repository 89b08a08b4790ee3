"""Training of relations, from its options: schema, data, model."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kore.common.arrays import Floats
from kore.common.flags import AUTO, MINI
from kore.common.resources import find_file
from kore.data.inverses import read_inverses
from kore.data.label_files import load_label_map
from kore.data.rows import read_examples
from kore.data.schema import Example, LabelMap
from kore.network.checkpoint import STATE_KIND, TrainedModel, model_from_payload
from kore.network.pretrained import load_pretrained, unknown_share
from kore.scoring.label_shift import among_relations, gold_shares, read_prior
from kore.training.augmentation import swapped, without_conflicts
from kore.training.data_checks import check_expected, check_relations, warn_of_validation
from kore.training.joint import learn_beside
from kore.training.loop import EpochReport
from kore.training.new_model import new_model
from kore.training.ngram_fit import fit_ngrams
from kore.training.objective import Objective
from kore.training.options import EVERYTHING, TrainOptions
from kore.training.relation import EncodedData, RelationObjective
from kore.training.run_files import data_files
from kore.training.task_run import Start, Task, run_task


def train(options: TrainOptions, report: EpochReport = lambda row: None) -> Path:
    """Trains a relation model; see `run_task`."""
    task = Task(
        state_kind=STATE_KIND,
        data_files=data_files(options),
        begin=functools.partial(begin, options),
        summarize=functools.partial(_scores_of_best, options),
    )
    return run_task(options, task, report)


def begin(options: TrainOptions, start: Start) -> Objective:
    """Reads and encodes the data, and makes the model or takes it from a saved state."""
    pretrained = None
    if start.model is None and options.model_name_or_path != MINI:  # first: it fails most often
        pretrained = load_pretrained(options.model_name_or_path, options.dropout)
    train_examples, valid_examples, labels = _read(options)
    expected = _expected(options, train_examples, labels)
    check_relations(train_examples, Path(options.train_file))
    if expected is not None:
        check_expected(valid_examples, labels, expected)
    if start.is_main:
        warn_of_validation(train_examples, valid_examples, labels, options.target_prior)
    train_examples = _augmented(options, train_examples, labels, start.is_main)
    if start.model is not None:
        trained = model_from_payload(start.path, start.model)
    else:
        trained = new_model(options, labels, train_examples, pretrained, expected)
    train_data, valid_data = _encode(trained, train_examples), _encode(trained, valid_examples)
    if start.model is None and trained.classifier.ngrams is not None:
        fit_ngrams(trained.classifier.ngrams, train_data.rows, train_data.labels, options.seed)
    train_data.rows = [row._replace(ngrams=None) for row in train_data.rows]  # the encoder's turn
    about = _about(options, trained, train_data, valid_data)
    trained.classifier.run_encoder(
        checkpointing=options.gradient_checkpointing, compiled=options.compile
    )
    objective = RelationObjective(options, trained, train_data, valid_data, expected, about)
    return learn_beside(objective, options, start.model) if options.ner_file else objective


def _about(
    options: TrainOptions, trained: TrainedModel, train_data: EncodedData, valid_data: EncodedData
) -> str:
    """The data in words. Raises UserError where the encoder's tokenizer does not know them."""
    rows = train_data.rows
    unknown = unknown_share(rows, trained.input_encoder.tokenizer, options.model_name_or_path)
    cut = sum(row.was_cut for row in rows)
    return (
        f"{len(rows)} training examples ({cut} cut to {options.max_length} tokens, "
        f"{unknown:.1%} of all tokens unknown), {len(valid_data.rows)} validation examples, "
        f"{len(trained.labels)} relations"
    )


def _expected(
    options: TrainOptions, examples: Sequence[Example], labels: LabelMap
) -> Floats | None:
    """The class shares (C,) where the model is used; None = those of the training examples."""
    if not options.target_prior:
        return None
    prior = read_prior(find_file(options.target_prior), labels)
    if options.target_prior_scope == EVERYTHING:
        return prior
    return among_relations(prior, gold_shares(examples, labels), labels)


def _scores_of_best(options: TrainOptions, best: Mapping[str, Any]) -> str:
    return (
        f"micro-F1 {best['micro_f1']:.2f}, AUPRC {best['auprc']:.2f}, accuracy "
        f"{best['accuracy']:.2f} on {options.valid_file}"
        f"{' under the shares of ' if options.target_prior else ''}{options.target_prior}"
    )


def _augmented(
    options: TrainOptions, examples: list[Example], labels: LabelMap, is_main: bool
) -> list[Example]:
    """The training examples that the options ask for: conflicts out, then entities swapped."""
    kept, made = examples, list[Example]()
    done = []
    if options.drop_conflicts:
        kept = without_conflicts(examples)
        done.append(f"{len(examples) - len(kept)} repeated or conflicting ones left out")
    if options.swap_entities:
        made = swapped(kept, read_inverses(find_file(options.swap_entities), labels))
        done.append(f"{len(made)} with subject and object swapped added")
    if done and is_main:
        total = len(kept) + len(made)
        print(f"Training examples: {', '.join(done)}; {total} in all", file=sys.stderr)
    return [*kept, *made]


def read_labelled(path: Path, options: TrainOptions) -> tuple[list[Example], LabelMap]:
    """Rows, every label checked against the schema; `--label2id_path auto` takes it from them.

    Raises:
        UserError: the file or the label map is faulty.
    """
    known = None if options.label2id_path == AUTO else _label_map(options)
    examples = read_examples(
        path,
        need_labels=True,
        known_labels=None if known is None else known.names,
        on_bad_row=options.on_bad_row,
        output_dir=options.output_dir,
    )
    return examples, known or _label_map(options, [str(row.label) for row in examples])


def _read(options: TrainOptions) -> tuple[list[Example], list[Example], LabelMap]:
    """Both files."""
    train_examples, labels = read_labelled(Path(options.train_file), options)
    valid_examples = read_examples(
        Path(options.valid_file),
        need_labels=True,
        known_labels=labels.names,
        on_bad_row=options.on_bad_row,
        output_dir=options.output_dir,
    )
    return train_examples, valid_examples, labels


def _label_map(options: TrainOptions, data_labels: list[str] | None = None) -> LabelMap:
    return load_label_map(
        options.label2id_path,
        id2label_path=options.id2label_path,
        no_relation_label=options.no_relation_label,
        data_labels=data_labels,
    )


def _encode(trained: TrainedModel, examples: Sequence[Example]) -> EncodedData:
    return EncodedData(
        rows=trained.input_encoder.encode(examples),
        labels=trained.labels.index(str(example.label) for example in examples),
    )
