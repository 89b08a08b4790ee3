"""Attention by hand in every form, and when rows may be packed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from kore.network import attention
from kore.network.attention import Packed, Padded, attend, attend_packed, fused, written_out

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def packing_is_tried_anew() -> Iterator[None]:
    attention.packing_works.cache_clear()
    yield
    attention.packing_works.cache_clear()


def test_packed_attention_by_hand():
    """One head of size 1. Row 1: keys 0 and ln 3 under query 1 weigh 1/4 and 3/4; row 2: itself."""
    query = torch.tensor([[[[1.0]], [[1.0]], [[5.0]]]])  # (1, tokens, heads, D)
    keys = torch.tensor([[[[0.0]], [[1.0986123]], [[9.0]]]])
    values = torch.tensor([[[[8.0]], [[4.0]], [[7.0]]]])
    layout = Packed(torch.tensor([0, 2, 3]), 2)
    for attended in (
        attend(query, keys, values, layout, 0.0),
        attend_packed(query, keys, values, layout, 0.0),
    ):
        assert attended.flatten().tolist() == pytest.approx([5.0, 5.0, 7.0])


def rows_by_hand() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """As above, (B, T, heads, D) and a mask (B, T); the second key of row 2 is padding."""
    query = torch.ones(2, 1, 1, 1)
    keys = torch.tensor([[0.0, 1.0986123], [0.0, 50.0]]).view(2, 2, 1, 1)
    values = torch.tensor([[8.0, 4.0], [7.0, 1.0]]).view(2, 2, 1, 1)
    return query, keys, values, torch.tensor([[True, True], [True, False]])


def test_padded_attention_by_hand():
    query, keys, values, mask = rows_by_hand()
    attended = attend(query, keys, values, Padded(mask), 0.0)
    assert attended.flatten().tolist() == pytest.approx([5.0, 7.0])
    without_padding = attend(query, keys, values, Padded(None), 0.0)
    assert without_padding.flatten().tolist() == pytest.approx([5.0, 1.0])  # 50 outweighs 0


@pytest.mark.parametrize("kernel", [fused, written_out])
def test_both_kernels_by_hand(kernel):
    """The fused one is a GPU's; it computes the same on a CPU."""
    query, keys, values, mask = rows_by_hand()
    query, keys, values = (states.transpose(1, 2) for states in (query, keys, values))
    attended = kernel(query, keys, values, mask[:, None, None, :], 0.0)
    assert attended.shape == (2, 1, 1, 1)
    assert attended.flatten().tolist() == pytest.approx([5.0, 7.0])
    without_mask = kernel(query, keys, values, None, 0.0)
    assert without_mask.flatten().tolist() == pytest.approx([5.0, 1.0])


def test_both_kernels_agree_in_states_and_gradients():
    torch.manual_seed(0)
    sizes = [
        (2, 3, 4, 8),
        (2, 3, 6, 8),
        (2, 3, 6, 8),
    ]  # fewer queries than keys, as in a last layer
    mask = (torch.arange(6) < torch.tensor([6, 4])[:, None])[:, None, None, :]
    results = []
    for kernel in (fused, written_out):
        torch.manual_seed(1)
        query, key, value = states = [torch.randn(size, requires_grad=True) for size in sizes]
        attended = kernel(query, key, value, mask, 0.0)
        (attended * torch.linspace(-1, 2, attended.numel()).view(attended.shape)).sum().backward()
        results.append([attended, *(state.grad for state in states)])
    for one, other in zip(*results, strict=True):
        assert one is not None
        assert other is not None
        assert one.abs().max() > 0.1
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_gpu_takes_the_fused_kernel(monkeypatch):
    """The choice is by the device alone."""
    taken: list[str] = []

    def note(name: str) -> Callable[..., Tensor]:
        def kernel(query: Tensor, *others: object) -> Tensor:
            taken.append(name)
            return query

        return kernel

    for name in ("fused", "written_out"):
        monkeypatch.setattr(attention, name, note(name))
    query, keys, values, mask = rows_by_hand()
    attend(query, keys, values, Padded(mask), 0.0)
    monkeypatch.setattr(Tensor, "is_cuda", True)
    attend(query, keys, values, Padded(mask), 0.0)
    assert taken == ["written_out", "fused"]


@pytest.mark.parametrize("inference", [False, True])
def test_packing_works_here(inference, caplog):
    """Prediction asks in inference mode, where gradients are not recorded."""
    caplog.set_level(logging.INFO, "kore")
    with torch.inference_mode(inference):
        assert attention.packing_works(CPU)
    assert caplog.text == ""


@pytest.mark.parametrize("error", [RuntimeError("no kernel"), NotImplementedError("no kernel")])
def test_packing_is_refused_where_it_fails(error, monkeypatch, caplog):
    """A GPU without the kernels runs padded rows, and says so."""

    def failing(*arguments: object) -> Tensor:
        raise error

    caplog.set_level(logging.INFO, "kore")
    monkeypatch.setattr(attention, "attend_packed", failing)
    assert not attention.packing_works(CPU)
    assert "Rows run padded: packed ones fail here (no kernel)" in caplog.text


def test_packing_is_refused_where_it_is_wrong(monkeypatch, caplog):
    caplog.set_level(logging.INFO, "kore")
    monkeypatch.setattr(attention, "attend_packed", lambda query, *others: query * 3)
    assert not attention.packing_works(CPU)
    assert "packed ones give other numbers here" in caplog.text


def test_full_memory_says_nothing_of_packing(monkeypatch):
    def full(*arguments: object) -> Tensor:
        raise torch.OutOfMemoryError("the memory is full")

    monkeypatch.setattr(attention, "attend_packed", full)
    with pytest.raises(torch.OutOfMemoryError):
        attention.packing_works(CPU)
