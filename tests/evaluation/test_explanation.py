"""One row found in a file and explained, of small models whose answers are checked elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.builders import EXAMPLES, LABELS, logits_of, make_trained

from kore.common.errors import UserError
from kore.data.dataset import Batch, InputEncoder
from kore.data.markers import MarkerScheme
from kore.data.records import write_examples
from kore.evaluation.attribution import attention_weights
from kore.evaluation.explanation import explain_row, find_row

CPU = torch.device("cpu")


@pytest.fixture
def rows_file(tmp_path: Path) -> Path:
    write_examples(tmp_path / "rows.csv", EXAMPLES)
    return tmp_path / "rows.csv"


def test_a_row_is_found_by_its_id(rows_file):
    assert find_row(rows_file, "c") == EXAMPLES[2]
    assert find_row(rows_file, "") == EXAMPLES[0]


def test_an_unknown_id_is_told_with_the_first_ones(rows_file):
    with pytest.raises(UserError, match=r"rows\.csv: no row with the id 'z'; .* begin a, b, c, d$"):
        find_row(rows_file, "z")


def test_faults_matter_in_the_row_asked_for_alone(rows_file):
    text = rows_file.read_text(encoding="utf-8").replace("'start_idx': 0", "'start_idx': 1", 1)
    rows_file.write_text(text, encoding="utf-8")
    assert find_row(rows_file, "b") == EXAMPLES[1]
    for row_id in ("a", ""):
        with pytest.raises(UserError, match=r"rows\.csv:2 subject_entity: word is '김도율', but"):
            find_row(rows_file, row_id)


def test_guids_numbers_and_rows_without_an_id(tmp_path):
    file = tmp_path / "rows.jsonl"
    fields = {
        "sentence": "박하늘과 별빛.",
        "subject_entity": {"word": "박하늘", "start_idx": 0, "end_idx": 2, "type": "PER"},
        "object_entity": {"word": "별빛", "start_idx": 5, "end_idx": 6, "type": "ORG"},
    }
    rows = [fields, {**fields, "guid": "klue-1"}, {**fields, "id": 7}]
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    assert [find_row(file, row_id).id for row_id in ("", "klue-1", "7")] == [
        "line_1",
        "klue-1",
        "7",
    ]


def test_the_predicted_relation_is_explained():
    trained = make_trained("roberta")
    explanation = explain_row(trained, EXAMPLES[2], CPU)
    probs = logits_of(trained, EXAMPLES[2:3])[0].softmax(dim=-1)
    assert explanation.probs == pytest.approx(dict(zip(LABELS.names, probs.tolist(), strict=True)))
    assert list(explanation.probs.values()) == sorted(explanation.probs.values(), reverse=True)
    assert explanation.relation == explanation.predicted == LABELS.names[int(probs.argmax())]
    assert explanation.log_prob == pytest.approx(probs.max().log().item(), abs=1e-5)
    assert explanation.gold == "org:founded"
    assert abs(explanation.gap) < 1e-3


def test_the_relation_asked_for_is_explained():
    explanation = explain_row(make_trained(), EXAMPLES[0], CPU, relation="org:founded")
    assert explanation.relation == "org:founded"
    assert explanation.log_prob == pytest.approx(np.log(explanation.probs["org:founded"]), abs=1e-5)


def test_words_hold_what_their_tokens_hold():
    explanation = explain_row(make_trained(), EXAMPLES[0], CPU)
    text = "@ * 사람 * 김도율 @은 # ^ 단체 ^ 해담전자 #의 사원이다."
    assert [word.text for word in explanation.words] == text.split()
    roles = [word.role for word in explanation.words]
    assert roles == ["subject"] * 6 + ["object"] * 6 + [""]
    cls, *pieces, sep = explanation.tokens
    assert (cls.text, cls.attribution, sep.text, sep.attribution) == ("[CLS]", 0, "[SEP]", 0)
    total = sum(piece.attribution for piece in pieces)
    assert sum(word.attribution for word in explanation.words) == pytest.approx(total, abs=1e-6)
    assert pieces[0].attribution == explanation.words[0].attribution  # "@" is one piece


def test_words_that_were_cut_are_not_read():
    explanation = explain_row(make_trained(max_length=20), EXAMPLES[2], CPU)
    unread = [word for word in explanation.words if not word.is_read]
    assert unread
    assert all(word.attribution == 0 and not word.role for word in unread)


def test_without_markers_the_leading_words_count():
    trained = make_trained()
    tokenizer = trained.input_encoder.tokenizer
    trained.input_encoder = InputEncoder(tokenizer, MarkerScheme(False, False, "punct", ()), 64)
    explanation = explain_row(trained, EXAMPLES[0], CPU)
    text = "김도율 해담전자 김도율은 해담전자의 사원이다."
    assert [word.text for word in explanation.words] == text.split()
    assert [word.role for word in explanation.words] == ["", "", "subject", "object", ""]
    assert all(word.attribution != 0 for word in explanation.words)


def test_attention_of_a_layer_and_of_all():
    trained = make_trained("electra")
    row = Batch.collate(trained.input_encoder.encode(EXAMPLES[3:]), 0)
    layers = attention_weights(trained.classifier.eval().encoder, row)
    assert layers is not None
    first, second = (explain_row(trained, EXAMPLES[3], CPU, layer=n).attention for n in (1, 2))
    both = explain_row(trained, EXAMPLES[3], CPU).attention
    np.testing.assert_array_equal([first, second], layers)
    assert both is not None
    np.testing.assert_allclose(both, layers.mean(dim=0), rtol=1e-5)


def test_the_same_whatever_fits_at_once_and_whatever_was_explained_before():
    trained = make_trained("mini")
    trained.model.train()
    wide = explain_row(trained, EXAMPLES[0], CPU, batch_tokens=4096)
    again = explain_row(trained, EXAMPLES[0], CPU, batch_tokens=4096)
    narrow = explain_row(trained, EXAMPLES[0], CPU, batch_tokens=1)
    assert wide.tokens == again.tokens
    values = [[token.attribution for token in found.tokens] for found in (wide, narrow)]
    assert values[0] == pytest.approx(values[1], abs=1e-5)


def test_faults_are_told():
    trained = make_trained()
    with pytest.raises(UserError, match=r"--layer 3: the encoder's layers are 1 to 2"):
        explain_row(trained, EXAMPLES[0], CPU, layer=3)
    nearest = "--relation per:employee: .* 3 relations; the nearest are per:employee_of, "
    with pytest.raises(UserError, match=nearest):
        explain_row(trained, EXAMPLES[0], CPU, relation="per:employee")
