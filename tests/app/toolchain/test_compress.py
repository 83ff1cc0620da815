"""The compress step: a smaller model that loads, a table of what it cost, a gate that holds."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bedplate.app.pipeline.contract.standalone import standalone_context
from bedplate.app.pipeline.contract.step import Needs, StepContext, StepResult, Workers
from bedplate.app.toolchain.compress import CompressionResults, Settings, compress, plan, run
from bedplate.cli.main import main
from bedplate.core.errors import CheckFailedError, NotFoundError, ResourcesError, UsageError
from bedplate.core.messages import decode
from bedplate.engines.base import CanExclude
from bedplate.toolchain.compress.job import SCHEMES, Scheme
from bedplate.toolchain.data.corpus import write_corpus
from bedplate.toolchain.models.card import ModelCard, ModelKind, read_card, weights_digest, write_card
from bedplate.toolchain.models.folder import load_model, save_model
from bedplate.toolchain.models.llama import Llama
from bedplate.toolchain.models.quantized import Int8Linear
from bedplate.toolchain.models.tokenizer import load_tokenizer
from tests.recording_sink import RecordingSink
from tests.tiny_model import layers_of, tiny_documents

QUICK = Settings(model="named by each test", tokens=300, context=128)
ANY = 1.0
"""A gate that lets everything through: a model that knows nothing gets better or worse by chance."""


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


@pytest.fixture
def context(tmp_path: Path, sink: RecordingSink) -> Iterator[StepContext]:
    with standalone_context("compress", tmp_path / "step", events=sink) as context:
        yield context


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text") / "corpus"
    write_corpus(tiny_documents(30), folder, 0.3, {"source": "generated text"})
    return folder


@pytest.fixture
def trained(tiny_model: Path, corpus: Path, tmp_path: Path) -> Path:
    """A model folder whose card names the corpus, as the train step leaves it."""
    folder = shutil.copytree(tiny_model, tmp_path / "trained")
    write_card(folder, ModelCard(kind=ModelKind.TRAINED, corpus=str(corpus), licence="none"))
    return folder


def results_of(result: StepResult) -> CompressionResults:
    """The table in the outputs of the step, as the dataclass that it was written from."""
    return decode(CompressionResults, {key: value for key, value in result.outputs.items() if key != "units"})


def test_the_result_is_a_whole_int8_model_with_its_cost(context: StepContext, trained: Path) -> None:
    result = run(replace(QUICK, model=str(trained), max_perplexity_rise=ANY), context)
    assert result.path is not None
    assert isinstance(load_model(result.path, torch.bfloat16).lm_head, Int8Linear)
    assert (result.path / "tokenizer.json").read_bytes() == (trained / "tokenizer.json").read_bytes()
    assert json.loads((result.path / "config.json").read_text())["eos_token_id"] == 2
    card = read_card(result.path)
    assert card is not None and card.base is not None
    assert (card.kind, card.licence) == (ModelKind.COMPRESSED, "none")
    assert (card.base.path, card.base.digest) == (str(trained), weights_digest(trained))

    results = results_of(result)
    (row,), base = results.schemes, results.base
    assert row.name == "int8" and row.size_bytes < 0.55 * base.size_bytes
    assert row.perplexity == pytest.approx(base.perplexity, rel=0.03)
    assert 0 < row.kl_to_base < 0.05 and 0.8 < row.top1_agreement_frac <= 1
    assert min(row.tokens_per_s_b1, row.tokens_per_s_b8, base.tokens_per_s_b1) > 0
    assert (results.text, results.tokens) == ("held-out text of generated text", 300)

    values = {item.id: item for item in result.measurements}
    assert values["ppl_int8"].value == row.perplexity and values["ppl_int8"].provenance == "measured"
    assert "300 tokens, context 128" in values["ppl_int8"].scale
    assert [line[0] for line in result.tables[0].rows] == ["bf16", "int8"]


def test_several_schemes_stand_side_by_side(context: StepContext, trained: Path, sink: RecordingSink) -> None:
    result = run(
        replace(QUICK, model=str(trained), schemes=(Scheme.INT8_LINEAR, Scheme.INT8), max_perplexity_rise=ANY), context
    )
    results = results_of(result)
    assert [row.name for row in results.schemes] == ["int8-linear", "int8"]
    for event, row in zip(sink.events, results.schemes, strict=True):
        assert (event.kind, event.severity) == ("compress.judged", "info")
        assert event.attributes == {
            "scheme": row.name,
            "size_before_bytes": results.base.size_bytes,
            "size_after_bytes": row.size_bytes,
            "perplexity_rise_frac": row.perplexity / results.base.perplexity - 1,
            "max_perplexity_rise_frac": ANY,
            "is_accepted": True,
        }
    linear, everything = (row.size_bytes for row in results.schemes)
    assert everything < linear < results.base.size_bytes
    assert {"ppl_int8_linear", "decode_int8_ratio_b8"} <= {item.id for item in result.measurements}
    assert result.path is not None and result.path.name == "int8-linear"
    assert not isinstance(load_model(result.path, torch.bfloat16).lm_head, Int8Linear)


def test_a_rise_above_the_gate_fails_the_step(context: StepContext, trained: Path, tmp_path: Path, sink: RecordingSink) -> None:
    _spoil_for_int8(trained, _text(tmp_path))
    settings = Settings(model=str(trained), data=str(_text(tmp_path)), tokens=64, context=64)
    with pytest.raises(CheckFailedError, match="int8 loses more quality than allowed"):
        run(settings, context)
    (event,) = sink.events
    assert (event.kind, event.severity, event.attributes["is_accepted"]) == ("compress.judged", "warning", False)


def _spoil_for_int8(folder: Path, text: Path) -> None:
    """Weights that no input reaches are made huge: the model says the same, its int8 steps become too coarse for the rest."""
    model = load_model(folder)
    for layer in layers_of(model):
        layer.post_attention_layernorm.weight.data[0] = 0
    _learn_by_heart(model, torch.tensor([load_tokenizer(folder).encode(text.read_text()).ids[:65]]))
    for layer in layers_of(model):
        layer.post_attention_layernorm.weight.data[0] = 0
        layer.mlp.up_proj.weight.data[:, 0] = 1000
        layer.mlp.gate_proj.weight.data[:, 0] = 1000
    save_model(model, folder)


def _learn_by_heart(model: Llama, tokens: torch.Tensor) -> None:
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(8):
        logits = model.logits(model(tokens[:, :-1]))
        torch.nn.functional.cross_entropy(logits[0], tokens[0, 1:]).backward()
        optimiser.step()
        optimiser.zero_grad()


def test_weights_that_are_not_numbers_fail_with_their_name(context: StepContext, trained: Path) -> None:
    model = load_model(trained)
    with torch.no_grad():
        layers_of(model)[0].self_attn.k_proj.weight[0, 0] = float("inf")
    save_model(model, trained)
    with pytest.raises(CheckFailedError, match="k_proj"):
        run(replace(QUICK, model=str(trained)), context)


def test_bad_words_are_named(context: StepContext, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'schemes.0' must be one of.*int9.*did you mean 'int8'"):
        replace(QUICK, schemes=("int9",))  # type: ignore[arg-type]
    for schemes in ((), (Scheme.INT8, Scheme.INT8)):
        with pytest.raises(UsageError, match="must name distinct schemes"):
            replace(QUICK, schemes=schemes)
    with pytest.raises(NotFoundError, match="not a model folder"):
        run(replace(QUICK, model=str(tmp_path / "absent")), context)
    (trained / "tokenizer.json").unlink()
    with pytest.raises(NotFoundError, match="no tokenizer"):
        run(replace(QUICK, model=str(trained), data=str(_text(tmp_path))), context)


def test_every_scheme_that_can_be_written_is_known() -> None:
    assert set(Scheme) == set(SCHEMES)


def _text(folder: Path) -> Path:
    (folder / "held-out.txt").write_text("\n\n\n".join(tiny_documents(4, seed=9)))
    return folder / "held-out.txt"


def test_a_text_of_the_users_is_held_out_as_a_whole(context: StepContext, tiny_model: Path, tmp_path: Path) -> None:
    result = run(replace(QUICK, model=str(tiny_model), data=str(_text(tmp_path)), max_perplexity_rise=ANY), context)
    assert "held-out.txt" in str(result.outputs["text"]) and result.outputs["tokens"] == 300


def test_a_plan_names_the_gate(context: StepContext) -> None:
    assert "above 0.5% fails" in plan(Settings(model="$train"), context)[1]


def test_the_verb_prints_the_keys_that_others_script_against(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["compress", str(trained), "--scheme", "int8", "--out", str(tmp_path / "out")]
    assert main([*arguments, "--tokens", "200", "--context", "64", "--max-perplexity-rise", "100%", "-o", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["schemes"]
    assert {"name", "size_bytes", "perplexity", "kl_to_base", "tokens_per_s_b1", "tokens_per_s_b8"} <= set(row)
    load_model(tmp_path / "out")


def test_the_verb_fails_in_the_words_of_the_tree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compress", str(tmp_path), "--out", str(tmp_path / "out")]) == 3
    assert "not a model folder" in capsys.readouterr().err
    assert main(["compress", str(tmp_path), "--out", str(tmp_path / "out"), "--tokens", "8 GB"]) == 2


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("out", ["trained", "trained/int8", "trained/../trained", "link", "..", "../precious/..", "."])
def test_the_model_is_never_its_own_result(
    trained: Path, tmp_path: Path, out: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "link").symlink_to(trained)
    before = snapshot(tmp_path)
    monkeypatch.chdir(trained if out.startswith(".") else tmp_path)
    assert main(["compress", str(trained), "--out", out, "--tokens", "200", "--context", "64"]) == 2
    assert "would replace or change the model" in capsys.readouterr().err
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("out", [".", "notes.txt", "sub/..", "../precious"])
def test_what_compress_did_not_make_is_not_replaced(
    trained: Path, tmp_path: Path, out: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "precious" / "sub").mkdir(parents=True)
    (tmp_path / "precious" / "notes.txt").write_text("years of work")
    before = snapshot(tmp_path)
    monkeypatch.chdir(tmp_path / "precious")
    assert main(["compress", str(trained), "--out", out, "--tokens", "200", "--context", "64"]) == 2
    assert "next:" in capsys.readouterr().err
    assert snapshot(tmp_path) == before


def test_an_earlier_result_is_replaced_unless_something_was_added(context: StepContext, trained: Path, tmp_path: Path) -> None:
    settings, folders = replace(QUICK, model=str(trained), max_perplexity_rise=ANY), {"int8": tmp_path / "out"}
    compress(settings, folders, context)
    first = (tmp_path / "out").stat().st_ino
    compress(settings, folders, context)
    assert (tmp_path / "out").stat().st_ino != first
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="not an earlier result"):
        compress(settings, folders, context)
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_a_result_that_fails_the_gate_leaves_the_earlier_one(context: StepContext, trained: Path, tmp_path: Path) -> None:
    text, folders = _text(tmp_path), {"int8": tmp_path / "out"}
    settings = Settings(model=str(trained), data=str(text), tokens=64, context=64, max_perplexity_rise=ANY)
    compress(settings, folders, context)
    before = snapshot(tmp_path / "out")
    _spoil_for_int8(trained, text)
    with pytest.raises(CheckFailedError, match="loses more quality than allowed"):
        compress(replace(settings, max_perplexity_rise=0.005), folders, context)
    assert snapshot(tmp_path / "out") == before
    assert not list(tmp_path.glob(".out.*"))


def test_a_core_that_screening_left_out_is_not_asked_for(context: StepContext, trained: Path) -> None:
    (node,) = context.engine.resources()
    if node.num_cores < 2:
        pytest.skip("this machine has one core")
    assert isinstance(context.engine, CanExclude)
    context.engine.exclude(node.id, node.devices[0].cores[:1], "too slow")
    needs = Needs(workers=Workers(want=node.num_cores))
    result = run(replace(QUICK, model=str(trained), max_perplexity_rise=ANY), replace(context, needs=needs))
    assert result.path is not None


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_fails_and_leaves_no_half_model(context: StepContext, trained: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", small], capture_output=True).returncode:
        pytest.skip("this machine does not let us mount")
    try:
        folders = {"int8": small / "int8"}
        with pytest.raises(ResourcesError, match="No space left"):
            compress(replace(QUICK, model=str(trained), max_perplexity_rise=ANY), folders, context)
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)
