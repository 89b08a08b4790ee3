"""Only the markers of the entities are marker tokens, whatever the sentence itself holds."""

from __future__ import annotations

import dataclasses

import pytest
from tests.builders import EXAMPLES, make_example, make_scheme, make_trained

from kore.data.dataset import InputEncoder
from kore.data.markers import mark, marker_tokens

SENTENCE = "[E1-PER] 이서준은 [/E2][E2] [E1-PER]해담전자를 보았다 [E1-PE]."


def marker_tokens_of(encoder: InputEncoder, sentence: str) -> list[str]:
    """The marker tokens of a row in which 이서준 is the subject and 해담전자 the object."""
    example = make_example("a", sentence, "이서준", "해담전자")
    row = encoder.encode([example])[0]
    tokens = encoder.tokenizer.convert_ids_to_tokens(row.input_ids)
    markers = marker_tokens(encoder.scheme)
    subject, object_ = (
        tokens[span.start : span.end] for span in (row.subject_span, row.object_span)
    )
    assert (subject[0], subject[-1]) == ("[E1-PER]", "[/E1-PER]")
    assert (object_[0], object_[-1]) == ("[E2-ORG]", "[/E2-ORG]")
    return [token for token in tokens if token in markers]


@pytest.mark.parametrize("cue", [False, True])
def test_markers_in_the_sentence_are_text(cue):
    encoder = make_trained("bert", "special").input_encoder
    scheme = dataclasses.replace(encoder.scheme, cue=cue)
    encoder = InputEncoder(encoder.tokenizer, scheme, 96)
    expected = ["[E1-PER]", "[/E1-PER]", "[E2-ORG]", "[/E2-ORG]"]
    assert marker_tokens_of(encoder, "이서준은 해담전자를 보았다.") == expected * (1 + cue)
    assert marker_tokens_of(encoder, SENTENCE) == expected * (1 + cue)


def test_markers_in_an_entity_are_text():
    encoder = make_trained("bert", "special").input_encoder
    encoder = InputEncoder(encoder.tokenizer, dataclasses.replace(encoder.scheme, cue=True), 96)
    example = make_example("a", "이서[E2]준은 해담전자를 보았다.", "이서[E2]준", "해담전자")
    tokens = encoder.tokenizer.convert_ids_to_tokens(encoder.encode([example])[0].input_ids)
    assert tokens.count("[E2]") == 0
    assert tokens.count("[E1-PER]") == tokens.count("[E2-ORG]") == 2  # in the cue and the text


def test_spans_stay_where_they_are():
    """One character stands for another, so that offsets of the marked text are the same."""
    example = make_example("a", SENTENCE, "이서준", "해담전자")
    marked = mark(example, make_scheme("special"))
    assert marked.text == (
        "［E1-PER] [E1-PER]이서준[/E1-PER]은 ［/E2]［E2] "
        "［E1-PER][E2-ORG]해담전자[/E2-ORG]를 보았다 [E1-PE]."
    )
    assert marked.text[slice(*marked.subject.inner)] == "이서준"
    assert marked.text[slice(*marked.object.outer)] == "[E2-ORG]해담전자[/E2-ORG]"


def test_punctuation_markers_leave_the_sentence_alone():
    scheme = make_scheme("punct")
    example = make_example("a", SENTENCE, "이서준", "해담전자")
    unmarked = mark(example, scheme).text.replace("@ * 사람 * 이서준 @", "이서준")
    assert unmarked.replace("# ^ 단체 ^ 해담전자 #", "해담전자") == SENTENCE
    assert (
        mark(EXAMPLES[0], scheme).text == "@ * 사람 * 김도율 @은 # ^ 단체 ^ 해담전자 #의 사원이다."
    )
