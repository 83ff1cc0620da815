"""The fetched SmolLM2: what a generated model cannot show. Skips, with the reason, where it cannot be had."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from bedplate.app.pipeline.contract.standalone import standalone_context
from bedplate.app.pipeline.contract.step import StepContext
from bedplate.app.toolchain.compress import CompressionResults, Settings, run
from bedplate.app.toolchain.data import text as data_text
from bedplate.app.toolchain.models import fetch as model_fetch
from bedplate.core.errors import UnavailableError
from bedplate.core.messages import decode
from bedplate.toolchain.data.catalog import TEXTS
from bedplate.toolchain.fetch.packages import is_complete
from bedplate.toolchain.models.catalog import MODELS
from bedplate.toolchain.models.folder import load_model
from bedplate.toolchain.models.tokenizer import load_tokenizer

pytestmark = pytest.mark.real_model


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StepContext]:
    folder = tmp_path_factory.mktemp("real")
    with standalone_context("real", folder) as context:
        yield context


@pytest.fixture(scope="module")
def smollm2(context: StepContext) -> Path:
    known, text = MODELS["smollm2-135m-instruct"], TEXTS["wikipedia-sample"]
    if not is_complete(model_fetch.download_path(known), known.weights) or not is_complete(
        data_text.text_path(text), text.text
    ):
        pytest.skip("not in the cache: bedplate model fetch smollm2-135m-instruct --download-only --with-text")
    try:
        path = model_fetch.run(model_fetch.Settings(model=known.name), context).path
    except UnavailableError as error:
        pytest.skip(str(error))
    assert path is not None
    return path


def test_it_answers_a_question(smollm2: Path) -> None:
    model, tokenizer = load_model(smollm2, torch.bfloat16), load_tokenizer(smollm2)
    prompt = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
    tokens = tokenizer.encode(prompt).ids
    start = len(tokens)
    with torch.inference_mode():
        for _ in range(8):
            tokens.append(int(model.logits(model(torch.tensor([tokens]))[:, -1]).argmax()))
    assert "Paris" in tokenizer.decode(tokens[start:])


def test_digits_are_split_one_by_one(smollm2: Path) -> None:
    encoding = load_tokenizer(smollm2).encode("Hello world  12345")
    assert encoding.ids == [19556, 905, 256, 33, 34, 35, 36, 37]


def test_int8_costs_at_most_half_a_percent_of_perplexity(smollm2: Path, context: StepContext) -> None:
    result = run(Settings(model=str(smollm2), tokens=2048), context)
    results = decode(CompressionResults, {key: value for key, value in result.outputs.items() if key != "units"})
    (row,), base = results.schemes, results.base
    assert base.perplexity < 30
    assert row.perplexity <= 1.005 * base.perplexity
    assert row.size_bytes < 0.51 * base.size_bytes
