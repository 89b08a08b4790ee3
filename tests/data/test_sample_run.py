"""The sample rows: form, spans, types, shares, and patterns that cannot leak the label."""

from __future__ import annotations

import ast
import collections
import csv
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kore.data.ner import read_tagged
from kore.data.sample_run import (
    Name,
    Sample,
    draw_name,
    fill_pattern,
    label_counts,
    make_sample,
    patterns_of,
)
from kore.data.sample_templates import KINDS, LEAD_INS, PATTERNS, TRAILS
from kore.data.schema import Example

SCRIPT = Path(__file__).resolve().parents[2] / "src" / "tools" / "make_sample_data.py"

# subject type -> object types, written from the definitions in KLUE's annotation guide
ENTITY_TYPES = {
    "org:dissolved": ("ORG", {"DAT"}),
    "org:founded": ("ORG", {"DAT"}),
    "org:place_of_headquarters": ("ORG", {"LOC"}),
    "org:alternate_names": ("ORG", {"ORG"}),
    "org:member_of": ("ORG", {"ORG"}),
    "org:members": ("ORG", {"ORG"}),
    "org:political/religious_affiliation": ("ORG", {"ORG"}),
    "org:product": ("ORG", {"POH"}),
    "org:founded_by": ("ORG", {"PER"}),
    "org:top_members/employees": ("ORG", {"PER"}),
    "org:number_of_employees/members": ("ORG", {"NOH"}),
    "per:date_of_birth": ("PER", {"DAT"}),
    "per:date_of_death": ("PER", {"DAT"}),
    "per:place_of_birth": ("PER", {"LOC"}),
    "per:place_of_death": ("PER", {"LOC"}),
    "per:place_of_residence": ("PER", {"LOC"}),
    "per:origin": ("PER", {"LOC"}),
    "per:employee_of": ("PER", {"ORG"}),
    "per:schools_attended": ("PER", {"ORG"}),
    "per:alternate_names": ("PER", {"PER"}),
    "per:parents": ("PER", {"PER"}),
    "per:children": ("PER", {"PER"}),
    "per:siblings": ("PER", {"PER"}),
    "per:spouse": ("PER", {"PER"}),
    "per:other_family": ("PER", {"PER"}),
    "per:colleagues": ("PER", {"PER"}),
    "per:product": ("PER", {"POH"}),
    "per:religion": ("PER", {"ORG"}),
    "per:title": ("PER", {"POH"}),
}


@pytest.fixture(scope="module")
def sample() -> Sample:
    return make_sample(num_rows=1200, seed=42)


def all_rows(sample: Sample) -> list[Example]:
    return sample.train + sample.valid + sample.test


def test_same_seed_same_rows(sample: Sample) -> None:
    assert make_sample(1200, 42) == sample
    assert make_sample(1200, 43) != sample


def test_sizes_and_shares(sample: Sample) -> None:
    assert (len(sample.train), len(sample.valid), len(sample.test)) == (960, 240, 200)
    for rows in (sample.train, sample.valid, sample.test):
        counts = collections.Counter(row.label for row in rows)
        assert counts["no_relation"] == round(len(rows) / 3)
        assert set(counts) == set(ENTITY_TYPES) | {"no_relation"}
        rest = [count for label, count in counts.items() if label != "no_relation"]
        assert max(rest) - min(rest) <= 1


def test_smallest_sample_has_every_relation() -> None:
    sample = make_sample(300, 0)  # the fewest rows the command accepts
    assert len({row.label for row in sample.valid}) == 30
    assert len({row.label for row in sample.train}) == 30


def test_label_counts_by_hand() -> None:
    counts = label_counts(90, random.Random(0))  # 30 negatives, 60 = 29 * 2 + 2
    assert counts["no_relation"] == 30
    assert sorted(counts.values()) == [2] * 27 + [3] * 2 + [30]
    with pytest.raises(ValueError, match="too few"):
        label_counts(40, random.Random(0))


