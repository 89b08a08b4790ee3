"""Do a tagger and a relation model belong together, and what do the relations imply?"""

from __future__ import annotations

import logging

from kore.common.errors import UserError
from kore.common.flags import AUTO
from kore.common.resources import find_file
from kore.data.inverses import KLUE_INVERSES, read_inverses
from kore.data.schema import LabelMap
from kore.network.tagger_file import TrainedTagger
from kore.network.trained import TrainedModel

_LOGGER = logging.getLogger(__name__)


def check_types(tagger: TrainedTagger, relations: TrainedModel) -> None:
    """Refuses a tagger whose types the relation model does not know.

    Raises:
        UserError: they have none in common.
    """
    known = relations.input_encoder.scheme.types
    if known and not set(tagger.types) & set(known):
        raise UserError(
            f"the tagger finds {', '.join(tagger.types)}, but the relation model knows "
            f"{', '.join(known)}; train the tagger with the types of the relations (`type_names` "
            "of src/train_ner.py)"
        )


def inverses_at(path: str, labels: LabelMap) -> dict[str, str]:
    """The inverse relations of a file; "auto" = `known_inverses`, "" = none.

    Raises:
        UserError: the file is missing or damaged, or names an unknown relation.
    """
    if path == AUTO:
        return known_inverses(labels)
    return read_inverses(find_file(path), labels) if path else {}


def known_inverses(labels: LabelMap) -> dict[str, str]:
    """The inverse relations of KLUE-RE, where `labels` has them; {} for another schema."""
    try:
        return read_inverses(find_file(KLUE_INVERSES), labels)
    except UserError:
        _LOGGER.info(f"the relations are not those of {KLUE_INVERSES}: none is another's inverse")
        return {}
