"""Options that name a trained model."""

from __future__ import annotations

from dataclasses import dataclass

from kore.common.flags import (
    BATCH_TOKENS,
    _Checked,
    option,
)


@dataclass
class ModelOptions(_Checked):
    model_file: str = option(
        "", "checkpoint, or a folder or .onnx file of src/tools/export.py; '' = newest in MODEL_DIR"
    )
    model_dir: str = option("models", "folder where checkpoints are looked for")
    batch_tokens: int = option(
        BATCH_TOKENS, "most tokens computed at once, padding included", within="[16, 10000000]"
    )