def test_no_sentence_occurs_twice(sample: Sample) -> None:
    sentences = [row.sentence for row in all_rows(sample)]
    assert len(set(sentences)) == len(sentences)


def test_spans_cut_out_the_names_and_do_not_overlap(sample: Sample) -> None:
    for row in all_rows(sample):
        for entity in (row.subject, row.object):
            assert row.sentence[entity.span.start : entity.span.end] == entity.word != ""
        first, second = sorted((row.subject, row.object), key=lambda entity: entity.span)
        assert first.span.end <= second.span.start


def test_entity_types_fit_the_relation(sample: Sample) -> None:
    for row in all_rows(sample):
        types = (row.subject.type, row.object.type)
        if row.label == "no_relation":
            assert types[0] in {"PER", "ORG"}
        else:
            subject_type, object_types = ENTITY_TYPES[str(row.label)]
            assert types[0] == subject_type, row
            assert types[1] in object_types, row


def test_no_relation_has_every_type_pair_that_a_relation_has() -> None:
    def type_pairs(label: str) -> set[tuple[str, str]]:
        return {
            (KINDS[subject].entity_type, KINDS[object_].entity_type)
            for pattern_set in PATTERNS[label]
            for subject in pattern_set.subject
            for object_ in pattern_set.object
        }

    negative = type_pairs("no_relation")
    for label in ENTITY_TYPES:
        assert type_pairs(label) <= negative, label


def test_sentences_are_whole(sample: Sample) -> None:
    for row in all_rows(sample):
        assert 20 <= len(row.sentence) <= 120
        assert row.sentence.endswith("다.")
        assert not re.search(r"[{}\[\]|]|  ", row.sentence), row.sentence
        # both forms of a particle would mean that a reading was not known
        assert not re.search(r"은\(는\)|이\(가\)|을\(를\)|과\(와\)|\([으이]\)", row.sentence)


def test_lengths_do_not_give_no_relation_away() -> None:
    rows = make_sample(6000, 1).train
    lengths: dict[bool, list[int]] = {True: [], False: []}
    for row in rows:
        lengths[row.label == "no_relation"].append(len(row.sentence))
    negative, positive = (sum(each) / len(each) for each in (lengths[True], lengths[False]))
    assert abs(negative - positive) < 5  # characters, of about 50


@pytest.mark.parametrize("label", PATTERNS)
def test_patterns_are_many_and_state_both_orders(label: str) -> None:
    texts = [text for _, text in patterns_of(label)]
    assert len(set(texts)) == len(texts) >= (15 if label == "no_relation" else 5)
    subject_first = [text.index("{subject") < text.index("{object") for text in texts]
    assert any(subject_first)
    assert not all(subject_first)


def test_patterns_are_well_formed() -> None:
    """Whatever alternative is chosen, each entity is there once and every other slot is known."""
    for label in PATTERNS:
        for _, text in patterns_of(label):
            for index in range(4):
                chosen = choose_words(text, index)
                slots = [slot.split(":")[0] for slot in re.findall(r"\{([^{}]*)\}", chosen)]
                assert slots.count("subject") == slots.count("object") == 1, text
                assert set(slots) - {"subject", "object", ""} <= set(KINDS), text
                assert chosen.endswith(("다.", "다}.")), text
    for text in (*LEAD_INS, *TRAILS):
        assert {slot.split(":")[0] for slot in re.findall(r"\{([^{}]*)\}", text)} <= set(KINDS)


def choose_words(text: str, index: int) -> str:
    """The pattern with the alternative number `index` of every choice, counted round."""

    def pick(match: re.Match[str]) -> str:
        words = match[1].split("|")
        return words[index % len(words)]

    return re.sub(r"\[([^\[\]]*)\]", pick, text)


def test_names_are_many() -> None:
    rng = random.Random(0)
    for kind, at_least in {"person": 1500, "company": 300, "city": 80, "work": 250}.items():
        assert len({draw_name(kind, rng).text for _ in range(4000)}) >= at_least, kind


