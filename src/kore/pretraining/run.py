"""Task-adaptive pretraining (Gururangan et al. 2020, "Don't Stop Pretraining"): one run of it.

models/<run_name>/        the encoder with its tokenizer, for --model_name_or_path
models/<run_name>.run/    log.csv (a row an epoch), pretraining_curve.png, last.pth for --resume
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from accelerate import Accelerator
from accelerate.utils import set_seed
from transformers import AutoModelForMaskedLM, PreTrainedModel, PreTrainedTokenizerBase

from kore.common.changes import changed_flags, refuse_changes
from kore.common.devices import (
    changed_hardware,
    keep_freed_memory,
    make_accelerator,
    make_deterministic,
)
from kore.common.errors import UserError
from kore.common.files import checksum
from kore.common.flags import MINI
from kore.data.markers import marker_text
from kore.network import mini
from kore.network.checkpoint import load_payload
from kore.network.pretrained import (
    check_positions,
    load_pretrained,
    set_dropout,
)
from kore.pretraining.options import PretrainOptions
from kore.pretraining.passages import Passage, read_passages
from kore.pretraining.trainer import STATE_KIND, Pretrainer, PretrainingFiles
from kore.training.run_files import check_run_name

_HEAD_WIDTH = 64
_FREE_FLAGS = {"resume", "run_name", "model_dir", "save_steps"}  # no weight depends on them


def pretrain(options: PretrainOptions) -> Path:
    """Pretrains and returns the folder of the encoder.

    Raises:
        UserError: anything the user can mend, before a file is written where possible.
    """
    files = _files(options)
    accelerator = make_accelerator(options)
    if accelerator.num_processes > 1:
        raise UserError("pretraining runs as one process; start it without accelerate launch")
    make_deterministic()
    keep_freed_memory()
    set_seed(options.seed)
    checksums = {name: checksum(Path(name)) for name in options.files if Path(name).is_file()}
    state = None
    if options.resume:
        state = _resume_state(options, files, checksums, accelerator)
    passages = read_passages([Path(name) for name in options.files])
    whole, tokenizer = _model(options, passages)
    pretrainer = Pretrainer(options, accelerator, whole, tokenizer, passages, files, checksums)
    if state is not None:
        pretrainer.restore(state)
    pretrainer.run()
    print(f"Encoder: {files.encoder}    log and curve: {files.folder}/")
    print(f"Next: bash train.sh --model_name_or_path {files.encoder}")
    return files.encoder


def _model(
    options: PretrainOptions, passages: list[Passage]
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """An encoder with its language-modelling head, and its tokenizer."""
    if options.model_name_or_path == MINI:
        # Rare in texts, the markers of training would all be [UNK] otherwise.
        texts = [*(passage.text for passage in passages), *[marker_text()] * 2]
        tokenizer: PreTrainedTokenizerBase = mini.learn_tokenizer(texts, options.vocab_size)
        size = mini.MiniSize(
            options.num_layers, options.hidden_size, options.hidden_size // _HEAD_WIDTH
        )
        whole: PreTrainedModel = mini.make_masked_lm(len(tokenizer), size)
        set_dropout(whole, options.dropout)
    else:
        whole, tokenizer = load_pretrained(
            options.model_name_or_path, options.dropout, AutoModelForMaskedLM
        )
    encoder = cast(PreTrainedModel, whole.base_model)
    check_positions(encoder, options.max_length, options.model_name_or_path)
    if not tokenizer.is_fast or tokenizer.mask_token_id is None:
        raise UserError(
            f"the tokenizer of {options.model_name_or_path} has no [MASK] token or tells no words; "
            "use an encoder of the BERT kind"
        )
    return whole, tokenizer


def _files(options: PretrainOptions) -> PretrainingFiles:
    """The run's files; raises UserError where a new run would write over something."""
    files = PretrainingFiles(Path(options.model_dir) / options.run_name)
    check_run_name(options.run_name or ".")
    if options.resume:
        if not files.last.exists():
            raise UserError(f"{files.last}: no such file, so there is nothing to `resume`")
    elif files.encoder.exists() or files.last.exists():
        there = files.encoder if files.encoder.exists() else files.last
        raise UserError(
            f"{there} is already there; pass another `run_name`, or `resume` to go on with that run"
        )
    return files


def _resume_state(
    options: PretrainOptions,
    files: PretrainingFiles,
    checksums: dict[str, str],
    accelerator: Accelerator,
) -> dict[str, Any]:
    """The saved state; raises UserError where it was made with other flags or texts."""
    state = load_payload(files.last, STATE_KIND)
    changed = changed_flags(state["options"], options, _FREE_FLAGS)
    changed += changed_hardware(state["hardware"], accelerator)
    refuse_changes(files.last, changed)
    if state["data_checksums"] != checksums:
        raise UserError(
            f"the texts have changed since {files.last} was written; restore them, or start a run "
            "with another `run_name`"
        )
    return state
