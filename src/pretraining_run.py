"""Task-adaptive pretraining (Gururangan et al. 2020, "Don't Stop Pretraining"): one run of it.

    models/<run_name>/        the encoder with its tokenizer, for --model_name_or_path
    models/<run_name>.run/    log.csv (a row an epoch), pretraining_curve.png, last.pth for --resume

As in training, every draw is a function of the seed and the position in the run.
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from safetensors import SafetensorError
from torch.nn import functional
from tqdm import tqdm
from transformers import AutoModelForMaskedLM, PreTrainedModel, PreTrainedTokenizerBase

import figures
import mini
from checkpoint import load_payload, save_payload
from config import MINI, PretrainOptions
from devices import (
    changed_hardware,
    hardware,
    keep_freed_memory,
    make_accelerator,
    make_deterministic,
)
from errors import UserError
from files import atomic_folder, atomic_write, checksum
from hf_folder import name_known_class
from interrupts import deferred_interrupt
from marking import marker_text
from masked_lm import MaskedLanguageModel
from masking import TokenRow, mask, pack, tokenize
from model import check_positions, load_pretrained, quieten_libraries, set_dropout
from optimization import make_optimizer, make_schedule
from run_files import changed_flags, check_run_name
from texts import Passage, read_passages

STATE_KIND = "kore-pretraining-state"
CHECK_UPDATES = 50  # updates between two looks at the loss
_HEAD_WIDTH = 64
_FREE_FLAGS = {"resume", "run_name", "model_dir", "save_steps"}  # no weight depends on them


@dataclass
class PretrainingFiles:
    """Where a run writes."""

    encoder: Path

    @property
    def folder(self) -> Path:
        return self.encoder.with_name(f"{self.encoder.name}.run")

    @property
    def last(self) -> Path:
        return self.folder / "last.pth"


@dataclass
class Position:
    """How far a run has come. `update` counts inside the epoch, `history` has a row an epoch."""

    epoch: int = 0
    update: int = 0
    loss_sum: float = 0.0  # over the masked tokens of this epoch so far
    masked: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)


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
    quieten_libraries()
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
    try:
        pretrainer.run()
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"the GPU's memory is full at --batch_size {options.batch_size}; halve it and double "
            "--gradient_accumulation_steps, which gives the same updates"
        ) from error
    print(f"Encoder: {files.encoder}    log and curve: {files.folder}/")
    print(f"Next: bash train.sh --model_name_or_path {files.encoder}")
    return files.encoder


class Pretrainer:
    """One run: model, optimizer, texts and files."""

    def __init__(
        self,
        options: PretrainOptions,
        accelerator: Accelerator,
        whole: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        passages: list[Passage],
        files: PretrainingFiles,
        checksums: dict[str, str],
    ) -> None:
        self.options = options
        self.whole = whole
        self.tokenizer = tokenizer
        self.files = files
        self.checksums = checksums
        self.accelerator = accelerator
        self.train_rows, self.valid_rows = self._split(
            tokenize(passages, tokenizer, bool(options.mask_whole_words))
        )
        model = MaskedLanguageModel(whole)
        model.run_encoder(checkpointing=options.gradient_checkpointing, compiled=options.compile)
        optimizer = make_optimizer(model, options)
        self.schedule = make_schedule(optimizer, options, len(self._updates(self._epoch_rows(0))))
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.position = Position()
        self._announce(len(passages))

    def run(self) -> None:
        """Trains to the end; the encoder's folder is written after every epoch.

        Raises:
            UserError: the loss is no longer finite.
            KeyboardInterrupt: after the state was saved, with a message that says how to go on.
        """
        position = self.position
        with deferred_interrupt() as is_interrupted:
            if not position.history and not position.update:
                self._save_state()
            while position.epoch < self.options.num_epochs:
                started = time.monotonic()
                self._train_epoch(is_interrupted)
                self._finish_epoch(time.monotonic() - started)
                self._stop_if(is_interrupted())

    def restore(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        if self.accelerator.scaler is not None and state["scaler"] is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.position = Position(**state["position"])

    def _split(self, rows: list[TokenRow]) -> tuple[list[TokenRow], list[TokenRow]]:
        order = np.random.default_rng(self.options.seed).permutation(len(rows))
        held_out = max(1, round(len(rows) * self.options.valid_ratio))
        if held_out >= len(rows):
            raise UserError(
                f"the files hold {len(rows)} different texts with a token, too few to learn from "
                "and to measure on; bring more"
            )
        return [rows[i] for i in order[held_out:]], [rows[i] for i in order[:held_out]]

    def _epoch_rows(self, epoch: int) -> TokenRow:
        generator = np.random.default_rng([self.options.seed, epoch])
        return pack(self.train_rows, self.options.max_length, self.tokenizer, generator)

    def _updates(self, rows: TokenRow) -> list[np.ndarray]:
        options = self.options
        rows_per_update = options.batch_size * options.gradient_accumulation_steps
        numbers = np.arange(len(rows.ids))
        count = -(-len(numbers) // rows_per_update)
        if len(numbers) // count < options.gradient_accumulation_steps:
            raise UserError(
                f"the texts make updates of {len(numbers) // count} rows, too few for "
                f"{options.gradient_accumulation_steps} steps each; lower "
                "--gradient_accumulation_steps"
            )
        return np.array_split(numbers, count)

    def _train_epoch(self, is_interrupted: Callable[[], bool]) -> None:
        position, options = self.position, self.options
        rows = self._epoch_rows(position.epoch)
        updates = self._updates(rows)
        self.model.train()
        loss_sum = torch.tensor(
            position.loss_sum, dtype=torch.float64, device=self.accelerator.device
        )
        with tqdm(
            total=len(updates),
            initial=position.update,
            desc=f"epoch {position.epoch + 1}/{options.num_epochs}",
            unit=" updates",
            disable=None,
        ) as progress:
            for number in range(position.update, len(updates)):
                step = position.epoch * len(updates) + number
                loss, masked = self._update(rows, updates[number], step)
                loss_sum += loss
                position.masked += masked
                position.update = number + 1
                progress.update()
                is_last = position.update == len(updates)
                is_stopping = is_interrupted()
                is_saving = is_stopping or position.update % options.save_steps == 0
                if is_last or is_saving or number % CHECK_UPDATES == 0:
                    position.loss_sum = self._finite(loss_sum)
                    progress.set_postfix(loss=f"{position.loss_sum / position.masked:.4f}")
                if is_saving and not is_last:  # after the last, _finish_epoch saves
                    self._save_state()
                    self._stop_if(is_stopping)

    def _update(self, rows: TokenRow, numbers: np.ndarray, step: int) -> tuple[torch.Tensor, int]:
        """One optimizer step; returns the sum of its masked tokens' losses, and their count."""
        options = self.options
        chosen = TokenRow(rows.ids[numbers], rows.units[numbers])
        generator = np.random.default_rng([options.seed, step, 1])
        masked = mask(chosen, options.mask_ratio, self.tokenizer, generator)
        total = int(masked.is_masked.sum())
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.accelerator.device)
        for part in np.array_split(np.arange(len(numbers)), options.gradient_accumulation_steps):
            torch.manual_seed(options.seed * 1_000_003 + step)  # dropout, wherever we resume
            logits, wanted = self._logits(chosen.ids, masked.input_ids, masked.is_masked, part)
            loss = functional.cross_entropy(logits, wanted, reduction="sum")
            self.accelerator.backward(loss / total)
            loss_sum += loss.detach()
        self.accelerator.clip_grad_norm_(self.model.parameters(), options.max_grad_norm)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()
        return loss_sum, total

    def _logits(
        self, ids: np.ndarray, input_ids: np.ndarray, is_masked: np.ndarray, part: np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(M, V) for the masked tokens of some rows, in float32, and the tokens (M,) they were."""
        device = self.accelerator.device
        places = torch.from_numpy(is_masked[part])
        wanted = torch.from_numpy(ids[part])[places].to(device)
        read = torch.from_numpy(input_ids[part]).to(device)
        logits = self.model(read, places.to(device), len(wanted))
        return logits.float(), wanted

    def _finish_epoch(self, seconds: float) -> None:
        position = self.position
        row = {
            "epoch": position.epoch + 1,
            "train_loss": position.loss_sum / position.masked,
            **self._validate(),
            "seconds": round(seconds, 1),
        }
        position.history.append(row)
        position.epoch, position.update = position.epoch + 1, 0
        position.loss_sum, position.masked = 0.0, 0
        self._save_encoder()
        self._write_log()
        self._save_state()
        print(
            f"epoch {row['epoch']}: train loss {row['train_loss']:.4f}, valid loss "
            f"{row['valid_loss']:.4f}, masked tokens found {row['accuracy']:.2f} %",
            file=sys.stderr,
        )

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        """Loss and accuracy at the same masked tokens of the held-out texts every time."""
        options = self.options
        generator = np.random.default_rng(options.seed)
        rows = pack(self.valid_rows, options.max_length, self.tokenizer, generator)
        masked = mask(rows, options.mask_ratio, self.tokenizer, generator)
        self.model.eval()
        loss, found, total = 0.0, 0, 0
        for start in range(0, len(rows.ids), options.batch_size):
            part = np.arange(start, min(start + options.batch_size, len(rows.ids)))
            logits, wanted = self._logits(rows.ids, masked.input_ids, masked.is_masked, part)
            loss += float(functional.cross_entropy(logits, wanted, reduction="sum"))
            found += int((logits.argmax(dim=1) == wanted).sum())
            total += len(wanted)
        return {"valid_loss": loss / total, "accuracy": 100 * found / total}

    def _save_encoder(self) -> None:
        with atomic_folder(self.files.encoder) as folder:
            try:
                self.whole.save_pretrained(folder, max_shard_size="1TB")
            except SafetensorError as error:  # what a full disk becomes
                raise OSError(str(error)) from error
            self.tokenizer.save_pretrained(folder)
            name_known_class(folder / "tokenizer_config.json")

    def _write_log(self) -> None:
        history = self.position.history
        with atomic_write(self.files.folder / "log.csv") as file:
            writer = csv.DictWriter(file, list(history[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(history)
        figures.pretraining_curve(history, self.files.folder / "pretraining_curve.png")

    def _save_state(self) -> None:
        scaler = self.accelerator.scaler
        state = {
            "options": asdict(self.options),
            "weights": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
            "position": dict(vars(self.position)),
            "hardware": hardware(self.accelerator),
            "data_checksums": self.checksums,
        }
        save_payload(self.files.last, STATE_KIND, state)

    def _stop_if(self, is_interrupted: bool) -> None:
        if is_interrupted:
            raise KeyboardInterrupt(
                f"Stopped; the state is saved in {self.files.last}. To go on, give the same "
                "command with --resume"
            )

    def _finite(self, loss_sum: torch.Tensor) -> float:
        value = float(loss_sum)
        if not np.isfinite(value):
            raise UserError(
                f"the loss is {value} in epoch {self.position.epoch + 1}; lower --learning_rate, "
                "or pass --precision fp32"
            )
        return value

    def _announce(self, passages: int) -> None:
        tokens = sum(len(row.ids) for row in self.train_rows)
        weights = sum(weight.numel() for weight in self.whole.parameters())
        print(
            f"{self.options.run_name}: {self.options.model_name_or_path}, {weights / 1e6:.1f} M "
            f"weights, on {self.accelerator.device}, precision {self.accelerator.mixed_precision}; "
            f"{passages} different texts, {tokens / 1e6:.2f} M tokens an epoch, "
            f"{len(self.valid_rows)} texts held out",
            file=sys.stderr,
        )


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
            raise UserError(f"{files.last}: no such file, so there is nothing to --resume")
    elif files.encoder.exists() or files.last.exists():
        there = files.encoder if files.encoder.exists() else files.last
        raise UserError(
            f"{there} is already there; pass another --run_name, or --resume to go on with that run"
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
    if changed:
        raise UserError(
            f"{files.last} belongs to a run with other flags ({'; '.join(changed)}); give the "
            "same flags, or another --run_name"
        )
    if state["data_checksums"] != checksums:
        raise UserError(
            f"the texts have changed since {files.last} was written; restore them, or start a run "
            "with another --run_name"
        )
    return state
