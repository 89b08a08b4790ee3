"""What `import kore` offers for raw text: `extract`."""

from __future__ import annotations

import functools
from pathlib import Path

import torch

from kore.common.errors import UserError
from kore.common.flags import AUTO
from kore.data.text_files import has_half_character
from kore.extraction.assembly import make_extractor
from kore.extraction.pipeline import Extraction, Extractor
from kore.extraction.sentences import Splitter, splitter_of
from kore.network.checkpoint import load_model
from kore.network.shipped import RELATION_MODEL, TAGGER, resolve
from kore.network.tagger_file import TrainedTagger, load_tagger
from kore.network.trained import TrainedModel
from kore.prediction.api import LOADING, compute_on


def extract(
    text: str,
    *,
    ner_model: str | Path | None = None,
    model: str | Path | None = None,
    device: str | torch.device | None = None,
    min_probability: float = 0.5,
    sentences: str = AUTO,
) -> Extraction:
    """The entities and triples of a text, which may be a whole document.

    Models are loaded at the first call that names them; the two pairs used last stay in memory.

    Args:
        ner_model: a tagger (.pth, folder, .onnx); None = the one that ships.
        model: a relation model; None = the one that ships.
        device: as torch names it; None = a CUDA GPU where there is one, otherwise the CPU.
        min_probability: triples that are less probable are left out.
        sentences: how the text is split: "kiwi", "line", or "auto" for kiwi where it is installed.

    Raises:
        UserError: the text is empty, or a model is missing, damaged or of other types.
    """
    if not isinstance(text, str) or not text.strip() or has_half_character(text):
        raise UserError(f"the text is {text!r}, expected a text that is not empty")
    names = (
        str(TAGGER if ner_model is None else ner_model),
        str(RELATION_MODEL if model is None else model),
    )
    with LOADING:  # threads that want the same models wait for them
        extractor = _extractor(
            *names, None if device is None else str(device), splitter_of(sentences)
        )
    return extractor([text])[0].at_least(min_probability)


@functools.lru_cache(maxsize=4)
def _extractor(ner_model: str, model: str, device: str | None, split: Splitter) -> Extractor:
    tagger, relations = _models(ner_model, model, device)
    return make_extractor(tagger, relations, compute_on(device, AUTO), split=split)


@functools.lru_cache(maxsize=2)
def _models(ner_model: str, model: str, device: str | None) -> tuple[TrainedTagger, TrainedModel]:
    """Both models, by the device that they are moved to."""
    # Models are made with random weights before they get their own.
    with torch.random.fork_rng(devices=[]):
        return load_tagger(Path(resolve(ner_model))), load_model(Path(resolve(model)))
