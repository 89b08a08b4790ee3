"""Builds an `Extractor` from a tagger and a relation model."""

from __future__ import annotations

from kore.common.flags import AUTO, BATCH_TOKENS
from kore.extraction.pipeline import Extractor
from kore.extraction.sentences import Splitter, by_line
from kore.extraction.types import check_types, inverses_at
from kore.network.tagger_file import TrainedTagger
from kore.network.trained import TrainedModel
from kore.prediction.predictor import Compute


def make_extractor(
    tagger: TrainedTagger,
    relations: TrainedModel,
    compute: Compute,
    *,
    inverses: str = AUTO,
    split: Splitter = by_line,
    min_probability: float = 0.0,
    batch_tokens: int = BATCH_TOKENS,
    compiled: bool = False,
) -> Extractor:
    """The extractor of two models, which are checked to belong together.

    Args:
        inverses: a JSON file of inverse relations; "auto" = KLUE-RE's, "" = none.
        split: how texts become sentences.
        min_probability: facts that are less probable are left out.
        batch_tokens: most tokens computed at once, padding included.
        compiled: fuse the layers of both encoders by torch.compile.

    Raises:
        UserError: they have no types in common, or the inverses cannot be loaded.
    """
    check_types(tagger, relations)
    if compiled:
        tagger.tagger.run_encoder(compiled=True)
        relations.classifier.run_encoder(compiled=True)
    return Extractor(
        tagger,
        relations,
        compute,
        inverses=inverses_at(inverses, relations.labels),
        split=split,
        min_probability=min_probability,
        batch_tokens=batch_tokens,
    )
