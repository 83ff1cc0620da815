"""A real model and a real text, small enough for a test: four million parameters, a trained BPE tokenizer, a chat template.

The weights are random and the text comes from a seeded grammar, so nothing is downloaded and every run sees the same bytes.
The grammar has structure that a model can learn (agreement, word order, topics that stay within a document), so a few dozen
training steps lower the loss by a lot.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bedplate.toolchain.models.llama import DecoderLayer, Llama

VOCABULARY_SIZE = 2048
SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
END_OF_TURN = "<|im_end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY_SIZE,
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_layers": 6,
    "num_heads": 8,
    "num_kv_heads": 4,
    "head_size": 32,
    "max_positions": 4096,
}


def make_tiny_model(folder: Path, seed: int = 0) -> Path:
    """Write a Hugging Face folder (config, bf16 safetensors, tokenizer with ChatML template and eos) and return it."""
    import torch

    from bedplate.toolchain.models.config import LlamaConfig
    from bedplate.toolchain.models.folder import save_model
    from bedplate.toolchain.models.llama import Llama

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Llama(LlamaConfig(**SHAPE))
        for parameter in model.parameters():
            if parameter.dim() == 2:
                torch.nn.init.normal_(parameter, std=0.05)
    save_model(model, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps(config | {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}, indent=2)
    )
    write_tiny_tokenizer(folder)
    return folder


def layers_of(model: Llama) -> list[DecoderLayer]:
    """The layers of a model by their class, which a ModuleList does not say."""
    from bedplate.toolchain.models.llama import DecoderLayer

    layers = [layer for layer in model.model.layers if isinstance(layer, DecoderLayer)]
    assert len(layers) == len(model.model.layers) > 0
    return layers


def write_tiny_tokenizer(folder: Path) -> None:
    """Train a byte-level BPE on generated text; write `tokenizer.json` and `tokenizer_config.json`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(tiny_documents(200, seed=7), trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|im_start|>",
        "eos_token": END_OF_TURN,
        "pad_token": END_OF_TURN,
        "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
        "model_max_length": SHAPE["max_positions"],
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2))


def write_tiny_text(path: Path, num_documents: int = 240, seed: int = 0) -> Path:
    """Write generated documents and return `path`.

    `.jsonl`: one `{"text": …}` a line; anything else: plain text, documents apart by two blank lines.
    """
    documents = list(tiny_documents(num_documents, seed))
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps({"text": document}) + "\n" for document in documents))
    else:
        path.write_text("\n\n\n".join(documents) + "\n")
    return path


def tiny_documents(num_documents: int, seed: int = 0) -> Iterator[str]:
    """Documents of about 250 words, each on a topic of its own words."""
    lexicon = _Lexicon()
    words = random.Random(seed)
    for _ in range(num_documents):
        nouns, verbs = words.sample(lexicon.nouns, 12), words.sample(lexicon.verbs, 8)
        adjectives = words.sample(lexicon.adjectives, 6)
        paragraphs = [
            " ".join(_sentence(words, nouns, verbs, adjectives) for _ in range(words.randint(5, 9)))
            for _ in range(words.randint(3, 5))
        ]
        yield "\n\n".join(paragraphs)


class _Lexicon:
    """Made-up content words; the same in every document of every seed, so that a tokenizer and a model can learn them."""

    def __init__(self) -> None:
        words = random.Random(20_240_101)
        made: set[str] = set()
        while len(made) < 700:
            made.add("".join(words.choice(_ONSETS) + words.choice(_NUCLEI) for _ in range(words.randint(2, 3))))
        roots = sorted(made)
        words.shuffle(roots)
        self.nouns = [root + words.choice(("", "n", "r", "st")) for root in roots[:350]]
        self.verbs = roots[350:550]
        self.adjectives = [root + words.choice(("y", "ish", "al")) for root in roots[550:]]


_ONSETS = ("b", "br", "c", "cl", "d", "dr", "f", "g", "gr", "h", "l", "m", "n", "p", "pl", "r", "s", "st", "t", "tr", "v", "w")
_NUCLEI = ("a", "e", "i", "o", "u", "ai", "ea", "oo", "an", "en", "or", "ar")
_PLACES = ("in the", "near the", "under the", "behind the", "beyond the")
_LINKS = ("because", "while", "although", "and then", "so that")


def _sentence(words: random.Random, nouns: list[str], verbs: list[str], adjectives: list[str]) -> str:
    text = _clause(words, nouns, verbs, adjectives)
    if words.random() < 0.4:
        text += f" {words.choice(_LINKS)} {_clause(words, nouns, verbs, adjectives)}"
    return text[0].upper() + text[1:] + "."


def _clause(words: random.Random, nouns: list[str], verbs: list[str], adjectives: list[str]) -> str:
    is_plural = words.random() < 0.4
    subject = words.choice(nouns) + ("s" if is_plural else "")
    verb = words.choice(verbs) + ("" if is_plural else "s")
    describing = f"{words.choice(adjectives)} " if words.random() < 0.5 else ""
    text = (
        f"{'the' if is_plural else words.choice(('a', 'the', 'every'))} {describing}{subject} {verb} the {words.choice(nouns)}"
    )
    if words.random() < 0.5:
        text += f" {words.choice(_PLACES)} {words.choice(nouns)}"
    return text
