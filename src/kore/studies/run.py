"""One training run, or one for each fold."""

from __future__ import annotations

from pathlib import Path

from kore.common.devices import destroy_process_group_on_exit
from kore.training import run as training_run
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
