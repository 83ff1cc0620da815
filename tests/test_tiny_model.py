"""The generated model is what a real one would be to everything that reads it."""

from pathlib import Path

import torch

from bedplate.toolchain.models.folder import load_model
from tests.tiny_model import make_tiny_model, tiny_documents


def test_it_has_about_four_million_parameters(tiny_model: Path) -> None:
    assert 3.5e6 < load_model(tiny_model).config.num_parameters < 4.5e6


def test_transformers_loads_model_and_tokenizer_and_agrees(tiny_model: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    text = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True)
    assert text == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.eos_token == "<|im_end|>"
    tokens = torch.tensor([tokenizer(next(tiny_documents(1)))["input_ids"]])
    ours, theirs = load_model(tiny_model), AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    torch.testing.assert_close(ours.logits(ours(tokens)), theirs(tokens).logits, atol=1e-3, rtol=1e-3)


def test_tokens_decode_to_the_text_they_came_from(tiny_model: Path) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tiny_model / "tokenizer.json"))
    text = next(tiny_documents(1))
    tokens = tokenizer.encode(text).ids
    assert tokenizer.decode(tokens) == text
    assert len(tokens) < len(text) / 3


def test_the_same_seed_gives_the_same_bytes(tiny_model: Path, tmp_path: Path) -> None:
    again = make_tiny_model(tmp_path / "again")
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (again / name).read_bytes() == (tiny_model / name).read_bytes(), name


def test_another_seed_gives_other_documents() -> None:
    assert list(tiny_documents(3, seed=1)) != list(tiny_documents(3, seed=2))
