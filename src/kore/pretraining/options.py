"""Options of pretraining."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kore.common.errors import UserError
from kore.common.flags import MINI, Checked, option
from kore.training.options import OptimizationOptions


@dataclass
class TextOptions(Checked, group="Data and masking"):
    files: Sequence[str] = option(
        (),
        "texts to learn from (.csv, .json, .jsonl, .tsv, .txt, also .gz; .parquet)",
        positional="FILE",
    )
    max_length: int = option(
        128, "tokens of a packed sequence", within="[8, 100000]", essential=True
    )
    valid_ratio: float = option(0.02, "share of the texts held out for validation", within="(0, 1)")
    mask_ratio: float = option(0.2, "share of the tokens to predict", within="(0, 1)")
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
    vocab_size: int = option(12_000, f"vocabulary size of {MINI}", within="[300, 1000000]")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden_size % 64:
            raise UserError(f"`hidden_size` is {self.hidden_size}, expected a multiple of 64")


@dataclass
class PretrainOptions(TextOptions, EncoderOptions, OptimizationOptions):
    model_name_or_path: str = option(
        MINI,
        f"encoder to start from: hub name, folder, or '{MINI}' (made from scratch)",
        essential=True,
    )
    run_name: str = option(
        "pretrained", "the encoder is written to the folder MODEL_DIR/RUN_NAME", essential=True
    )
    batch_size: int = option(32, "sequences per micro-batch", within="[1, 100000]", essential=True)
    num_epochs: int = option(12, "passes over the texts", within="[1, 10000]", essential=True)
    warmup_ratio: float = option(
        0.06, "share of all optimizer steps that warms up", within="[0, 1)"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mask_whole_words is None:
            self.mask_whole_words = self.model_name_or_path != MINI
