"""The benchmarks: the same function on every side, arithmetic by hand, and what they print."""

from __future__ import annotations

import csv
import importlib
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.builders import ENCODERS, EXAMPLES, LABELS, make_scheme, make_tokenizer, make_trained
from tests.runs import as_flags
from transformers import AutoModelForMaskedLM

import bench_data
import bench_ensembles
import bench_inference
import bench_linear
import bench_prior
import bench_training
import bench_trust
import measuring
import ship_models
import take_subset
from baselines import PlainClassifier
from kore.common.errors import UserError
from kore.common.flags import BATCH_TOKENS
from kore.common.resources import find_file
from kore.data.batching import token_batches
from kore.data.dataset import InputEncoder
from kore.data.label_files import load_label_map
from kore.data.options import SchemaOptions
from kore.data.records import write_examples
from kore.data.rows import read_examples
from kore.data.sample_run import make_sample
from kore.network import mini, shipped
from kore.network.checkpoint import save_model
from kore.network.locate import find_model
from kore.network.pretrained import load_pretrained
from kore.prediction.predictions import read_submission, write_submission
from kore.scoring.metrics import score
from measuring import encoder_flops, matrix_product_rate, median_ratio, table
from plain_rows import read_plainly, tokenize_row, tokenize_rows
from workload import (
    MAX_LENGTH,
    Job,
    Shape,
    equal_batches,
    make_encoder,
    representative_rows,
)
from workload import make_tokenizer as pick_tokenizer

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def make_job() -> Job:
    return Job(
        size="mini",
        examples=list(EXAMPLES),
        lengths=[0] * len(EXAMPLES),
        tokenizer=make_tokenizer(),
        scheme=make_scheme(),
        labels=LABELS,
        device=torch.device("cpu"),
        precision="fp32",
        rounds=2,
    )


@pytest.mark.parametrize("kind", ["bert", "roberta", "mini"])
def test_plain_classifier_computes_what_ours_does(kind: str) -> None:
    trained = make_trained(kind).model.eval()
    encoder: Any = ENCODERS[kind](len(make_tokenizer()))
    encoder.pooler = None  # ours has none either
    plain = PlainClassifier(encoder, len(LABELS)).eval()
    weights = trained.state_dict()
    del weights["temperature"], weights["log_odds"]  # 1 and 0: the plain script knows none
    plain.load_state_dict(weights)
    ids = torch.tensor([[2, 7, 8, 9, 10, 3], [2, 7, 9, 3, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])
    subject, object_ = torch.tensor([[1, 3], [1, 2]]), torch.tensor([[4, 5], [2, 3]])
    with torch.inference_mode():
        ours = trained(ids, mask.bool(), subject, object_)
        theirs = plain(ids, mask, subject, object_)["logits"]
    assert ours.abs().max() > 0.1
    torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-5)


def test_baselines_give_the_model_what_we_give_it() -> None:
    job = make_job()
    ours = InputEncoder(job.tokenizer, job.scheme, MAX_LENGTH).encode(job.examples)
    for example, batched, row in zip(job.examples, tokenize_rows(job), ours, strict=True):
        padded = tokenize_row(example, job.tokenizer, job.scheme)
        assert len(padded["input_ids"]) == MAX_LENGTH
        assert sum(padded["attention_mask"]) == len(row.input_ids)
        assert padded["input_ids"][: len(row.input_ids)] == row.input_ids == batched["input_ids"]
        for name in ("subject_span", "object_span"):
            assert tuple(padded[name]) == tuple(batched[name]) == getattr(row, name)


def test_read_plainly_reads_what_we_write(tmp_path: Path) -> None:
    write_examples(tmp_path / "rows.csv", EXAMPLES)
    read = read_plainly(tmp_path / "rows.csv")
    assert [row._replace(source="test") for row in read] == list(EXAMPLES)


