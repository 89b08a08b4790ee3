"""The explain command: what it prints and writes, and that a user's mistakes are one sentence."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.builders import EXAMPLES, make_trained
from tests.runs import assert_one_sentence, command, read_json

import explain
from kore.common.errors import UserError
from kore.data.records import write_examples
from kore.evaluation import explain_run
from kore.evaluation.explanation import Explanation, Part
from kore.network.checkpoint import save_model

UNSAFE_ID = "../b/$x$ 1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """run.pth and rows.csv."""
    folder = tmp_path_factory.mktemp("explain")
    save_model(folder / "run.pth", make_trained("roberta"))
    rows = [*EXAMPLES, EXAMPLES[0]._replace(id=UNSAFE_ID, label=None)]
    write_examples(folder / "rows.csv", rows)
    return folder


def flags(folder: Path, **changes: object) -> list[str]:
    chosen = {
        "model_file": folder / "run.pth",
        "data_file": folder / "rows.csv",
        "output_dir": folder / "outputs",
        "use_cuda": False,
        "steps": 16,
        **changes,
    }
    return [text for name, value in chosen.items() for text in (f"--{name}", str(value))]


def test_as_a_user_runs_it(folder):
    done = command("tools/explain.py", *flags(folder, row="c", output_dir=folder / "user"))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert re.match(
        r"Example c, predicted: \S+, gold label: org:founded\n +\d+\.\d%  ", done.stdout
    )
    assert "\n@ * 단체 * 한결물산 @은 지난해 부산에서" in done.stdout
    assert "\x1b" not in done.stdout  # not a terminal
    assert {path.name for path in (folder / "user").iterdir()} == {
        "run_c_attention.png",
        "run_c_attribution.png",
        "run_c_explanation.json",
    }


def test_the_json_holds_it_all(folder, capsys):
    explain.main(flags(folder, row="a", relation="org:founded"))
    content = read_json(folder / "outputs" / "run_a_explanation.json")
    assert (content["id"], content["relation"]) == ("a", "org:founded")
    assert content["gold"] == "per:employee_of"
    assert content["predicted"] == next(iter(content["probs"]))
    assert len(content["tokens"]) == len(content["attributions"])
    assert len(content["words"]) == len(content["word_attributions"]) == 13
    change = content["log_prob"] - content["baseline_log_prob"]
    assert sum(content["word_attributions"]) == pytest.approx(change, abs=0.01)
    assert "org:founded" in capsys.readouterr().out


def test_an_id_of_any_text_stays_in_the_folder(folder):
    explain.main(flags(folder, row=UNSAFE_ID, output_dir=folder / "unsafe"))
    names = sorted(path.name for path in (folder / "unsafe").iterdir())
    assert len(names) == 3
    assert all(re.fullmatch(r"run__b__x__1-[0-9a-f]{8}_[a-z]+\.(png|json)", name) for name in names)
    assert [path.name for path in folder.glob("b*")] == []


def test_without_attention_the_attribution_is_drawn_all_the_same(folder, monkeypatch, capsys):
    monkeypatch.setattr(
        "kore.evaluation.explanation.attention_weights", lambda encoder, row, added: None
    )
    explain.main(flags(folder, row="d", output_dir=folder / "bare"))
    names = {path.name for path in (folder / "bare").iterdir()}
    assert names == {"run_d_attribution.png", "run_d_explanation.json"}
    assert "No heatmap: this encoder does not return its attention" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"row": "z"}, ["no row with the id 'z'", "are a, b, c, d"]),
        ({"layer": 3}, ["--layer 3", "1 to 2"]),
        ({"layer": 0}, ["--layer is 0"]),
        ({"relation": "org:found"}, ["--relation org:found", "org:founded"]),
        ({"data_file": "none.csv"}, ["none.csv: no such file"]),
        ({"model_file": "none.pth"}, ["none.pth: no such checkpoint"]),
    ],
)
def test_mistakes(folder, changes, parts):
    with pytest.raises(UserError) as caught:
        explain.main(flags(folder, **changes))
    assert all(part in str(caught.value) for part in parts)
    assert "\n" not in str(caught.value)


def test_a_mistake_as_a_user_sees_it(folder):
    assert_one_sentence(command("tools/explain.py", *flags(folder, row="z")), "rows.csv", "'z'")


def test_an_onnx_file_only_predicts(folder, monkeypatch):
    trained = make_trained()
    trained.model = trained.classifier.head  # as an OnnxClassifier, no RelationClassifier
    monkeypatch.setattr("kore.evaluation.explain_run.load_model", lambda path: trained)
    with pytest.raises(UserError, match=r"a model from an \.onnx file only predicts"):
        explain.main(flags(folder, row="a"))


def test_levitated_markers_are_not_explained(folder, tmp_path):
    save_model(tmp_path / "levitated.pth", make_trained("roberta", "levitated"))
    with pytest.raises(UserError, match="levitated markers stand behind the text"):
        explain.main(flags(folder, model_file=tmp_path / "levitated.pth"))


def make_explanation(*words: Part) -> Explanation:
    probs = {"org:founded": 0.5, "no_relation": 0.375, "b": 0.0625, "c": 0.0625}
    return Explanation("7", None, "b", probs, -2.75, -4.0, list(words), list(words), None)


def test_lines_by_hand():
    explanation = make_explanation(
        Part("하나", 0.25, ""),
        Part("둘", 0.0, "", is_read=False),
        Part("셋", 0.0, "", is_read=False),
        Part("넷", -1.0, "object"),
        Part("다섯", 2.0, "subject"),
    )
    assert list(explain_run.report_lines(explanation, in_colour=False)) == [
        "Example 7, predicted: org:founded",
        "   50.0%  org:founded",
        "   37.5%  no_relation",
        "    6.2%  b",
        "",
        "하나 … 넷 다섯",
        "",
        "Log probability of b: -2.750, with average words: -4.000. The words that add most:",
        "  +2.000  다섯  (subject)",
        "  -1.000  넷  (object)",
        "  +0.250  하나",
    ]


def test_words_are_coloured_by_what_they_add():
    words = [Part("약", 0.04, ""), Part("반", -0.5, ""), Part("강", 1.0, "")]
    line = list(explain_run.report_lines(make_explanation(*words), in_colour=True))[5]
    assert line == "약 \x1b[30;48;5;210m반\x1b[0m \x1b[30;48;5;75m강\x1b[0m"


def test_too_few_steps_are_reported():
    *_, last = explain_run.report_lines(make_explanation(Part("하나", 1.0, "")), in_colour=False)
    assert last == "Together they miss +0.250 of the difference: give more --steps."


@pytest.mark.parametrize(
    ("is_terminal", "no_colour", "coloured"),
    [(True, "", True), (True, "1", False), (False, "", False)],
)
def test_colours_are_for_terminals(folder, monkeypatch, capsys, is_terminal, no_colour, coloured):
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal)
    monkeypatch.setenv("NO_COLOR", no_colour)
    explain.main(flags(folder, row="a"))
    assert ("\x1b[30;48;5;" in capsys.readouterr().out) is coloured


def test_a_sentence_cannot_steer_the_terminal(folder, tmp_path, capsys):
    row = EXAMPLES[0]._replace(sentence=EXAMPLES[0].sentence + " \x1b[2J끝")
    write_examples(tmp_path / "rows.csv", [row])
    explain.main(flags(folder, data_file=tmp_path / "rows.csv", output_dir=tmp_path))
    assert "\x1b" not in capsys.readouterr().out
    assert json.loads((tmp_path / "run_a_explanation.json").read_text(encoding="utf-8"))["words"]
