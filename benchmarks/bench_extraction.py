"""Relations of all pairs of a sentence: pair by pair, batched, and with the text read once.

    python benchmarks/bench_extraction.py --data_file klue-re-v1.1_dev_half.json

Real sentences, in which words are drawn as entities: 2, 4, 8 and 16 of each sentence, every ordered
pair of which is asked about. The last two ways find entities in the sentence as well, by a tagger
over the same encoder, which is read twice or once. The encoder is kore-mini with heads of random
weights, since only CPU time is measured. The ways take turns in one process on one thread; the
medians are compared. Ends with a table for people and one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

import _path  # noqa: F401
from kore.common.flags import KORE_MINI
from kore.data.rows import read_examples
from kore.data.schema import Entity, Example, LabelMap, Span
from kore.data.tagging import TextEncoder
from kore.extraction.pipeline import RelationAsker
from kore.network.pretrained import load_pretrained
from kore.network.shared_encoder import TextMemory, sharing
from kore.network.tagger import Tagger, tags_for
from kore.network.tagger_file import TrainedTagger
from kore.network.trained import TrainedModel
from kore.prediction.predictor import ComputeOn
from kore.prediction.tagging import EntityFinder
from kore.training.new_model import new_model
from kore.training.options import TrainOptions

ENTITIES = (2, 4, 8, 16)
WAYS = (
    "pair by pair",
    "pairs in batches",
    "text read once",
    "and a tagger",
    "one encoder for both",
)
_TYPES = ("PER", "ORG", "LOC")
_LONGEST = 300  # characters, so that no example is cut


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_file", type=Path, required=True, help="where sentences come from")
    parser.add_argument("--sentences", type=int, default=16, help="of each number of entities")
    parser.add_argument("--repeats", type=int, default=3, help="counted turns of each way")
    parser.add_argument("--pair_layers", type=int, default=1, help="of the levitated markers")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    chosen = sentences_of(args.data_file, args.sentences)
    compute = ComputeOn(torch.device("cpu"), "no" if args.precision == "fp32" else args.precision)
    labels = LabelMap(tuple(f"relation_{number}" for number in range(30)), "relation_0")
    models = {style: model_of(style, labels, args.pair_layers) for style in ("punct", "levitated")}
    rows = []
    for count in ENTITIES:
        pairs = [pair for words in chosen for pair in pairs_of(words, count)]
        seconds = measure(ways_of(models, pairs, compute), args.repeats)
        rows.append({"entities": count, **{way: len(chosen) / lap for way, lap in seconds.items()}})
    print(table(rows))
    print(json.dumps({"precision": args.precision, "sentences": args.sentences, "rows": rows}))


def sentences_of(path: Path, count: int) -> list[tuple[str, list[Span]]]:
    """Sentences with at least the most words that are asked about, and the words' places."""
    found = {}
    for example in read_examples(path):
        words = [Span(*match.span()) for match in re.finditer(r"\w+", example.sentence)]
        if len(words) >= ENTITIES[-1] and len(example.sentence) <= _LONGEST:
            found[example.sentence] = words
    drawn = random.Random(0).sample(sorted(found), count)
    return [(sentence, found[sentence]) for sentence in drawn]


def pairs_of(sentence: tuple[str, list[Span]], count: int) -> list[Example]:
    """Every ordered pair of some words of a sentence."""
    text, words = sentence
    spans = random.Random(1).sample(words, count)
    entities = [
        Entity(text[span.start : span.end], span, _TYPES[number % len(_TYPES)])
        for number, span in enumerate(spans)
    ]
    return [
        Example("", text, one, other) for one in entities for other in entities if one is not other
    ]


def model_of(style: str, labels: LabelMap, pair_layers: int) -> TrainedModel:
    """kore-mini with a new head."""
    options = TrainOptions(
        model_name_or_path=KORE_MINI,
        marker_style=style,
        max_length=512,
        span_pooling="mean",
        pair_layers=pair_layers,
    )
    types = [
        Example("", "가 나", Entity("가", Span(0, 1), name), Entity("나", Span(2, 3), name))
        for name in _TYPES
    ]
    return new_model(options, labels, types, load_pretrained(KORE_MINI, 0.0))


def ways_of(
    models: dict[str, TrainedModel], pairs: list[Example], compute: ComputeOn
) -> dict[str, Callable[[], object]]:
    """What is measured of pairs, by the name of the way."""
    sentences = list(dict.fromkeys(pair.sentence for pair in pairs))
    in_text, levitated = (RelationAsker(model, compute) for model in models.values())
    tagger = tagger_over(models["levitated"])
    finder, memory = EntityFinder(tagger, compute), TextMemory()
    reading, asked = sharing(tagger, models["levitated"], memory)
    shared_finder, shared_asker = EntityFinder(reading, compute), RelationAsker(asked, compute)

    def pair_by_pair() -> None:
        for pair in pairs:
            in_text([pair])

    def tagger_and_pairs() -> None:
        finder(sentences)
        levitated(pairs)

    def one_encoder() -> None:
        with memory.kept():
            shared_finder(sentences)
            shared_asker(pairs)

    work = (pair_by_pair, lambda: in_text(pairs), lambda: levitated(pairs))
    return dict(zip(WAYS, (*work, tagger_and_pairs, one_encoder), strict=True))


def tagger_over(relations: TrainedModel) -> TrainedTagger:
    """A new head over the encoder of a relation model."""
    tags = tags_for(_TYPES)
    tagger = Tagger(relations.classifier.encoder, len(tags), 0.0)
    encoder = TextEncoder(relations.input_encoder.tokenizer, relations.input_encoder.max_length)
    return TrainedTagger(tagger, encoder, tags, {}, {})


def measure(work: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """The CPU seconds of each way, the median of its turns."""
    seconds: dict[str, list[float]] = {way: [] for way in work}
    for _ in range(1 + repeats):
        for way, run in work.items():
            started = time.process_time()
            run()
            seconds[way].append(time.process_time() - started)
    return {way: statistics.median(laps[1:]) for way, laps in seconds.items()}


def table(rows: list[dict[str, float]]) -> str:
    """Sentences a CPU second, and how many times as many there are where a text is read once."""
    names = ("entities", "pairs", *WAYS[:3], "once / batches", *WAYS[3:], "one encoder / two")
    lines = [f"| {' | '.join(names)} |", "|" + " --- |" * len(names)]
    for row in rows:
        count = int(row["entities"])
        cells = [f"{row[way]:.1f}" for way in WAYS]
        cells.insert(3, f"{row[WAYS[2]] / row[WAYS[1]]:.1f}")
        cells.append(f"{row[WAYS[4]] / row[WAYS[3]]:.2f}")
        lines.append(f"| {count} | {count * (count - 1)} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
