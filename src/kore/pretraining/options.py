"""Options of pretraining."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kore.common.errors import UserError
from kore.common.flags import (
    MINI,
    option,
)
from kore.training.options import OptimizationOptions


@dataclass
class PretrainOptions(OptimizationOptions):
    files: Sequence[str] = option(
        (),
        "texts to learn from (.csv, .json, .jsonl, .tsv, .txt, also .gz; .parquet)",
        positional="FILE",
    )
    model_name_or_path: str = option(
        MINI, f"encoder to go on with: hub name, folder, or '{MINI}' (made from scratch)"
    )
    run_name: str = option("pretrained", "the encoder is written to the folder MODEL_DIR/RUN_NAME")
    max_length: int = option(128, "tokens of a packed row", within="[8, 100000]")
    batch_size: int = option(32, "rows of a step", within="[1, 100000]")
    num_epochs: int = option(12, "passes over the texts", within="[1, 10000]")
    warmup_ratio: float = option(0.06, "share of all updates that warms up", within="[0, 1)")
    mask_ratio: float = option(0.2, "share of the tokens to be found", within="(0, 1)")
    mask_whole_words: bool | None = option(
        None,
        "mask words and entities whole, or single tokens, which a new encoder needs to get going; "
        f"by default whole, and single for {MINI}",
    )
    valid_ratio: float = option(0.02, "share of the texts held out to measure on", within="(0, 1)")
    dropout: float = option(0.0, "dropout of the encoder", within="[0, 1)")
    num_layers: int = option(6, f"layers of {MINI}", within="[1, 100]")
    hidden_size: int = option(256, f"width of {MINI}, a multiple of 64", within="[64, 4096]")
    vocab_size: int = option(8_000, f"tokens of the vocabulary of {MINI}", within="[300, 1000000]")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mask_whole_words is None:
            self.mask_whole_words = self.model_name_or_path != MINI
        if self.hidden_size % 64:
            raise UserError(f"`hidden_size` is {self.hidden_size}, expected a multiple of 64")
