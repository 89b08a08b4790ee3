"""Which checkpoint a command means."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from kore.common.errors import UserError

_LOGGER = logging.getLogger(__name__)


def find_model(model_file: str, model_dir: str) -> Path:
    """`model_file` as it stands or inside `model_dir`; the newest there where none is named.

    Raises:
        UserError: none is named, and `model_dir` holds none.
    """
    if not model_file:
        return newest_model(Path(model_dir))
    given = Path(model_file)
    inside = Path(model_dir) / given
    return inside if not given.exists() and inside.exists() else given


def newest_model(model_dir: Path) -> Path:
    """The checkpoint that was written last, models of single folds left out.

    Where there are only such, the newest of them, which is logged.

    Raises:
        UserError: the folder holds none.
    """
    found = sorted(model_dir.glob("*.pth"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise UserError(f"{model_dir}: no checkpoint (*.pth) here; train a model first")
    whole = [path for path in found if not _is_of_a_fold(path)]
    if not whole:
        _LOGGER.info(
            f"{found[-1]} is taken, the newest checkpoint of {model_dir}, where all are models of "
            "single folds; name another with `model_file`"
        )
    return (whole or found)[-1]


def _is_of_a_fold(path: Path) -> bool:
    """Whether k-fold training made it: RUN-fold2.pth beside the folder RUN/fold2."""
    match = re.fullmatch(r"(.+)-(fold\d+)", path.stem)
    return match is not None and (path.parent / match[1] / match[2]).is_dir()
