"""What users do today, written plainly: the baselines that KoRE is measured against.

- The plain script: examples tokenized one by one, padded to 160 tokens, float32, batches of 16,
  torch's ordinary AdamW.
- Hugging Face's Trainer with DataCollatorWithPadding, at its defaults and at its best.

All have the same encoder, head, examples and number of optimizer steps. Of KoRE they use only the
marked text of an example, so a faster model or loop there does not change them.
"""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler
from transformers import (
    DataCollatorWithPadding,
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    get_linear_schedule_with_warmup,
)
from transformers.trainer_pt_utils import LengthGroupedSampler, get_length_grouped_indices

from alternation import Turn
from plain_rows import Features, tokenize_row, tokenize_rows
from workload import BATCH_SIZE, DROPOUT, LEARNING_RATE, SEED, Job


class PlainClassifier(nn.Module):
    """KoRE's head with attention pooling, on the encoder as transformers gives it.

    Weights have the names they have in KoRE's `RelationClassifier`.
    """

    def __init__(self, encoder: PreTrainedModel, num_labels: int, dropout: float = DROPOUT) -> None:
        super().__init__()
        hidden_size = encoder.config.hidden_size
        self.encoder = encoder
        self.pooling = nn.ModuleDict({"score": nn.Linear(hidden_size, 1)})
        self.head = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(3 * hidden_size, hidden_size),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden_size, num_labels),
        )

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        subject_span: Tensor,
        object_span: Tensor,
        labels: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """input_ids, attention_mask (B, T); spans (B, 2), half-open; labels (B,)."""
        hidden = self.encoder(
            input_ids=input_ids, attention_mask=attention_mask
        ).last_hidden_state  # (B, T, H)
        spans = [self._pooled(hidden, span) for span in (subject_span, object_span)]
        logits = self.head(torch.cat([hidden[:, 0], *spans], dim=-1))
        if labels is None:
            return {"logits": logits}
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}

    def _pooled(self, hidden: Tensor, span: Tensor) -> Tensor:
        positions = torch.arange(hidden.shape[1], device=hidden.device)
        inside = (positions >= span[:, :1]) & (positions < span[:, 1:])  # (B, T)
        scores = self.pooling["score"](hidden).squeeze(-1).masked_fill(~inside, -torch.inf)
        return (hidden * scores.softmax(dim=1).unsqueeze(-1)).sum(dim=1)  # (B, H)


def _plain_batches(features: list[Features], is_training: bool) -> DataLoader[Features]:
    rows: Any = [
        {key: torch.tensor(value) for key, value in feature.items()} for feature in features
    ]
    return DataLoader(rows, batch_size=BATCH_SIZE, shuffle=is_training)


