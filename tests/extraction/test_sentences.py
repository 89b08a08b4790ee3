"""Sentences keep their places in the document."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from kore.common.errors import UserError
from kore.extraction.sentences import Sentence, by_kiwi, by_line, splitter_of

DOCUMENT = "  첫 문장이다. 둘째 문장이다.\n\n\t셋째 줄 \r\n"
HAS_KIWI = importlib.util.find_spec("kiwipiepy") is not None


def test_a_sentence_a_line() -> None:
    found = by_line(DOCUMENT)
    assert found == [Sentence("첫 문장이다. 둘째 문장이다.", 2), Sentence("셋째 줄", 21)]
    for text, start in found:
        assert DOCUMENT[start : start + len(text)] == text
    assert by_line(" \n\n") == []


@pytest.mark.skipif(not HAS_KIWI, reason="kiwipiepy is an optional package")
def test_kiwi_splits_korean() -> None:
    found = by_kiwi(DOCUMENT)
    assert [sentence.text for sentence in found] == ["첫 문장이다.", "둘째 문장이다.", "셋째 줄"]
    for text, start in found:
        assert DOCUMENT[start : start + len(text)] == text
    assert splitter_of("auto") is by_kiwi


def test_without_kiwi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kiwipiepy", None)
    assert splitter_of("auto") is by_line
    assert splitter_of("line") is by_line
    with pytest.raises(UserError, match="`sentences` kiwi needs the package kiwipiepy"):
        splitter_of("kiwi")