def test_fill_pattern_notes_spans_and_particles(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {
        "person": Name("김도율", "PER", ("김", "도율")),
        "work": Name("먼 지도", "POH", ("먼", " ", "지도")),
        "city": Name("서울", "LOC", ("서울",)),
    }
    monkeypatch.setattr(
        "kore.data.sample_run.draw_name", lambda kind, rng, subject=None: names[kind]
    )
    pattern = "《{object}》{:을/를} 쓴 {subject:은/는} {city:으로/로} 갔다."
    sentence, subject, object_ = fill_pattern(pattern, "person", "work", random.Random(0))
    assert sentence == "《먼 지도》를 쓴 김도율은 서울로 갔다."
    assert subject.span == (10, 13)
    assert object_.span == (1, 5)


def test_derived_names_follow_the_subject() -> None:
    rng = random.Random(3)
    subject = Name("한도율", "PER", ("한", "도율"))
    company = Name("해담전자", "ORG", ("해담", "전자"))
    agency = Name("한국기후생태연구원", "ORG", ("한국", "기후생태", "연구원"))
    for _ in range(200):
        relative = draw_name("relative", rng, subject).text
        assert relative.startswith("한")
        assert relative not in {"한도율", "한한결"}  # the subject itself, a stutter
    aliases = {draw_name("alias", rng, company).text for _ in range(100)}
    assert aliases == {"Haedam Electronics", "HDE", "해담"}
    assert {draw_name("alias", rng, agency).text for _ in range(100)} == {"KCEI", "한기연"}


def run_script(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), "--data_dir", str(folder), "--num_rows", "300"]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_command_writes_the_competition_form(tmp_path: Path) -> None:
    done = run_script(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "synthetic" in done.stdout
    assert "nothing about quality" in done.stdout
    texts = read_tagged(tmp_path / "ner_data.tsv")
    train_rows = read_rows(tmp_path / "train_data.csv")
    assert [text.text for text in texts] == [row["sentence"] for row in train_rows]
    assert {len(text.entities) for text in texts} == {2}
    files = {path.name: read_rows(path) for path in sorted(tmp_path.glob("*.csv"))}
    assert {name: len(rows) for name, rows in files.items()} == {
        "test_data.csv": 200,
        "test_gold.csv": 200,
        "train_data.csv": 240,
        "valid_data.csv": 60,
    }
    for rows in files.values():
        assert ",".join(rows[0]) == "id,sentence,subject_entity,object_entity,label,source"
        assert [row["id"] for row in rows] == [str(number) for number in range(len(rows))]
        assert {row["source"] for row in rows} == {"synthetic"}
        for row in rows:
            for column in ("subject_entity", "object_entity"):
                entity = ast.literal_eval(row[column])
                assert list(entity) == ["word", "start_idx", "end_idx", "type"]
                cut = row["sentence"][entity["start_idx"] : entity["end_idx"] + 1]
                assert cut == entity["word"]
    blind, gold = files["test_data.csv"], files["test_gold.csv"]
    assert {row["label"] for row in blind} == {"100"}
    assert {row["label"] for row in gold} == set(PATTERNS)
    assert blind == [row | {"label": "100"} for row in gold]


def test_command_replaces_its_own_files_only(tmp_path: Path) -> None:
    assert run_script(tmp_path).returncode == 0
    assert run_script(tmp_path).returncode == 0
    foreign = {
        "ner_data.tsv": "## klue-ner\n가\tO\n",
        "train_data.csv": "id,sentence,label,source\n0,문장,no_relation,wikipedia\n",
    }
    for name, content in foreign.items():
        real = tmp_path / name
        real.write_text(content, encoding="utf-8")
        done = run_script(tmp_path)
        assert done.returncode == 2
        assert str(real) in done.stderr
        assert "--data_dir" in done.stderr
        assert real.read_text(encoding="utf-8") == content
