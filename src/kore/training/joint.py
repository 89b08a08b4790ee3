"""Relations, and beside them the entities of other texts, learned by one encoder.

Every micro-batch of examples is given as many tagged texts, and the loss of an example is its own
plus that of its text (Caruana 1997, "Multitask Learning"). The checkpoint holds the relation model
alone; the tagger of that epoch is written to the run's folder, its head with the state of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor, nn

from kore.data.dataset import Batch
from kore.data.ner import TaggedText, entity_types_of, read_tagged, read_type_names, with_types
from kore.data.tagging import TextBatch, TextEncoder
from kore.network.checkpoint import TrainedModel
from kore.network.model import RelationClassifier
from kore.network.tagger import Tagger, tags_for
from kore.network.tagger_file import TAGGER_KIND, TrainedTagger, tagger_payload
from kore.training.data_checks import check_entities
from kore.training.objective import Objective, Validated
from kore.training.options import TrainOptions
from kore.training.relation import RelationObjective
from kore.training.tagging import EncodedTexts, TaggingObjective, count_entities, encode_texts

TAGGER = "tagger"
_BAND = 0.01  # of all texts, by length: how far from its example's place a text is drawn


class RelationsAndEntities(nn.Module):
    """Both models over one encoder, in one forward pass, as distributed training needs it."""

    def __init__(self, classifier: RelationClassifier, tagger: Tagger) -> None:
        super().__init__()
        self.encoder = classifier.encoder  # first: its weights have the names that they have alone
        self.classifier = classifier
        self.tagger = tagger

    def forward(self, pairs: Sequence[Any], texts: Sequence[Any]) -> tuple[Tensor, Tensor]:
        """The inputs of both models -> logits (B, C) and (B, S, K)."""
        return self.classifier(*pairs), self.tagger(*texts)


class JointBatch(NamedTuple):
    """As many texts as examples."""

    pairs: Batch
    texts: TextBatch


class JointObjective(Objective):
    """The relations of `relations`, beside the entities of `entities`, whose tagger shares their
    encoder.
    """

    model_kind, state_kind = RelationObjective.model_kind, RelationObjective.state_kind

    def __init__(self, relations: RelationObjective, entities: TaggingObjective) -> None:
        self.relations = relations
        self.entities = entities
        self.trained = relations.trained
        self.about = f"{relations.about}; {entities.about}"
        self._model = RelationsAndEntities(relations.trained.classifier, entities.trained.tagger)
        lengths = relations.lengths
        self._places = np.empty(len(lengths))  # of each example among all, by length, from 0 to 1
        self._places[np.argsort(lengths, kind="stable")] = np.linspace(0, 1, len(lengths))
        self._by_length = np.argsort(entities.lengths, kind="stable")

    @property
    def model(self) -> RelationsAndEntities:
        return self._model

    @property
    def lengths(self) -> Sequence[int]:
        return self.relations.lengths

    def batch(self, numbers: NDArray[Any], device: torch.device) -> JointBatch:
        """Those training examples, and for each a text that is as long among its kind.

        Drawn from torch's global generator, as masked tokens are.
        """
        offsets = _BAND * (2 * torch.rand(len(numbers)).numpy() - 1)
        shares = np.clip(self._places[numbers] + offsets, 0, 1)
        texts = self._by_length[np.rint(shares * (len(self._by_length) - 1)).astype(int)]
        return JointBatch(self.relations.batch(numbers, device), self.entities.batch(texts, device))

    def losses(self, model: Callable[..., Any], batch: JointBatch) -> Tensor:
        """(B,) the sums of both."""
        tag_logits: list[Tensor] = []

        def classify(*inputs: Any) -> Tensor:
            logits, tagged = model(inputs, batch.texts.inputs)
            tag_logits.append(tagged)
            return logits

        assert batch.texts.targets is not None
        losses = self.relations.losses(classify, batch.pairs)
        return losses + self.entities.tag_sets.losses(tag_logits[0], batch.texts.targets)

    def validate(
        self,
        model: nn.Module,
        accelerator: Accelerator,
        require_finite: Callable[[float], None],
    ) -> Validated:
        """Of the relations alone."""
        classifier = accelerator.unwrap_model(model).classifier
        return self.relations.validate(classifier, accelerator, require_finite)

    def payload(self) -> dict[str, Any]:
        """The relation model."""
        return self.relations.payload()

    def beside(self) -> Mapping[str, tuple[str, dict[str, Any]]]:
        """The tagger."""
        return {TAGGER: (TAGGER_KIND, tagger_payload(self.entities.trained))}

    def state(self) -> dict[str, Any]:
        """The relation model and the tagger's head."""
        return {**self.payload(), TAGGER: _head(self._model.tagger)}


def learn_beside(
    relations: RelationObjective, options: TrainOptions, saved: dict[str, Any] | None
) -> JointObjective:
    """`relations` beside the entities of `ner_file`.

    Args:
        saved: what `JointObjective.state` gave; None for a new run.

    Raises:
        UserError: the file is faulty.
    """
    path = Path(options.ner_file)
    texts = read_tagged(path, on_bad_row=options.on_bad_row, output_dir=options.output_dir)
    check_entities(texts, path)
    texts = with_types(texts, read_type_names(options.type_names))
    trained = _new_tagger(relations.trained, texts, options)
    if saved is not None:
        encoder = {f"encoder.{name}": w for name, w in trained.tagger.encoder.state_dict().items()}
        trained.tagger.load_state_dict({**encoder, **saved[TAGGER]})
    trained.tagger.run_encoder(
        checkpointing=options.gradient_checkpointing, compiled=options.compile
    )
    about = (
        f"beside them {len(texts)} texts with {count_entities(texts)} entities of "
        f"{len(trained.types)} types"
    )
    data = encode_texts(trained, texts)
    return JointObjective(
        relations, TaggingObjective(trained, data, EncodedTexts([], [], []), about)
    )


def _new_tagger(
    relations: TrainedModel, texts: Sequence[TaggedText], options: TrainOptions
) -> TrainedTagger:
    """Over the encoder of `relations`, for the types of `texts`."""
    tags = tags_for(entity_types_of(texts))
    tagger = Tagger(relations.classifier.encoder, len(tags), options.dropout)
    encoder = TextEncoder(relations.input_encoder.tokenizer, options.max_length)
    return TrainedTagger(tagger, encoder, tags, relations.options, {})


def _head(tagger: Tagger) -> dict[str, Tensor]:
    """The weights of a tagger without its encoder's."""
    return {
        name: weight.cpu()
        for name, weight in tagger.state_dict().items()
        if not name.startswith("encoder.")
    }