def test_flops_by_hand() -> None:
    """Two layers of width 4: 4*16 + 2*4*16 = 192 weights each, rows of 3 and 1 tokens."""
    shape = Shape(num_layers=2, hidden_size=4, num_heads=1, vocab_size=10)
    forward = 2 * (2 * 192 * 4 + 4 * 4 * (9 + 1))
    assert forward == 3_392
    assert encoder_flops(shape, [3, 1], is_training=False) == forward
    assert encoder_flops(shape, [3, 1], is_training=True) == 3 * forward


def test_ratio_is_the_median_over_rounds() -> None:
    """Rounds of 4/2, 9/3 and 50/1: a median of ratios, not a ratio of medians (9/2)."""
    assert median_ratio([2.0, 3.0, 1.0], [4.0, 9.0, 50.0]) == 3.0


def test_table_leaves_unknown_cells_out() -> None:
    rows: list[dict[str, Any]] = [{"way": "a", "x": 1.234}, {"way": "b"}]
    assert table(rows, {"way": "", "x": ".1f"}).splitlines() == [
        "| way | x |",
        "|---|---|",
        "| a | 1.2 |",
        "| b | - |",
    ]


def test_matrix_product_rate_is_that_of_the_median(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 2, 8 and 4 seconds, after one of 100 that is not counted."""
    clock = iter([0, 100, 100, 102, 102, 110, 110, 114])
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: float(next(clock)))
    monkeypatch.setitem(measuring._PRODUCT_SIZES, "cpu", 50)
    rate = matrix_product_rate(torch.device("cpu"), "fp32")
    assert rate == pytest.approx(2 * 50**3 / 4 / 1e9)


@pytest.mark.parametrize("name", sorted(path.stem for path in BENCHMARKS.glob("bench_*.py")))
def test_every_benchmark_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = importlib.import_module(name)
    with pytest.raises(SystemExit) as ended:
        module.main(["--help"])
    assert ended.value.code == 0
    summary = str(module.__doc__).partition("\n")[0]
    assert " ".join(summary.split()) in " ".join(capsys.readouterr().out.split())


def test_representative_rows_are_whole_batches_with_the_mean_of_all() -> None:
    lengths = np.random.default_rng(0).gamma(8, 8, 1_000).astype(int) + 1
    batches = equal_batches(list(lengths), 16)
    rows = representative_rows(list(lengths), 64, batches)
    assert len(set(rows.tolist())) == 64
    assert lengths[rows].mean() == pytest.approx(lengths.mean(), abs=1)
    chosen = [batch for batch in batches if set(batch.tolist()) <= set(rows.tolist())]
    assert sum(map(len, chosen)) == 64


def test_representative_rows_fall_into_the_same_batches_again() -> None:
    """As predicted: a budget of tokens must not cut across what was chosen."""
    lengths = np.random.default_rng(0).gamma(8, 8, 2_048).astype(int) + 1
    rows = representative_rows(list(lengths), 200, bench_inference.full_batches(list(lengths)))
    again = token_batches(lengths[rows], BATCH_TOKENS)
    cells = sum(len(batch) * lengths[rows][batch].max() for batch in again)
    assert 1 - lengths[rows].sum() / cells < 0.05


def test_representative_rows_of_few_are_all() -> None:
    batches = equal_batches([5, 3, 4, 9, 1], 2)
    assert [batch.tolist() for batch in batches] == [[4, 1], [2, 0]]
    assert representative_rows([5, 3, 4, 9, 1], 8, batches).tolist() == [4, 1, 2, 0]


def test_encoder_is_as_large_as_the_published_one() -> None:
    tokenizer = make_tokenizer()
    with torch.device("meta"):
        base: Any = make_encoder("base", tokenizer)
    # embeddings, and the 12 layers of klue/roberta-base: 85 M weights
    assert sum(weight.numel() for weight in base.encoder.parameters()) == 85_054_464
    assert base.embeddings.word_embeddings.num_embeddings == 32_000
    assert base.config.pad_token_id == tokenizer.pad_token_id


def test_klue_vocabulary_tokenizes_as_published(real_data: Path) -> None:
    tokenizer = pick_tokenizer("base", real_data / "klue_vocab", [])
    assert tokenizer("조지 해리슨이 쓰고")["input_ids"] == [
        2,
        8373,
        14113,
        2234,
        2052,
        1363,
        2088,
        3,
    ]


@pytest.mark.parametrize(
    ("main", "flags"),
    [
        (bench_training.main, ["--rounds", "1", "--updates", "1"]),
        (bench_inference.main, ["--rounds", "1", "--rows", "64"]),
    ],
)
def test_quick_ends_in_one_line_of_json(
    main: Callable[[list[str]], None], flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--quick", *flags])
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(report["ways"]) == ["plain", "trainer", "trainer_best", "kore"]
    for way in report["ways"].values():
        assert {"x_plain", "x_trainer", "x_trainer_best", "peak_mib"} <= way.keys()
        assert way["rows_per_second"] > 0
        assert 0 <= way["padding"] < 1
        assert way["share_of_product"] > 0
        assert way.get("max_difference", 0) < 0.01
    assert report["ways"]["plain"]["padding"] > report["ways"]["kore"]["padding"]
    assert report["ways"]["plain"]["x_plain"] == 1


def test_data_ends_in_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    bench_data.main(["--quick", "--repeats", "1", "--rows", "100"])
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [(row["way"], row["stage"]) for row in report["stages"]] == [
        ("plain", "read"),
        ("plain", "encode"),
        ("kore", "read"),
        ("kore", "encode"),
        ("kore", "learn_vocabulary"),
    ]
    assert all(row["rows_per_second"] > 0 for row in report["stages"])


def test_trust_ends_in_a_table_and_one_line_of_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = make_sample(300, seed=3)
    write_examples(tmp_path / "all.csv", sample.train)
    write_examples(tmp_path / "new.csv", sample.test)
    shares = find_file("klue_dev_shares.json")
    flags = {
        "data_file": tmp_path / "all.csv",
        "work_dir": tmp_path / "work",
        "target_prior": shares,
        "unlabelled_file": tmp_path / "new.csv",
        "seeds": 1,  # of an evaluation's five seconds most are its figures
        "num_epochs": 1,
    }
    with warnings.catch_warnings(action="ignore"):  # small files lack relations
        bench_trust.main(as_flags(**flags))
    lines = capsys.readouterr().out.splitlines()
    assert "| under the estimated shares | " in "\n".join(lines)
    (result,) = json.loads(lines[-1])
    assert result["auprc"] != result["given_auprc"]
    assert 0 < result["estimated_no_relation"] < 1
    assert result["ece"] != result["ece_uncalibrated"]


def test_trust_names_mean_and_deviation_over_seeds() -> None:
    """Of 1, 2 and 6: mean 3, and a sample deviation of sqrt((4 + 1 + 9) / 2)."""
    results = [{"auprc": 1.0}, {"auprc": 2.0}, {"auprc": 6.0}]
    assert bench_trust.mean_and_sd(results, "auprc") == "3.00 ± 2.65"
    assert bench_trust.mean_and_sd(results[:1], "auprc") == "1.00 ± 0.00"


def test_models_are_shipped_whole_beside_the_cards_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = mini.make_masked_lm(200, mini.MiniSize(1, 64, 1, max_positions=32))
    encoder.save_pretrained(tmp_path / "encoder")
    make_tokenizer().save_pretrained(tmp_path / "encoder")
    save_model(tmp_path / "best.pth", make_trained("modernbert", "punct", "mean"))
    monkeypatch.setattr(shipped, "MODELS", tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    card = tmp_path / "models" / "kore-mini-re" / "README.md"
    card.parent.mkdir(parents=True)
    card.write_text("by hand", encoding="utf-8")
    flags = ["--encoder", "encoder", "--relation_model", "best.pth", "--folder", "models"]
    ship_models.main(flags)
    loaded, _ = load_pretrained("kore-mini", 0.0, AutoModelForMaskedLM)
    expected = encoder.state_dict()
    for name, weight in loaded.state_dict().items():
        assert torch.equal(weight, expected[name].half().float()), name
    assert find_model("", "models") == card.parent
    assert card.read_text(encoding="utf-8") == "by hand"


def test_linear_features_by_hand() -> None:
    row = EXAMPLES[0]
    assert row.sentence == "김도율은 해담전자의 사원이다."
    assert bench_linear.between(row) == "은 "
    assert bench_linear.around(row) == "S은 해담전자의 사원 | 김도율은 O의 사원이다."
    swapped = row._replace(subject=row.object, object=row.subject)
    assert bench_linear.between(swapped) == "은 "
    assert set(bench_linear.facts(row)) - set(bench_linear.facts(swapped)) == {
        "s PER",
        "o ORG",
        "PER ORG",
        "subject first",
        "PER ORG subject first",
    }
    features = bench_linear.Features()
    learned = features.learn(EXAMPLES * 3)
    assert np.allclose(features.of(EXAMPLES * 3).toarray(), learned.toarray())
    assert features.of([swapped]).shape == (1, learned.shape[1])


def test_linear_model_learns_the_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_examples(tmp_path / "all.csv", make_sample(300, seed=3).train)
    bench_linear.main(["--data_file", str(tmp_path / "all.csv"), "--work_dir", str(tmp_path)])
    line = next(
        line for line in capsys.readouterr().out.splitlines() if "| logistic regression |" in line
    )
    assert float(line.split("|")[2]) > 30  # the templates of both parts are the same
    valid = read_examples(tmp_path / "valid_data.csv", need_labels=True)
    labels = load_label_map(SchemaOptions.label2id_path)
    written = read_submission(tmp_path / "linear.csv", labels)
    assert written.ids == [row.id for row in valid]
    gold = np.asarray(labels.index(str(row.label) for row in valid))
    assert f"{score(gold, written.probs, labels).micro_f1:.2f}" == line.split("|")[2].strip()
    parts = {f"{part}_file": tmp_path / f"{part}_data.csv" for part in ("train", "valid")}
    bench_linear.main(as_flags(work_dir=tmp_path, **parts))  # the same files, named
    assert line in capsys.readouterr().out.splitlines()
    bench_linear.main(as_flags(work_dir=tmp_path, ngram_buckets=5_000, **parts))
    hashed = read_submission(tmp_path / "linear.csv", labels)
    assert score(gold, hashed.probs, labels).accuracy > 30
    assert not np.allclose(hashed.probs, written.probs, atol=0.05)


def test_a_subset_of_relations_is_taken_by_id(tmp_path: Path) -> None:
    whole = [{"guid": f"klue-re-v1_dev_{number:05d}", "sentence": "가"} for number in range(4)]
    (tmp_path / "dev.json").write_text(json.dumps(whole), encoding="utf-8")
    (tmp_path / "ids.txt").write_text("00001\n00003\n")
    taken = as_flags(ids=tmp_path / "ids.txt", output_file=tmp_path / "part.json")
    take_subset.main([str(tmp_path / "dev.json"), *taken])
    assert json.loads((tmp_path / "part.json").read_text(encoding="utf-8")) == whole[1::2]
    (tmp_path / "dev.json").write_text(json.dumps(whole[:2]), encoding="utf-8")
    with pytest.raises(UserError, match="lacks 1 of the 2 examples"):
        take_subset.main([str(tmp_path / "dev.json"), *taken])


def test_a_subset_of_tagged_sentences_is_taken_by_id(tmp_path: Path) -> None:
    header = "## 문장 구분자 : \\n\\n\n"
    blocks = [f"## klue-ner-v1_dev_0000{number}-nsmc\t가\n가\tO\n\n" for number in range(3)]
    (tmp_path / "dev.tsv").write_text(header + "".join(blocks), encoding="utf-8")
    (tmp_path / "ids.txt").write_text("00000\n00002\n")
    taken = as_flags(ids=tmp_path / "ids.txt", output_file=tmp_path / "part.tsv")
    take_subset.main([str(tmp_path / "dev.tsv"), *taken])
    assert (tmp_path / "part.tsv").read_text(encoding="utf-8") == header + blocks[0] + blocks[2]


@pytest.mark.filterwarnings("ignore:AUPRC leaves out")
def test_a_relation_that_is_expected_more_often_wins_where_it_is_close(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both relations are as common in training; three to one turns 0.55 : 0.45 around."""
    names = ("per:title", "org:product")
    train = [row._replace(label=names[place % 2]) for place, row in enumerate(EXAMPLES[:4])]
    gold = [row._replace(label=names[1]) for row in train]
    labels = load_label_map(SchemaOptions.label2id_path)
    probs = np.zeros((len(gold), len(labels)))
    probs[:, labels.index(names)] = (0.55, 0.45)
    write_examples(tmp_path / "train.csv", train)
    write_examples(tmp_path / "gold.csv", gold)
    write_submission(tmp_path / "out.csv", [row.id for row in gold], probs, labels)
    shares = {**dict.fromkeys(labels.names, 0.0), names[0]: 0.25, names[1]: 0.75}
    (tmp_path / "prior.json").write_text(json.dumps(shares), encoding="utf-8")
    monkeypatch.setattr(bench_prior, "RESAMPLES", 1)
    bench_prior.main(
        as_flags(
            prediction_files=tmp_path / "out.csv",
            gold_file=tmp_path / "gold.csv",
            train_file=tmp_path / "train.csv",
            target_prior=tmp_path / "prior.json",
        )
    )
    lines = capsys.readouterr().out.splitlines()
    scores = {line.split(" | ")[0]: line.split(" | ")[1] for line in lines if " | " in line}
    assert scores["| none"] == "0.00"
    assert scores["| relations, 1.0"] == scores["| all, 1.0"] == "100.00"


@pytest.mark.parametrize(
    "given", [{}, {"train_file": "a"}, {"valid_file": "b"}, {"data_file": "a", "valid_file": "b"}]
)
def test_linear_model_needs_one_file_or_both(
    given: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        bench_linear.parse(as_flags(work_dir="c", **given))
    assert "either --data_file or both" in capsys.readouterr().err


def test_ensembles_are_scored_beside_a_single_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = make_sample(700, seed=3)
    write_examples(tmp_path / "all.csv", sample.train)
    bench_ensembles.split_by_sentence(tmp_path / "all.csv", tmp_path)
    experiments = tmp_path / "experiments"
    for name in (bench_ensembles.BASE, *bench_ensembles.TECHNIQUES):
        for seed in range(2):
            write_predictions(bench_ensembles.predictions(experiments, name, seed), tmp_path)
    flags = {"data_file": tmp_path / "all.csv", "work_dir": tmp_path, "seeds": 2, "num_folds": 2}
    flags |= {"experiments": experiments}
    with warnings.catch_warnings(action="ignore"):  # small files lack relations
        bench_ensembles.main(as_flags(**flags))
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    scores = {line.split(" | ")[0].strip("| "): line.split(" | ")[1] for line in table[2:]}
    assert list(scores) == [
        "one model",
        "2 seeds, soft vote",
        "2 seeds, hard vote",
        "6 techniques, soft vote",
        "2 folds, soft vote",
    ]
    assert " ± " in scores["2 folds, soft vote"]
    assert " ± " not in scores["2 seeds, soft vote"]  # one ensemble has no deviation
    assert len(set(scores.values())) == len(scores)
    assert len(list((tmp_path / "models").glob("folds-seed?-fold?.pth"))) == 4


def write_predictions(path: Path, work_dir: Path) -> None:
    """Random ones for the validation rows."""
    rows = list(csv.DictReader((work_dir / "valid_data.csv").open(encoding="utf-8")))
    labels = load_label_map(SchemaOptions.label2id_path)
    probs = np.random.default_rng([*path.name.encode()]).dirichlet(np.ones(len(labels)), len(rows))
    write_submission(path, [row["id"] for row in rows], probs, labels)
