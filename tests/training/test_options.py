"""Options of training: what became of those that were removed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.builders import make_trained

from kore.common.errors import UserError
from kore.common.flags import parse_options
from kore.network.checkpoint import load_model, save_model
from kore.studies.experiments_run import planned_rows
from kore.studies.options import ExperimentOptions
from kore.studies.search_space import read_space
from kore.training.options import TrainOptions

SAID = "the flag 'ema_decay' was removed in KoRE 0.6 (it raised no score"


def test_a_removed_flag_is_refused_with_its_reason() -> None:
    with pytest.raises(UserError) as caught:
        parse_options(TrainOptions, ["--ema_decay", "0.99"])
    assert str(caught.value) == f"{SAID} where it was measured); leave it out"


def test_files_that_name_a_removed_flag_are_refused_with_its_reason(tmp_path: Path) -> None:
    recipe, space, variants = (tmp_path / f"{name}.json" for name in ("recipe", "space", "rows"))
    recipe.write_text(json.dumps({"ema_decay": 0.99}))
    space.write_text(json.dumps({"ema_decay": [0.99]}))
    variants.write_text(json.dumps({"mine": {"ema_decay": 0.99}}))
    with pytest.raises(UserError) as caught:
        parse_options(TrainOptions, ["--recipe", str(recipe)])
    assert SAID in str(caught.value)
    with pytest.raises(UserError) as caught:
        read_space(space)
    assert SAID in str(caught.value)
    with pytest.raises(UserError) as caught:
        planned_rows(ExperimentOptions(recipes=("best_single",), variants=str(variants)))
    assert SAID in str(caught.value)


def test_a_checkpoint_that_was_trained_with_removed_flags_loads(tmp_path: Path) -> None:
    trained = make_trained()
    trained.options |= {"weight_average": "ema", "ema_decay": 0.99, "oversample_to": 300}
    save_model(tmp_path / "old.pth", trained)
    assert load_model(tmp_path / "old.pth").options["ema_decay"] == 0.99
