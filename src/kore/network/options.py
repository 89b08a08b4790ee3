"""Options that name a trained model."""

from __future__ import annotations

from dataclasses import dataclass

from kore.common.flags import BATCH_TOKENS, Checked, option


@dataclass
class ModelOptions(Checked, group="Model"):
    model_file: str = option(
        "",
        "checkpoint, or an exported folder or .onnx file; '' = the newest in MODEL_DIR, or "
        "kore-mini-re, which ships, where there is none",
        essential=True,
    )
    model_dir: str = option("models", "folder where checkpoints are looked for")
    batch_tokens: int = option(
        BATCH_TOKENS, "most tokens computed at once, padding included", within="[16, 10000000]"
    )
