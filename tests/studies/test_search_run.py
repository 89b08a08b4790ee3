"""Searches with small trainings: every cell once, resumed after a kill, shared by processes."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pandas
import pytest
from matplotlib import pyplot, rcParams
from tests.processes import Forked, server, start_command
from tests.runs import train_flags

optuna = pytest.importorskip("optuna")

import search  # noqa: E402
from kore.common.errors import UserError  # noqa: E402
from kore.common.flags import parse_options  # noqa: E402
from kore.studies import search_run  # noqa: E402
from kore.studies.options import SearchOptions  # noqa: E402
from kore.studies.search_space import read_space  # noqa: E402
from kore.training.run_files import read_log  # noqa: E402


def flags_in(folder: Path, space: dict[str, Any], **flags: Any) -> list[str]:
    (folder / "space.json").write_text(json.dumps(space), encoding="utf-8")
    chosen = {"num_epochs": 1, "focal_loss": True, "space": folder / "space.json", **flags}
    all_flags = train_flags(folder, **chosen)
    place = all_flags.index("--run_name")
    return all_flags[:place] + all_flags[place + 2 :]


def trials_in(folder: Path, study: str = "search") -> pandas.DataFrame:
    return pandas.read_csv(folder / "outputs" / "search" / study / "trials.csv")


def test_a_grid_is_tried_cell_by_cell(folder, capsys):
    flags = flags_in(folder, {"gamma": [0.0, 2.0], "alpha": [0.5, 1.0]})
    settings = dict(rcParams)
    search.main(flags)
    assert dict(rcParams) == settings  # Optuna sets a style of its own
    trials = trials_in(folder)
    assert set(trials["state"]) == {"COMPLETE"}
    cells = sorted(zip(trials["params_gamma"], trials["params_alpha"], strict=True))
    assert cells == [(0.0, 0.5), (0.0, 1.0), (2.0, 0.5), (2.0, 1.0)]
    printed = capsys.readouterr().out
    best = trials.iloc[int(trials["value"].argmax())]
    assert f"Best: --gamma {best['params_gamma']} --alpha {best['params_alpha']}" in printed
    for name in ("history.png", "slices.png"):
        assert (folder / "outputs/search/search" / name).stat().st_size > 10_000
    assert pyplot.get_fignums() == []  # figures left open fill the memory
    # Only the weights of the best are kept, and all logs.
    kept = [path.stem for path in (folder / "models/search").glob("*.pth")]
    assert kept == [f"trial{int(best['number'])}"]
    assert len(list((folder / "models/search").glob("*/log.csv"))) == 4
    assert not list((folder / "models/search").glob("*/last.pth"))
    search.main(flags)  # finished: nothing is trained again
    assert len(trials_in(folder)) == 4


@pytest.fixture
def scripted(monkeypatch) -> list[Any]:
    """Trials that come out worse and worse, instead of training; the options they were given."""
    started: list[Any] = []

    def train(run, report):
        started.append(run)
        log = Path(run.model_dir) / run.run_name
        log.mkdir(parents=True)
        (log / "last.pth").touch()
        rows = ["epoch,micro_f1"]
        for epoch in range(1, run.num_epochs + 1):
            rows.append(f"{epoch},{50 - len(started)}")
            (log / "log.csv").write_text("\n".join(rows) + "\n")
            report({"epoch": epoch, "micro_f1": 50 - len(started)})
        return log.with_suffix(".pth")

    monkeypatch.setattr(search_run, "train", train)
    return started


def test_tpe_ends_poor_trials_early(folder, scripted):
    space = {"learning_rate": {"low": 1e-5, "high": 1e-3, "log": True}}
    search.main(flags_in(folder, space, sampler="tpe", num_trials=8, num_epochs=4))
    states = trials_in(folder)["state"].tolist()
    assert states[:4] == ["COMPLETE"] * 4
    assert states[4:] == ["PRUNED"] * 4
    values = trials_in(folder)["params_learning_rate"]
    assert values.between(1e-5, 1e-3).all()
    assert values.nunique() == 8


def test_a_trial_that_came_to_its_own_end_keeps_its_score(folder, scripted):
    """Its epochs are those that were chosen for it, not those of the flag."""
    space = {"num_epochs": [3], "gamma": [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0]}
    flags = flags_in(folder, space, num_epochs=9)
    search.main(flags)
    assert {run.num_epochs for run in scripted} == {3}
    pruned = trials_in(folder).query("state == 'PRUNED'")
    scored = [len(read_log(folder / f"models/search/trial{n}")) for n in pruned["number"]]
    assert scored
    assert all(epochs < 3 for epochs in scored)


@pytest.mark.parametrize(("given", "of_mini"), [(3e-5, 1e-3), (1e-4, 1e-4)])
def test_an_encoder_that_is_tried_has_its_own_learning_rate(folder, scripted, given, of_mini):
    space = {"model_name_or_path": [str(folder / "tiny"), "mini"]}
    search.main(flags_in(folder, space, learning_rate=given))
    rates = {Path(run.model_name_or_path).name: run.learning_rate for run in scripted}
    assert rates == {"tiny": given, "mini": of_mini}


def test_values_that_do_not_fit_the_encoder_end_their_trial_alone(folder, capsys):
    search.main(flags_in(folder, {"max_length": [8, 96, 4000]}))
    trials = trials_in(folder)
    assert trials.query("state == 'COMPLETE'")["params_max_length"].tolist() == [96]
    assert len(trials.query("state == 'PRUNED'")) == 2
    errors = capsys.readouterr().err
    assert "--max_length 8 is too small" in errors
    assert "has positions for" in errors


def test_a_state_is_kept_until_the_study_has_the_score(folder, monkeypatch):
    """A trial killed before that goes on from it."""
    kept: list[bool] = []
    real = search_run.read_log

    def watched(folder):
        kept.append((folder / "last.pth").exists())
        return real(folder)

    monkeypatch.setattr(search_run, "read_log", watched)
    search.main(flags_in(folder, {"gamma": [0.0, 2.0]}))
    assert kept == [True, True]
    assert not list((folder / "models/search").glob("*/last.pth"))


def test_a_diverging_trial_does_not_end_the_search(folder, monkeypatch, capsys):
    real = search_run.train

    def diverging(run, report):
        if run.gamma == 0.0:
            raise search_run.DivergedError("the loss is nan")
        return real(run, report)

    monkeypatch.setattr(search_run, "train", diverging)
    search.main(flags_in(folder, {"gamma": [0.0, 2.0]}))
    assert sorted(trials_in(folder)["state"]) == ["COMPLETE", "PRUNED"]
    assert "was abandoned: the loss is nan" in capsys.readouterr().err


def test_a_killed_search_goes_on_in_the_trial_it_was_in(folder):
    flags = flags_in(folder, {"gamma": [0.0, 2.0]}, num_epochs=4, save_steps=1)
    process = start_command("search.py", flags, folder / "log.txt")
    state = folder / "models/search/trial0/last.pth"
    log = folder / "models/search/trial0/log.csv"
    process.wait_for(log)
    process.kill()
    assert process.returncode == -signal.SIGKILL
    assert state.exists()
    first_epoch = log.read_text().splitlines()[1].rpartition(",")[0]  # all but its seconds
    search.main(flags)
    assert log.read_text().splitlines()[1].startswith(first_epoch)
    assert len(log.read_text().splitlines()) == 5
    trials = trials_in(folder)
    assert sorted(trials["state"]) == ["COMPLETE", "COMPLETE", "FAIL"]
    complete = trials[trials["state"] == "COMPLETE"]
    assert sorted(complete["params_gamma"]) == [0.0, 2.0]
    assert len(list((folder / "models/search").glob("*/log.csv"))) == 2


def test_two_processes_share_a_search(folder):
    flags = flags_in(folder, {"gamma": [0.0, 0.5, 1.0, 2.0]})
    processes = [start_command("search.py", flags, folder / f"{number}.txt") for number in range(2)]
    for process in processes:
        assert process.wait() == 0, process.output()
    complete = trials_in(folder).query("state == 'COMPLETE'")
    assert set(complete["params_gamma"]) == {0.0, 0.5, 1.0, 2.0}
    study = optuna.load_study(
        study_name="search", storage=f"sqlite:///{folder / 'outputs/search/search/study.db'}"
    )
    assert len({trial.user_attrs["process"] for trial in study.trials}) == 2


def open_study(start: Any, folder: Path, flags: list[str]) -> None:
    options = parse_options(SearchOptions, flags)
    space = read_space(Path(options.space))
    start.wait(60)
    with search_run._locked(folder):
        search_run._open_study(options, space, folder)


def test_processes_may_begin_at_the_same_moment(folder):
    """The study is made by one of them; the others wait."""
    flags = flags_in(folder, {"gamma": [0.0, 2.0]})
    start = server().Barrier(3)
    processes = [
        Forked(folder / f"{number}.txt", open_study, start, folder, flags) for number in range(3)
    ]
    for process in processes:
        assert process.wait(60) == 0, process.output()
    assert (folder / "study.db").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), UserError("the disk is full")])
def test_a_trial_that_is_stopped_is_tried_again(folder, monkeypatch, error):
    real = search_run.train
    calls: list[str] = []

    def stopped(run, report):
        calls.append(run.run_name)
        if len(calls) == 2:
            raise error
        return real(run, report)

    monkeypatch.setattr(search_run, "train", stopped)
    flags = flags_in(folder, {"gamma": [0.0, 1.0, 2.0]})
    with pytest.raises(type(error)):
        search.main(flags)
    search.main(flags)
    complete = trials_in(folder).query("state == 'COMPLETE'")
    assert sorted(complete["params_gamma"]) == [0.0, 1.0, 2.0]
    assert calls[1] == calls[2]  # it goes on with the run it was


def test_values_that_do_not_go_together_end_their_trial_alone(folder, capsys):
    search.main(flags_in(folder, {"asymmetric_loss": [False, True]}))
    assert sorted(trials_in(folder)["state"]) == ["COMPLETE", "PRUNED"]
    assert "choose one of them" in capsys.readouterr().err


def refusal(flags: list[str]) -> str:
    with pytest.raises(UserError) as caught:
        search.main(flags)
    return str(caught.value)


def test_what_is_refused(folder, monkeypatch):
    monkeypatch.setattr(search_run, "train", lambda run, report: pytest.fail("trained"))
    assert "no flag 'gama'" in refusal(flags_in(folder, {"gama": [1]}))
    message = refusal(flags_in(folder, {"learning_rate": {"low": 1e-5, "high": 1e-4}}))
    assert "learning_rate is a range, but a grid needs a list" in message


def test_another_space_is_another_study(folder, monkeypatch):
    def interrupted(run, report):
        raise KeyboardInterrupt

    monkeypatch.setattr(search_run, "train", interrupted)
    with pytest.raises(KeyboardInterrupt, match="give the same command once more"):
        search.main(flags_in(folder, {"gamma": [0.0]}))
    message = refusal(flags_in(folder, {"gamma": [1.0]}))
    assert "was begun with other settings (the space was" in message
    message = refusal(flags_in(folder, {"gamma": [0.0]}, num_epochs=2))
    assert "--num_epochs was 1, is 2" in message


def test_flags_that_a_search_sets_by_itself(folder, monkeypatch):
    space = {"gamma": [0.0]}
    assert "leave them out" in refusal(flags_in(folder, space, num_folds=3))
    assert "is no file name" in refusal(flags_in(folder, space, study="../up"))
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "leave accelerate launch out" in refusal(flags_in(folder, space))


def test_a_damaged_study(folder):
    flags = flags_in(folder, {"gamma": [0.0]})
    (folder / "outputs/search/search").mkdir(parents=True)
    (folder / "outputs/search/search/study.db").write_text("no database, but text")
    assert "study.db: no study that can be read" in refusal(flags)
