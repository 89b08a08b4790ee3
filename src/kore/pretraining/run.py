"""Task-adaptive pretraining (Gururangan et al. 2020, "Don't Stop Pretraining"): one run of it.

models/<run_name>/        the encoder with its tokenizer, for --model_name_or_path
models/<run_name>.run/    log.csv (a row an epoch), pretraining_curve.png, last.pth for --resume
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from accelerate.utils import set_seed
from transformers import AutoModelForMaskedLM, PreTrainedModel, PreTrainedTokenizerBase

from kore.common.devices import (
    hardware,
    make_accelerator,
    make_deterministic,
)
from kore.common.errors import UserError
from kore.common.files import checksum
from kore.common.flags import KORE_MINI, MINI
from kore.common.manifest import Manifest
from kore.network import mini
from kore.network.pretrained import (
    check_positions,
    load_pretrained,
    set_dropout,
)
from kore.pretraining.options import PretrainOptions
from kore.pretraining.passages import Passage, read_passages
from kore.pretraining.trainer import STATE_KIND, Pretrainer, PretrainingFiles
from kore.pretraining.vocabulary import learn_vocabulary, replace_vocabulary
from kore.training.run_files import check_run_name
from kore.training.state import load_state

_HEAD_WIDTH = 64
# Options on which no weight depends; of the files, their content counts.
_FREE_OPTIONS = {"resume", "run_name", "model_dir", "save_steps", "files"}


def pretrain(options: PretrainOptions, trainer: type[Pretrainer] = Pretrainer) -> Path:
    """Pretrains and returns the folder of the encoder.

    Args:
        trainer: how it learns.

    Raises:
        UserError: anything the user can fix, before a file is written where possible.
        KeyboardInterrupt: with a message that says how to continue.
    """
    files = _files(options)
    accelerator = make_accelerator(options)
    if accelerator.num_processes > 1:
        raise UserError("pretraining runs as one process; start it without accelerate launch")
    make_deterministic()
    set_seed(options.seed)
    paths = [Path(name) for name in options.files]
    texts = {"the content of `files`": [checksum(path) for path in paths if path.is_file()]}
    more: dict[str, Any] = {**texts, **hardware(accelerator)}
    free = _FREE_OPTIONS | ({"num_epochs"} if options.scheduler == "wsd" else set())
    manifest = Manifest.of(options, free=free, **more)
    state = None
    if options.resume:
        state = load_state(files.last, STATE_KIND, manifest, options, "pass another --run_name")
    passages = read_passages(paths, options.mark_entities)
    whole, tokenizer = _model(options, passages)
    draw = functools.partial(_draw, files.folder)
    pretrainer = trainer(options, accelerator, whole, tokenizer, passages, files, manifest, draw)
    del passages  # as tokens they take a tenth of the memory
    if state is not None:
        pretrainer.restore(state)
    try:
        pretrainer.run()
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(
            f"{stop}. To continue, give the same command with --run_name {files.run_name} --resume"
        ) from None
    print(f"Encoder: {files.encoder}    log and curve: {files.folder}/")
    rate = " --learning_rate 1e-3" if options.model_name_or_path in (MINI, KORE_MINI) else ""
    print(f"Next: bash train.sh --model_name_or_path {files.encoder}{rate}")
    return files.encoder


def _model(
    options: PretrainOptions, passages: list[Passage]
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """An encoder with its language-modelling head, and its tokenizer."""
    tokenizer: PreTrainedTokenizerBase
    whole: PreTrainedModel
    texts = [passage.text for passage in passages]
    learned = None
    if options.learn_vocab:
        learned = learn_vocabulary(texts, options.vocab_size, options.learn_vocab)
    if options.model_name_or_path == MINI:
        assert learned is not None  # the options say so
        heads = options.hidden_size // _HEAD_WIDTH
        size = mini.MiniSize(options.num_layers, options.hidden_size, heads)
        tokenizer, whole = learned, mini.make_masked_lm(len(learned), size)
        set_dropout(whole, options.dropout)
    else:
        whole, tokenizer = load_pretrained(
            options.model_name_or_path, options.dropout, AutoModelForMaskedLM
        )
        if learned is not None:
            replace_vocabulary(whole, tokenizer, learned)
            tokenizer = learned
    encoder = cast(PreTrainedModel, whole.base_model)
    check_positions(encoder, options.max_length, options.model_name_or_path)
    if not tokenizer.is_fast or tokenizer.mask_token_id is None:
        raise UserError(
            f"the tokenizer of {options.model_name_or_path} has no [MASK] token or does not show "
            "where words begin; use an encoder of the BERT kind"
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
            f"{there} is already there; pass another `run_name`, or `resume` to continue that run"
        )
    return files


def _draw(folder: Path, history: Sequence[dict[str, Any]]) -> None:
    from kore.evaluation import figures  # matplotlib takes seconds to import

    figures.pretraining_curve(history, folder / "pretraining_curve.png")
