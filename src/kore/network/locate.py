"""Which checkpoint a command means."""

from __future__ import annotations

from pathlib import Path

from kore.common.errors import UserError
from kore.network.options import ModelOptions


def find_model(options: ModelOptions) -> Path:
    """`--model_file` as it stands or inside `--model_dir`; the newest there where none is named."""
    if not options.model_file:
        return newest_model(Path(options.model_dir))
    given = Path(options.model_file)
    inside = Path(options.model_dir) / given
    return inside if not given.exists() and inside.exists() else given


def newest_model(model_dir: Path) -> Path:
    """The checkpoint that was written last.

    Raises:
        UserError: the folder holds none.
    """
    found = sorted(model_dir.glob("*.pth"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise UserError(f"{model_dir}: no checkpoint (*.pth) here; run src/train.py first")
    return found[-1]
