"""Which files count, and that a folder which cannot be loaded is one clear error for everybody who looks at it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from bedplate.app.toolchain.train.checks import read_trainable
from bedplate.core.errors import BedplateError, IntegrityError, NotFoundError, UsageError
from bedplate.toolchain.compress.schemes import write_compressed
from bedplate.toolchain.models.config import LlamaConfig
from bedplate.toolchain.models.folder import load_model
from bedplate.toolchain.models.stored import inspect_model
from bedplate.toolchain.models.weights import INDEX, weight_files
from tests.training_run import make_micro_model

SINGLE = "model.safetensors"
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935\nsize 12345\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_micro_model(tmp_path / "model")


def weights_of(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / SINGLE)


def spread(folder: Path, *, index: bool = True) -> dict[str, Tensor]:
    """Make two shards of the one file, as transformers does; return what they hold."""
    weights = weights_of(folder)
    (folder / SINGLE).unlink()
    names = sorted(weights)
    parts = dict(zip(SHARDS, (names[::2], names[1::2]), strict=True))
    for file, part in parts.items():
        save_file({name: weights[name] for name in part}, folder / file)
    if index:
        write_index(folder, {name: file for file, part in parts.items() for name in part})
    return weights


def write_index(folder: Path, weight_map: Mapping[str, str]) -> None:
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))


def change_config(folder: Path, **changed: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changed))


def holds(folder: Path, weights: Mapping[str, Tensor]) -> bool:
    loaded = load_model(folder).state_dict()
    return all(torch.equal(loaded[name], tensor) for name, tensor in weights.items())


@pytest.mark.parametrize("index", [True, False])
def test_shards_load_to_the_same_model(folder: Path, index: bool) -> None:
    assert holds(folder, spread(folder, index=index))


def test_the_index_decides_and_not_what_else_lies_there(folder: Path) -> None:
    weights = spread(folder)
    spoiled = {name: tensor + 1 for name, tensor in weights.items()}
    save_file(spoiled, folder / "model-00003-of-00003.safetensors")
    save_file(spoiled, folder / "adapter_model.safetensors")
    assert holds(folder, weights)
    assert [file.name for file in weight_files(folder)] == list(SHARDS)


def test_the_single_file_decides_where_there_is_no_index(folder: Path) -> None:
    weights = weights_of(folder)
    for other in ("adapter_model.safetensors", "zzz.safetensors", SHARDS[0]):
        save_file({"model.norm.weight": torch.zeros(48)}, folder / other)
    assert holds(folder, weights)


def test_a_tensor_that_the_index_does_not_name_is_not_read(folder: Path) -> None:
    weights = spread(folder)
    first = load_file(folder / SHARDS[0])
    other = next(name for name in weights if name not in first)
    save_file(first | {other: torch.zeros_like(weights[other])}, folder / SHARDS[0])
    assert holds(folder, weights)


def test_a_missing_shard_is_named(folder: Path) -> None:
    spread(folder)
    (folder / SHARDS[1]).unlink()
    with pytest.raises(IntegrityError, match=SHARDS[1]):
        load_model(folder)


def test_a_missing_shard_is_named_without_an_index_too(folder: Path) -> None:
    spread(folder, index=False)
    (folder / SHARDS[0]).unlink()
    with pytest.raises(IntegrityError, match=SHARDS[0]):
        load_model(folder)


def test_a_shard_that_lacks_a_tensor_of_the_index_is_named(folder: Path) -> None:
    spread(folder)
    kept = load_file(folder / SHARDS[0])
    lost = kept.popitem()[0]
    save_file(kept, folder / SHARDS[0])
    with pytest.raises(IntegrityError, match=lost.replace(".", r"\.")):
        load_model(folder)


def test_two_sets_of_weights_are_refused(folder: Path) -> None:
    weights = spread(folder)
    save_file(weights, folder / SINGLE)
    with pytest.raises(UsageError, match="two sets of weights"):
        load_model(folder)


def test_shards_of_two_saves_without_an_index_are_refused(folder: Path) -> None:
    weights = spread(folder, index=False)
    save_file(weights, folder / "model-00001-of-00001.safetensors")
    with pytest.raises(UsageError, match="of 1 and of 2"):
        load_model(folder)


@pytest.mark.parametrize("weight_map", [{}, [], "x", {"model.norm.weight": "../elsewhere.safetensors"}, {"a": 1}])
def test_an_index_that_is_none_is_named(folder: Path, weight_map: object) -> None:
    (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(IntegrityError, match=INDEX):
        load_model(folder)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("adapter_model.safetensors", "merge it into its base"),
        ("pytorch_model.bin", "save the model as safetensors"),
        ("weights.safetensors", "rename weights.safetensors"),
    ],
)
def test_a_folder_without_weights_says_what_it_has_instead(folder: Path, name: str, hint: str) -> None:
    (folder / SINGLE).rename(folder / name)
    with pytest.raises(NotFoundError, match=hint):
        load_model(folder)


def test_rotary_tables_of_older_programs_are_left_out(folder: Path) -> None:
    weights = weights_of(folder)
    save_file(weights | {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(6)}, folder / SINGLE)
    assert holds(folder, weights)


def test_a_stored_head_that_is_the_table_is_fine(folder: Path) -> None:
    weights = weights_of(folder)
    save_file(weights | {"lm_head.weight": weights["model.embed_tokens.weight"].clone()}, folder / SINGLE)
    model = load_model(folder)
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_a_head_of_its_own_is_refused_where_the_config_ties_it(folder: Path) -> None:
    weights = weights_of(folder)
    save_file(weights | {"lm_head.weight": weights["model.embed_tokens.weight"] + 1}, folder / SINGLE)
    with pytest.raises(UsageError, match=r"lm_head\.weight.*tie_word_embeddings"):
        load_model(folder)
    change_config(folder, tie_word_embeddings=False)
    assert torch.equal(load_model(folder).lm_head.weight, weights["model.embed_tokens.weight"] + 1)


def cut(file: Path, num_bytes: int) -> None:
    file.write_bytes(file.read_bytes()[:num_bytes])


DAMAGE: Mapping[str, Callable[[Path], object]] = {
    "lfs pointer": lambda file: file.write_text(POINTER),
    "empty": lambda file: cut(file, 0),
    "cut in the length": lambda file: cut(file, 5),
    "cut in the header": lambda file: cut(file, 200),
    "cut in the data": lambda file: cut(file, file.stat().st_size - 1),
    "longer than it says": lambda file: file.write_bytes(file.read_bytes() + b"x"),
    "a length beyond everything": lambda file: file.write_bytes(b"\xff" * 64),
    "no JSON": lambda file: file.write_bytes((16).to_bytes(8, "little") + b"x" * 16),
    "a header of another kind": lambda file: file.write_bytes((12).to_bytes(8, "little") + b'{"a": [1,2]}'),
    "a page of HTML": lambda file: file.write_text("<!DOCTYPE html><html><body>401</body></html>" * 9),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("look", [load_model, inspect_model, read_trainable])
def test_a_damaged_file_is_one_clear_error_everywhere(folder: Path, damage: str, look: Callable[[Path], object]) -> None:
    DAMAGE[damage](folder / SINGLE)
    with pytest.raises(IntegrityError, match=SINGLE):
        look(folder)


def test_compression_gives_the_same_error(folder: Path, tmp_path: Path) -> None:
    (folder / SINGLE).write_text(POINTER)
    with pytest.raises(IntegrityError, match="Git LFS pointer"):
        write_compressed(folder, "int8", tmp_path / "out")


@pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn])
def test_weights_of_a_type_that_needs_scales_are_refused(folder: Path, dtype: torch.dtype) -> None:
    weights = weights_of(folder)
    name = "model.layers.0.mlp.up_proj.weight"
    save_file(weights | {name: weights[name].to(dtype)}, folder / SINGLE)
    with pytest.raises(UsageError, match=name):
        load_model(folder)


@pytest.mark.parametrize("tied", [True, False])
def test_the_shapes_without_torch_are_those_of_the_decoder(tied: bool) -> None:
    from bedplate.toolchain.models.folder import shape_only

    config = LlamaConfig(
        vocab_size=97,
        hidden_size=48,
        intermediate_size=80,
        num_layers=3,
        num_heads=6,
        num_kv_heads=2,
        head_size=10,
        max_positions=64,
        tie_embeddings=tied,
    )
    assert config.tensor_shapes() == {name: tuple(tensor.shape) for name, tensor in shape_only(config).state_dict().items()}
    assert config.num_parameters == sum(parameter.numel() for parameter in shape_only(config).parameters())


def test_a_damaged_number_of_layers_is_refused_before_their_names_fill_the_memory(folder: Path) -> None:
    change_config(folder, num_hidden_layers=2**40)
    with pytest.raises(UsageError, match=f"tensors cannot be {2**40} layers"):
        inspect_model(folder)


def test_every_error_says_what_to_do(folder: Path) -> None:
    for damage in DAMAGE.values():
        damage(folder / SINGLE)
        with pytest.raises(BedplateError) as caught:
            inspect_model(folder)
        assert caught.value.next_step
        make_micro_model(folder)
