"""Which checkpoint a command means."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from kore.common.errors import UserError
from kore.network.checkpoint import MODEL_KIND, kind_of
from kore.network.emotion_file import EMOTION_KIND
from kore.network.options import ModelOptions
from kore.network.shipped import RELATION_MODEL, TAGGER, resolve
from kore.network.tagger_file import TAGGER_KIND

_LOGGER = logging.getLogger(__name__)


def find_model(model_file: str, model_dir: str) -> Path:
    """`model_file` as it stands, inside `model_dir`, or as a model that ships with KoRE.

    Where none is named, the newest in `model_dir`, and the one that ships where that holds none,
    which is logged.

    Raises:
        UserError: the model that ships is damaged, or `model_dir` is another than the default and
            missing.
    """
    return _find(model_file, model_dir, MODEL_KIND, RELATION_MODEL)


def find_tagger(model_file: str, model_dir: str) -> Path:
    """The same for taggers; `kore-mini-ner` is the one that ships."""
    return _find(model_file, model_dir, TAGGER_KIND, TAGGER)


def find_emotions(model_files: Sequence[str], model_dir: str) -> list[Path]:
    """The same for classifiers of many labels, any number of them; none ships.

    Raises:
        UserError: none is named, and `model_dir` holds none.
    """
    if model_files:
        return [_given(name, model_dir) for name in model_files]
    newest = newest_model(Path(model_dir), EMOTION_KIND)
    if newest is None:
        raise UserError(
            f"`model_dir` {model_dir} holds no checkpoint of emotions; name a `model_file`, or "
            "train one with src/train_emotion.py"
        )
    return [newest]


def _find(model_file: str, model_dir: str, kind: str, shipped: str) -> Path:
    """See `find_model`; checkpoints of another kind are passed over."""
    if not model_file:
        if model_dir != ModelOptions.model_dir and not Path(model_dir).is_dir():
            raise UserError(f"`model_dir` {model_dir}: no such folder")
        newest = newest_model(Path(model_dir), kind)
        if newest is not None:
            return newest
        _LOGGER.info(
            f"no checkpoint (*.pth) in {model_dir}: {shipped} is taken, which ships with KoRE"
        )
        return Path(resolve(shipped))
    return _given(model_file, model_dir)


def _given(model_file: str, model_dir: str) -> Path:
    given = Path(model_file)
    inside = Path(model_dir) / given
    return inside if not given.exists() and inside.exists() else Path(resolve(model_file))


def newest_model(model_dir: Path, kind: str = MODEL_KIND) -> Path | None:
    """The checkpoint that was written last, models of single folds left out; None without any.

    Where there are only such, the newest of them, which is logged.

    Args:
        kind: checkpoints of another task are passed over.
    """
    by_age = sorted(model_dir.glob("*.pth"), key=lambda path: path.stat().st_mtime)
    found = [path for path in by_age if kind_of(path) in (kind, None)]
    if not found:
        return None
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
