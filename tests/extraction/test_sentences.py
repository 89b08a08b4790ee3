"""Sentences keep their places in the document."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from kore.common.errors import UserError
from kore.extraction.sentences import (
    MOST_CHARACTERS,
    Sentence,
    blocks,
    by_kiwi,
    by_line,
    splitter_of,
)

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


@pytest.mark.parametrize(
    ("document", "end"),
    [
        ("가 나다. " * 2000, "다. "),  # at a sentence end, the space behind it in the next block
        ("가나다\n" * 2000, "다\n"),
        ("가나다 " * 2000, "다 "),
        ("가" * 9000, "가"),
    ],
)
def test_long_documents_come_in_blocks_that_lose_nothing(document: str, end: str) -> None:
    found = list(blocks(document))
    assert len(found) > 1
    assert all(behind - first <= MOST_CHARACTERS for first, behind in found)
    assert "".join(document[first:behind] for first, behind in found) == document
    assert all(document[first:behind].rstrip(" \n") for first, behind in found)
    behind = found[0][1]
    assert document[: behind + 1].endswith(end) or document[:behind].endswith(end)
    assert list(blocks("가나다.")) == [(0, 4)]
    assert list(blocks("")) == []


@pytest.mark.skipif(not HAS_KIWI, reason="kiwipiepy is an optional package")
def test_a_bracket_that_nobody_closes_swallows_a_block_at_most() -> None:
    document = "(열린 괄호. " + "첫 문장이다. 둘째 문장이다. " * 800
    found = by_kiwi(document)
    assert max(len(sentence.text) for sentence in found) <= MOST_CHARACTERS
    assert len(found) > 1000
    for text, start in found:
        assert document[start : start + len(text)] == text
