"""One training run from its options to its files: schema, data, model, loop, report."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.utils import set_seed

from kore.common.devices import hardware, make_accelerator, make_deterministic
from kore.common.errors import UserError
from kore.common.flags import AUTO, MINI
from kore.common.manifest import Manifest
from kore.common.resources import find_file
from kore.data.label_files import load_label_map
from kore.data.rows import read_examples
from kore.data.schema import Example, LabelMap
from kore.network.checkpoint import STATE_KIND, TrainedModel, model_from_payload
from kore.network.pretrained import load_pretrained, unknown_share
from kore.scoring.metrics import ReliabilityBin
from kore.training.augmentation import read_inverses, swapped, without_conflicts
from kore.training.data_checks import check_relations, warn_of_validation
from kore.training.loop import EpochReport
from kore.training.new_model import new_model
from kore.training.options import TrainOptions
from kore.training.run_files import RunFiles, data_files, run_files, write_options
from kore.training.state import load_state
from kore.training.trainer import EncodedData, Trainer

# Options that may differ between a run and its resumption, because no weight depends on them.
_FREE_OPTIONS = {
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
        UserError: anything the user can fix, before a file is written where possible.
        KeyboardInterrupt: with a message that says how to continue.
    """
    make_deterministic()
    accelerator = make_accelerator(options)
    set_seed(options.seed)
    files = run_files(options)
    manifest = Manifest.of(
        options, free=_FREE_OPTIONS, files=data_files(options), **hardware(accelerator)
    )
    state = None
    if options.resume:
        state = _resume_state(options, files, manifest, accelerator.is_main_process)
    trained, train_data, valid_data = _prepare(options, files, state, accelerator.is_main_process)
    unknown = unknown_share(
        train_data.rows, trained.input_encoder.tokenizer, options.model_name_or_path
    )
    if accelerator.is_main_process:
        write_options(files.folder, options)
        _announce(options, trained, train_data, valid_data, accelerator, unknown)
    trained.classifier.run_encoder(
        checkpointing=options.gradient_checkpointing, compiled=options.compile
    )
    trainer = Trainer(
        options,
        accelerator,
        trained,
        train_data,
        valid_data,
        files,
        manifest,
        report,
        functools.partial(_draw, files.folder),
    )
    if state is not None:
        trainer.restore(state)
    _run(trainer)
    return files.best


def _run(trainer: Trainer) -> None:
    """Trains to the end and reports the best epoch."""
    options, files = trainer.options, trainer.files
    try:
        trainer.run()
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(
            f"{stop}. To continue, give the same command with --model_name_or_path "
            f"{options.model_name_or_path} --run_name {files.run_name} --resume"
        ) from None
    if trainer.accelerator.is_main_process:
        best = trainer.best_epoch()
        print(
            f"Best epoch {best['epoch']}: micro-F1 {best['micro_f1']:.2f}, AUPRC "
            f"{best['auprc']:.2f}, accuracy {best['accuracy']:.2f} on {options.valid_file}"
            f"{' under the shares of ' if options.target_prior else ''}{options.target_prior}\n"
            f"Checkpoint: {files.best}    log and learning curve: {files.folder}/"
        )


def _prepare(
    options: TrainOptions, files: RunFiles, state: dict[str, Any] | None, is_main: bool
) -> tuple[TrainedModel, EncodedData, EncodedData]:
    """Reads and encodes the data, and makes the model or takes it from a saved state."""
    pretrained = None
    if state is None and options.model_name_or_path != MINI:  # first, as it fails most often
        pretrained = load_pretrained(options.model_name_or_path, options.dropout)
    train_examples, valid_examples, labels = _read(options)
    check_relations(train_examples, Path(options.train_file))
    if is_main:
        warn_of_validation(train_examples, valid_examples, labels, options.target_prior)
    train_examples = _augmented(options, train_examples, labels, is_main)
    if state is not None:
        trained = model_from_payload(files.last, state["model"])
    else:
        trained = new_model(options, labels, train_examples, pretrained)
    return trained, _encode(trained, train_examples), _encode(trained, valid_examples)


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


def _resume_state(
    options: TrainOptions, files: RunFiles, manifest: Manifest, is_main: bool
) -> dict[str, Any] | None:
    """The saved state of the run, or None where it was stopped before the first was saved.

    Raises:
        UserError: the state is lost, or was begun with other settings.
    """
    if files.last.exists():
        return load_state(files.last, STATE_KIND, manifest, options, _new_run(files))
    if files.best.exists():
        raise UserError(
            f"{files.last} is missing, so that run cannot be resumed; {_new_run(files)}"
        )
    if is_main:
        print(f"{files.last} is not there yet: starting from the beginning", file=sys.stderr)
    return None


def _new_run(files: RunFiles) -> str:
    """What to do where a run cannot be continued, as part of a sentence."""
    if not files.best.exists():
        return "pass another --run_name"
    return f"pass another --run_name, and --model_name_or_path {files.best} to begin with its model"


def _draw(
    folder: Path,
    history: Sequence[dict[str, Any]],
    curves: Mapping[str, Sequence[ReliabilityBin]] | None,
) -> None:
    from kore.evaluation import figures  # matplotlib takes seconds to import

    figures.learning_curve(history, folder / "learning_curve.png")
    if curves is not None:
        figures.reliability(curves, folder / "reliability.png")


def _announce(
    options: TrainOptions,
    trained: TrainedModel,
    train_data: EncodedData,
    valid_data: EncodedData,
    accelerator: Accelerator,
    unknown: float,
) -> None:
    cut = sum(row.was_cut for row in train_data.rows)
    weights = sum(weight.numel() for weight in trained.model.parameters())
    print(
        f"{options.run_name}: {options.model_name_or_path}, {weights / 1e6:.1f} M weights, on "
        f"{accelerator.device}, precision {accelerator.mixed_precision}; "
        f"{len(train_data.rows)} training examples ({cut} cut to {options.max_length} tokens, "
        f"{unknown:.1%} of all tokens unknown), "
        f"{len(valid_data.rows)} validation examples, {len(trained.labels)} relations",
        file=sys.stderr,
    )
