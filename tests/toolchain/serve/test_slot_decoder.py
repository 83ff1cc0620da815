"""The serving decoder computes what `Llama.forward` computes, and its parts keep their word."""

import pytest
import torch

from bedplate.toolchain.compress.int8 import quantize_int8
from bedplate.toolchain.models.config import LlamaConfig
from bedplate.toolchain.models.llama import Llama
from bedplate.toolchain.serve.decoder import SlotDecoder, _attention_spans
from bedplate.toolchain.serve.slots import KVSlots, SlotShape
from bedplate.toolchain.serve.threads import StepThreads

TOLERANCE = {torch.float32: (1e-4, 1e-4), torch.bfloat16: (0.15, 0.05)}


def make_decoder(
    heads: int = 6, kv_heads: int = 2, dtype: torch.dtype = torch.float32, *, tied: bool = True
) -> tuple[Llama, SlotDecoder]:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=97,
        hidden_size=96,
        intermediate_size=128,
        num_layers=3,
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_size=16,
        max_positions=1024,
        tie_embeddings=tied,
    )
    model = Llama(config).to(dtype)
    slots = KVSlots(SlotShape.of(config, dtype, 4, 1024))
    return model, SlotDecoder(model, slots, 64, 4)


@pytest.mark.parametrize(("heads", "kv_heads"), [(6, 2), (6, 6), (6, 1)], ids=["grouped", "one to one", "one for all"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@torch.inference_mode()
def test_chunks_and_steps_give_the_scores_of_one_forward(heads: int, kv_heads: int, dtype: torch.dtype) -> None:
    model, decoder = make_decoder(heads, kv_heads, dtype)
    tokens = torch.randint(97, (150,)).tolist()
    expected = model.logits(model(torch.tensor([tokens])))[0].float()
    absolute, relative = TOLERANCE[dtype]
    for start in range(0, 140, 64):
        rows = min(64, 140 - start)
        hidden = decoder.prefill(2, start, tokens[start : start + rows])
        scores = decoder.chunk_logits(hidden)[:rows].float()
        torch.testing.assert_close(scores, expected[start : start + rows], atol=absolute, rtol=relative)
    torch.testing.assert_close(decoder.logits(hidden, rows - 1).float(), expected[139], atol=absolute, rtol=relative)
    for position in range(140, 150):
        scores_MV = decoder.decode([None, None, tokens[position], None], [0, 0, position, 0])
        torch.testing.assert_close(scores_MV[2].float(), expected[position], atol=absolute, rtol=relative)


@torch.inference_mode()
def test_each_kind_of_step_has_its_threads() -> None:
    model, before = make_decoder()
    count = torch.get_num_threads()
    try:
        decoder = SlotDecoder(model, before.slots, 64, 4, StepThreads(prefill=1, decode=2))
        hidden = decoder.prefill(0, 0, [1, 2, 3])
        assert torch.get_num_threads() == 1
        decoder.decode([4, None, None, None], [3, 0, 0, 0])
        assert torch.get_num_threads() == 2
        decoder.logits(hidden, 2)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(count)


@torch.inference_mode()
def test_an_output_head_of_its_own_is_used() -> None:
    model, decoder = make_decoder(tied=False)
    scores = decoder.logits(decoder.prefill(0, 0, [1, 2, 3]), 2)
    torch.testing.assert_close(scores, model.logits(model(torch.tensor([[1, 2, 3]])))[0, -1], atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_int8_weights_give_the_scores_of_their_own_modules() -> None:
    model, _ = make_decoder(dtype=torch.bfloat16)
    model = quantize_int8(model)
    slots = KVSlots(SlotShape.of(model.config, torch.bfloat16, 4, 1024))
    decoder = SlotDecoder(model, slots, 64, 4)
    scores = decoder.logits(decoder.prefill(0, 0, list(range(20))), 19)
    expected = model.logits(model(torch.arange(20)[None]))[0, -1]
    torch.testing.assert_close(scores.float(), expected.float(), atol=0.15, rtol=0.05)


@torch.inference_mode()
def test_idle_rows_leave_the_slots_alone() -> None:
    _, decoder = make_decoder()
    decoder.prefill(1, 0, list(range(64)))
    before = decoder.slots.arena_L2SGPK[:, :, 1].clone()
    decoder.decode([5, None, None, None], [0, 0, 0, 0])
    assert torch.equal(decoder.slots.arena_L2SGPK[:, :, 1], before)


@torch.inference_mode()
def test_a_block_goes_out_and_comes_back_the_same() -> None:
    _, decoder = make_decoder(dtype=torch.bfloat16)
    slots = decoder.slots
    decoder.prefill(1, 0, list(range(64)))
    block = slots.read_block(1, 0, 64)
    assert block.nbytes == slots.block_bytes(64)
    slots.write_block(3, 128, 64, torch.frombuffer(bytearray(block), dtype=torch.uint8))
    assert torch.equal(slots.arena_L2SGPK[:, :, 3, :, 128:192], slots.arena_L2SGPK[:, :, 1, :, :64])


def test_slots_that_are_taken_back_read_as_zeros() -> None:
    _, decoder = make_decoder()
    slots = decoder.slots
    slots.take()
    slots.arena_L2SGPK[:, :, 0] = float("nan")
    slots.reclaim_all()
    assert slots.num_free == 4
    assert not slots.arena_L2SGPK.any()


def test_rows_of_very_different_lengths_are_attended_to_one_by_one() -> None:
    assert _attention_spans([0, 1, 2], [100, 200, 300], together=True) == [(0, 3, 512)]
    assert _attention_spans([0, 1, 2], [100, 200, 4000], together=True) == [(0, 1, 512), (1, 2, 512), (2, 3, 4096)]
    assert _attention_spans([0, 1], [100, 200], together=False) == [(0, 1, 512), (1, 2, 512)]