def train_plainly(job: Job, turn: Turn) -> None:
    """The plain script's training loop; an epoch is a turn."""
    model = PlainClassifier(job.encoder(), len(job.labels)).to(job.device)
    turn.watch(model)
    features = [
        {**tokenize_row(example, job.tokenizer, job.scheme), "labels": label}
        for example, label in zip(job.examples, job.label_numbers(), strict=True)
    ]
    loader = _plain_batches(features, is_training=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    total = len(loader) * job.rounds
    schedule = get_linear_schedule_with_warmup(optimizer, total // 10, total)
    model.train()
    for _ in range(job.rounds):
        turn.start()
        for batch in loader:
            loss = model(**{key: value.to(job.device) for key, value in batch.items()})["loss"]
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        turn.stop(loss.item())


def predict_plainly(job: Job, turn: Turn) -> None:
    """The plain script's prediction, from examples to probabilities."""
    model = PlainClassifier(job.encoder(), len(job.labels)).to(job.device)
    turn.watch(model)
    model.eval()
    for _ in range(job.rounds):
        turn.start()
        features = [tokenize_row(example, job.tokenizer, job.scheme) for example in job.examples]
        probs = []
        with torch.no_grad():
            for batch in _plain_batches(features, is_training=False):
                logits = model(**{key: value.to(job.device) for key, value in batch.items()})
                probs.append(logits["logits"].softmax(dim=-1).cpu())
        turn.stop(torch.cat(probs).numpy())


def train_with_trainer(job: Job, turn: Turn) -> None:
    """Trainer at its defaults; its optimizer is the fused AdamW since transformers 5."""
    _train_with(Trainer, job, turn)


def train_with_trainer_at_best(job: Job, turn: Turn) -> None:
    """Trainer with bf16, examples grouped by length, fused AdamW."""
    _train_with(
        _GroupingTrainer, job, turn, bf16=job.precision == "bf16", optim="adamw_torch_fused"
    )


class _GroupingTrainer(Trainer):
    """`train_sampling_strategy="group_by_length"` as it is on a whole file.

    Trainer's own sampler sorts within 50 batches of a large file and hardly at all within the few
    examples of a measurement; here it sorts within all of them, which are 50 batches at most.
    """

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        rows: Any = self.train_dataset if train_dataset is None else train_dataset
        return _WholeSampler(self.args.train_batch_size, rows, model_input_name="input_ids")


class _WholeSampler(LengthGroupedSampler):
    def __iter__(self) -> Any:
        batches = -(-len(self.lengths) // self.batch_size)
        return iter(get_length_grouped_indices(self.lengths, self.batch_size, batches))


class _Turns(TrainerCallback):
    """An epoch is a turn."""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn

    def on_epoch_begin(self, *args: Any, **kwargs: Any) -> None:
        self.turn.start()

    def on_epoch_end(self, *args: Any, **kwargs: Any) -> None:
        self.turn.stop()


def _train_with(trainer_class: type[Trainer], job: Job, turn: Turn, **settings: Any) -> None:
    features = [
        {**feature, "labels": label}
        for feature, label in zip(tokenize_rows(job), job.label_numbers(), strict=True)
    ]
    settings["per_device_train_batch_size"] = BATCH_SIZE
    settings["num_train_epochs"] = job.rounds
    with tempfile.TemporaryDirectory() as folder:
        trainer = _make_trainer(trainer_class, job, turn, folder, settings, features)
        trainer.add_callback(_Turns(turn))
        trainer.train()


def predict_with_trainer(job: Job, turn: Turn) -> None:
    """Trainer.predict at its defaults: float32, batches of 8."""
    _predict_with(job, turn)


def predict_with_trainer_at_best(job: Job, turn: Turn) -> None:
    """Trainer.predict with weights in bf16 and batches of 64, in file order.

    Grouping by length would make Trainer return the examples in another order.
    """
    _predict_with(job, turn, bf16_full_eval=job.precision == "bf16", per_device_eval_batch_size=64)


def _predict_with(job: Job, turn: Turn, **settings: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        trainer = _make_trainer(Trainer, job, turn, folder, settings)
        for _ in range(job.rounds):
            turn.start()
            features: Any = tokenize_rows(job)
            logits = np.asarray(trainer.predict(features).predictions)
            turn.stop(torch.from_numpy(logits).float().softmax(dim=-1).numpy())


def _make_trainer(
    trainer_class: type[Trainer],
    job: Job,
    turn: Turn,
    folder: str,
    settings: dict[str, Any],
    features: list[Features] | None = None,
) -> Trainer:
    """Trainer with `settings` and otherwise its defaults, but silent and without checkpoints."""
    model = PlainClassifier(job.encoder(), len(job.labels))
    turn.watch(model)
    arguments = TrainingArguments(
        output_dir=folder,
        learning_rate=LEARNING_RATE,
        seed=SEED,
        save_strategy="no",
        disable_tqdm=True,
        use_cpu=job.device.type == "cpu",
        **settings,
    )
    rows: Any = features
    trainer = trainer_class(
        model=model,
        args=arguments,
        train_dataset=rows,
        data_collator=DataCollatorWithPadding(job.tokenizer),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer
