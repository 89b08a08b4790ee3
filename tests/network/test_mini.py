"""The encoder made from scratch: a vocabulary that depends on the rows alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.builders import make_tokenizer
from tokenizers import Tokenizer

from kore.network import mini

SOURCE = Path(__file__).resolve().parents[2] / "src"

TEXTS = [
    "김도율은 서울에서 태어나 부산에서 자랐다.",
    "서울에서 열린 행사에 김도율이 왔다.",
    "KoRE reads Korean, 한국어를 읽는다.",
] * 2


def test_learned_twice_is_identical():
    """120 tokens break off the learning in the middle of ties: their order must be fixed."""
    first, second = (mini.learn_tokenizer(TEXTS, 120) for _ in range(2))
    assert first.backend_tokenizer.to_str() == second.backend_tokenizer.to_str()


def test_learned_in_another_process_is_identical():
    script = (
        "import sys\nfrom kore.network import mini\n"
        "tokenizer = mini.learn_tokenizer(sys.argv[1:], 120)\n"
        "print(tokenizer.backend_tokenizer.to_str())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *TEXTS],
        env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(SOURCE), "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    ours = mini.learn_tokenizer(TEXTS, 120).backend_tokenizer.to_str()
    assert done.stdout.strip() == ours


def test_size_is_bounded_and_used():
    # 5 special tokens and each letter, alone and inside a word, take most of the smaller one.
    for size in (90, 100):
        assert len(mini.learn_tokenizer(TEXTS, size)) == size
    assert len(mini.learn_tokenizer(TEXTS, 8_000)) < 200


def test_special_tokens_come_first():
    tokenizer = mini.learn_tokenizer(TEXTS, 120)
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert tokenizer.convert_ids_to_tokens([0, 1, 2, 3, 4]) == names
    assert sorted(tokenizer.all_special_tokens) == sorted(names)  # none of the letters
    assert (tokenizer.pad_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id) == (0, 2, 3)


def test_words_that_were_seen_twice_are_whole_and_case_is_kept():
    tokenizer = mini.learn_tokenizer(TEXTS, 400)
    assert tokenizer.tokenize("서울에서 KoRE") == ["서울에서", "KoRE"]
    assert tokenizer.tokenize("kore") != tokenizer.tokenize("KoRE")
    assert tokenizer.tokenize("漢字") == ["[UNK]", "[UNK]"]


def test_words_never_seen_are_put_together_of_pieces():
    pieces = mini.learn_tokenizer(TEXTS, 400).tokenize("서울은")
    assert "[UNK]" not in pieces
    assert "".join(piece.removeprefix("##") for piece in pieces) == "서울은"


def test_rare_letters_do_not_fill_the_vocabulary():
    rare = "".join(chr(code) for code in range(0xB800, 0xB800 + 300))  # none is in TEXTS
    texts = [*TEXTS * 5, *rare]
    every = mini.learn_tokenizer(texts, 360)
    limited = mini.learn_tokenizer(texts, 360, max_letters=60)
    assert every.unk_token_id not in every(" ".join(rare))["input_ids"]
    assert "서울에서" not in every.get_vocab()
    assert limited.tokenize("서울에서") == ["서울에서"]
    # A rare letter is unknown, and the word around it is not.
    assert limited.tokenize(f"김도율{rare[-1]}은") == [*limited.tokenize("김도율"), "[UNK]", "은"]


def test_needed_letters_are_pieces_however_rare():
    tokenizer = mini.learn_tokenizer(["나다가라", "라", "라 가"], 100, 3, needed="@ 힣")
    assert tokenizer.tokenize("힣 @ 라 가") == ["힣", "@", "라", "[UNK]"]


def test_letters_are_chosen_by_frequency_then_code_point():
    tokenizer = mini.learn_tokenizer(["나다가라", "라", "라 가"], 100, max_letters=3)
    assert tokenizer.tokenize("가 나 다 라") == ["가", "나", "[UNK]", "라"]  # 2, 1, 1 and 3 times


def test_special_characters_of_patterns_are_letters_too():
    tokenizer = mini.learn_tokenizer(["a]b^c-d[e&&f\\g~h"] * 2, 100, max_letters=100)
    assert "[UNK]" not in tokenizer.tokenize("]^-[&\\~ a-h")
    assert tokenizer.tokenize("a漢b") == ["a", "[UNK]", "b"]


def test_a_limited_vocabulary_is_learned_alike_in_any_order_of_its_ties():
    first, second = (mini.learn_tokenizer(TEXTS, 120, max_letters=30) for _ in range(2))
    assert first.backend_tokenizer.to_str() == second.backend_tokenizer.to_str()


def test_a_sample_takes_every_nth_text():
    texts = ["ab", "cd", "ef", "gh", "ij"]  # 10 characters
    assert mini.bounded_sample(texts, 10) == texts
    assert mini.bounded_sample(texts, 9) == ["ab", "ef", "ij"]
    assert mini.bounded_sample(texts, 3) == ["ab", "ij"]


def test_its_post_processor_adds_cls_and_sep():
    tokenizer = mini.learn_tokenizer(TEXTS, 400)
    seoul = tokenizer.convert_tokens_to_ids("서울에서")
    kore = tokenizer.convert_tokens_to_ids("KoRE")
    assert tokenizer("서울에서")["input_ids"] == [2, seoul, 3]
    assert tokenizer("서울에서", "KoRE")["input_ids"] == [2, seoul, 3, kore, 3]


def test_round_trip_through_json():
    tokenizer = mini.learn_tokenizer(TEXTS, 120)
    restored = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    for text in (*TEXTS, "처음 보는 문장, unseen words."):
        assert restored.encode(text).ids == tokenizer(text)["input_ids"]


def test_encoder_has_the_shape_asked_for():
    size = mini.MiniSize(num_layers=3, hidden_size=24, num_heads=2, max_positions=40)
    encoder = mini.make_encoder(77, size)
    shapes = {name: tuple(weight.shape) for name, weight in encoder.state_dict().items()}
    assert shapes["embeddings.word_embeddings.weight"] == (77, 24)
    assert shapes["embeddings.position_embeddings.weight"] == (40, 24)
    assert shapes["encoder.layer.2.intermediate.dense.weight"] == (96, 24)
    assert "encoder.layer.3.intermediate.dense.weight" not in shapes
    assert encoder.pooler is None
    assert encoder(torch.tensor([[2, 5, 3]])).last_hidden_state.shape == (1, 3, 24)


def test_encoder_is_drawn_from_the_seed():
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        encoder = mini.make_encoder(len(make_tokenizer()), mini.MiniSize(1, 16, 2))
        return torch.cat([weight.flatten() for weight in encoder.state_dict().values()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_a_new_language_model_is_a_small_modern_bert():
    whole = mini.make_masked_lm(50, mini.MiniSize(2, 64, 1, max_positions=20))
    shapes = {name: tuple(weight.shape) for name, weight in whole.state_dict().items()}
    assert shapes["model.layers.1.mlp.Wi.weight"] == (2 * 2 * 64, 64)
    assert shapes["model.layers.1.mlp.Wo.weight"] == (64, 2 * 64)
    assert "model.layers.2.mlp.Wo.weight" not in shapes
    assert [name for name in shapes if name.endswith("bias")] == ["decoder.bias"]
    assert whole.decoder.weight is whole.model.embeddings.tok_embeddings.weight
    assert whole.config.layer_types == ["full_attention"] * 2
    # The second plane of 32 turns by 10,000 ** (-2 / 64) a token.
    frequencies = whole.model.rotary_emb.full_attention_inv_freq
    assert frequencies[:2].tolist() == pytest.approx([1, 10_000 ** (-2 / 64)])
