"""Options of pretraining."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kore.common.errors import UserError
from kore.common.flags import KORE_MINI, MINI, Checked, option
from kore.data.morphemes import MORPHEMES, WORDS
from kore.training.options import MUON, OptimizationOptions


@dataclass
class TextOptions(Checked, group="Data and masking"):
    files: Sequence[str] = option(
        (),
        "texts to learn from (.csv, .json, .jsonl, .tsv, .txt, also .gz; .txt.xz; .parquet); a "
        "file named twice is learned from twice as often",
        positional="FILE",
    )
    mark_entities: bool = option(
        False,
        "write markers and types around the entities of examples, as fine-tuning does with "
        "punctuation markers",
    )
    max_length: int = option(
        128, "tokens of a packed sequence", within="[8, 100000]", essential=True
    )
    valid_ratio: float = option(0.02, "share of the texts held out for validation", within="(0, 1)")
    mask_ratio: float = option(0.3, "share of the tokens to predict", within="(0, 1)")
    mask_whole_words: bool | None = option(
        None,
        "mask whole words and entities, or single tokens, which a new encoder needs at first; by "
        f"default whole, and single for {MINI}",
    )


@dataclass
class EncoderOptions(Checked, group="Encoder"):
    dropout: float = option(0.0, "dropout of the encoder", within="[0, 1)")
    num_layers: int = option(6, f"layers of {MINI}", within="[1, 100]")
    hidden_size: int = option(256, f"width of {MINI}, a multiple of 64", within="[64, 4096]")
    learn_vocab: str | None = option(
        None,
        "learn a vocabulary from the texts: whose pieces are parts of words, or of morphemes (with "
        f"kiwipiepy), so that a particle is no part of the noun before it; by default words for "
        f"{MINI}, and any other encoder keeps its own",
        choices=(WORDS, MORPHEMES),
    )
    vocab_size: int = option(12_000, "size of the vocabulary to learn", within="[300, 1000000]")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden_size % 64:
            raise UserError(f"`hidden_size` is {self.hidden_size}, expected a multiple of 64")


@dataclass
class PretrainOptimizationOptions(OptimizationOptions, group="Optimization"):
    num_epochs: int = option(
        12,
        "epochs: passes over the texts, or `epoch_steps` optimizer steps",
        within="[1, 10000]",
        essential=True,
    )
    epoch_steps: int = option(
        0,
        "optimizer steps of an epoch, after each of which the encoder is validated and written, "
        "however many texts there are; 0 = all texts once",
        within="[0, 1000000]",
    )
    batch_size: int = option(64, "sequences per micro-batch", within="[1, 100000]", essential=True)
    learning_rate: float | None = option(
        None,
        "peak learning rate of AdamW; by default 3e-5, for kore-mini and mini 1e-3, and 2e-3 "
        "beside Muon",
        within="(0, 1]",
        essential=True,
    )
    optimizer: str | None = option(
        None,
        "muon = Muon for the layers' matrices and AdamW for the rest; by default adamw, and muon "
        f"for {MINI}",
        choices=("adamw", MUON),
    )
    muon_learning_rate: float = option(
        0.02, "peak learning rate of the matrices that learn by Muon", within="(0, 1]"
    )
    scheduler: str = option(
        "wsd",
        "after warm-up: wsd = constant, and linear decay in the last fifth; or decay at once",
        choices=("wsd", "linear", "cosine"),
    )
    warmup_ratio: float = option(
        0.02, "share of all optimizer steps that warms up", within="[0, 1)"
    )

    def __post_init__(self) -> None:
        is_new = self.model_name_or_path == MINI
        if self.optimizer is None:
            self.optimizer = MUON if is_new else "adamw"
        if self.learning_rate is None and is_new and self.optimizer == MUON:
            self.learning_rate = 2e-3
        super().__post_init__()


@dataclass
class PretrainOptions(TextOptions, EncoderOptions, PretrainOptimizationOptions):
    model_name_or_path: str = option(
        MINI,
        f"encoder to start from: hub name, folder, '{KORE_MINI}' (which ships) or '{MINI}' (made "
        "from scratch)",
        essential=True,
    )
    run_name: str = option(
        "pretrained", "the encoder is written to the folder MODEL_DIR/RUN_NAME", essential=True
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mask_whole_words is None:
            self.mask_whole_words = self.model_name_or_path != MINI
        if self.learn_vocab is None and self.model_name_or_path == MINI:
            self.learn_vocab = WORDS
