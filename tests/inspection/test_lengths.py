"""Lengths counted by hand, and with the tokenizer of a checkpoint, a folder and none."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.builders import EXAMPLES, make_bert_tokenizer, make_example, make_trained

from kore.common.errors import UserError
from kore.inspection import lengths as data_lengths
from kore.inspection.lengths import coverage, length_encoder, quantiles, token_counts
from kore.network.checkpoint import save_model


def test_quantiles_are_lengths_that_occur() -> None:
    lengths = [10] * 50 + [20] * 40 + [30] * 9 + [400]
    assert quantiles(lengths) == {"50%": 10, "90%": 20, "99%": 30, "100%": 400}
    assert quantiles([7]) == {"50%": 7, "90%": 7, "99%": 7, "100%": 7}


def test_coverage_counts_rows_of_just_that_length() -> None:
    assert coverage([128, 129, 160, 256]) == {"128": 0.25, "160": 0.75, "256": 1.0}


def test_markers_and_ends_are_counted() -> None:
    """[CLS] @ * 사람 * 박하늘 @ 과 # ^ 단체 ^ 별빛 # . [SEP]; all of it was learned, so that
    words are whole.
    """
    encoder = length_encoder("", [EXAMPLES[3]] * 2)
    assert token_counts(encoder, [EXAMPLES[3]]) == [16]
    assert encoder.scheme.types == ("ORG", "PER")


def test_nothing_is_cut() -> None:
    long = make_example("a", "김도율은 해담전자의 " + "사원 " * 3000, "김도율", "해담전자")
    encoder = length_encoder("", EXAMPLES)
    assert token_counts(encoder, [long])[0] > 3000


def test_rows_are_counted_in_order_over_many_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = length_encoder("", EXAMPLES)
    at_once = token_counts(encoder, EXAMPLES)
    monkeypatch.setattr(data_lengths, "ENCODING_CHUNK", 3)
    assert token_counts(encoder, EXAMPLES) == at_once
    assert len(set(at_once)) > 1


def test_a_checkpoint_brings_its_own_markers(tmp_path: Path) -> None:
    """A marker of its own is one token, one in punctuation four: [E1-PER] and @ * 사람 *."""
    for style in ("special", "punct"):
        save_model(tmp_path / f"{style}.pth", make_trained(style=style))
    special, punct = (
        token_counts(length_encoder(str(tmp_path / f"{style}.pth"), []), EXAMPLES[:1])[0]
        for style in ("special", "punct")
    )
    assert punct - special == 2 * (5 - 2)


def test_an_encoder_folder(tmp_path: Path) -> None:
    make_bert_tokenizer().save_pretrained(tmp_path / "encoder")
    encoder = length_encoder(str(tmp_path / "encoder"), EXAMPLES)
    assert encoder.tokenizer.get_vocab() == make_bert_tokenizer().get_vocab()


def test_tokenizers_that_are_none(tmp_path: Path) -> None:
    fake = tmp_path / "fake.pth"
    fake.write_bytes(b"no weights here")
    with pytest.raises(UserError, match=r"fake\.pth: not a whole KoRE checkpoint"):
        length_encoder(str(fake), EXAMPLES)
    with pytest.raises(UserError, match=r"gone\.pth: no such checkpoint"):
        length_encoder(str(tmp_path / "gone.pth"), EXAMPLES)
    with pytest.raises(UserError, match=r"^no tokenizer in .*; check the name"):
        length_encoder(str(tmp_path), EXAMPLES)
