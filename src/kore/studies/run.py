"""One training run, or one for each fold; of relations, of entities and of many labels."""

from __future__ import annotations

from pathlib import Path

from kore.common.devices import destroy_process_group_on_exit
from kore.training import emotion_run, ner_run
from kore.training import run as training_run
from kore.training.emotion_options import TrainEmotionOptions
from kore.training.ner_options import TrainNerOptions
from kore.training.options import TrainOptions


@destroy_process_group_on_exit()
def train(options: TrainOptions) -> Path:
    """Trains, and returns the best checkpoint, or with folds the out-of-fold predictions.

    Raises:
        UserError: anything the user can fix.
    """
    if not options.num_folds:
        return training_run.train(options)
    from kore.studies.folds_run import train_folds  # scikit-learn takes seconds to import

    return train_folds(options)


@destroy_process_group_on_exit()
def train_ner(options: TrainNerOptions) -> Path:
    """Trains a tagger, and returns its checkpoint, or with folds what they found.

    Raises:
        UserError: anything the user can fix.
    """
    if not options.num_folds:
        return ner_run.train_ner(options)
    from kore.studies.ner_folds_run import train_ner_folds  # scikit-learn takes seconds to import

    return train_ner_folds(options)


@destroy_process_group_on_exit()
def train_emotion(options: TrainEmotionOptions) -> Path:
    """Trains a classifier of many labels, and returns its checkpoint, or with folds what they say.

    Raises:
        UserError: anything the user can fix.
    """
    if not options.num_folds:
        return emotion_run.train_emotion(options)
    from kore.studies.emotion_folds_run import (  # scikit-learn takes seconds to import
        train_emotion_folds,
    )

    return train_emotion_folds(options)
