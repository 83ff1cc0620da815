"""Text to token shards: nothing lost, held-out text held out, checked on open, goes on after a kill."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from bedplate.core.errors import IntegrityError, NotFoundError, ResourcesError, UsageError
from bedplate.toolchain.data.corpus import read_corpus_manifest, read_documents_of, write_corpus
from bedplate.toolchain.data.shards import TokenShards
from bedplate.toolchain.data.tokenise import tokenise
from bedplate.toolchain.data.tokenizer import DocumentEncoder
from bedplate.toolchain.models.tokenizer import load_tokenizer
from tests.tiny_model import tiny_documents


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    write_corpus(tiny_documents(60), tmp_path / "corpus", 0.2, {"source": "generated"})
    return tmp_path / "corpus"


def decoded(folder: Path, model: Path, split: str) -> list[str]:
    shards, tokenizer = TokenShards(folder, split), load_tokenizer(model)
    documents: list[str] = []
    current: list[int] = []
    for token in shards.tokens().tolist():
        if token == shards.separator:
            documents.append(tokenizer.decode(current))
            current = []
        else:
            current.append(token)
    assert current == []
    return documents


@pytest.mark.parametrize("split", ["train", "validation"])
def test_the_tokens_decode_to_the_documents_of_their_split(corpus: Path, tiny_model: Path, split: str) -> None:
    folder = tokenise(corpus, tiny_model, shard_tokens=2000)
    assert decoded(folder, tiny_model, split) == list(read_documents_of(corpus, split))
    assert TokenShards(folder, split).num_documents == len(list(read_documents_of(corpus, split)))


def test_a_document_is_on_one_side_whatever_comes_with_it(tmp_path: Path) -> None:
    few, many = list(tiny_documents(40)), list(tiny_documents(40)) + list(tiny_documents(60, seed=5))
    write_corpus(few, tmp_path / "few", 0.2, {})
    write_corpus([*reversed(many), *few], tmp_path / "many", 0.2, {})
    held_out = set(read_documents_of(tmp_path / "many", "validation"))
    assert set(read_documents_of(tmp_path / "few", "validation")) == held_out & set(few)
    assert not held_out & set(read_documents_of(tmp_path / "many", "train"))


def test_even_two_documents_leave_one_held_out(tmp_path: Path) -> None:
    write_corpus(["one text", "another text"], tmp_path / "c", 0.01, {})
    assert len(list(read_documents_of(tmp_path / "c", "validation"))) == 1


@pytest.mark.parametrize("share", [1e-9, 0.999999999])
def test_each_side_has_a_document_and_none_is_lost(tmp_path: Path, share: float) -> None:
    texts = {f"text {number}" for number in range(20)}
    write_corpus(texts, tmp_path / "c", share, {})
    train, validation = (set(read_documents_of(tmp_path / "c", split)) for split in ("train", "validation"))
    assert train | validation == texts and not train & validation
    assert min(len(train), len(validation)) == 1


def test_a_corpus_is_written_as_it_comes(tmp_path: Path) -> None:
    documents = (f"{number} " + 100_000 * "x" for number in range(600))
    tracemalloc.start()
    try:
        write_corpus(documents, tmp_path / "c", 0.1, {})
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 20_000_000  # of 60 million
    assert sum(entry["documents"] for entry in read_corpus_manifest(tmp_path / "c")["splits"].values()) == 600


@pytest.mark.parametrize("documents", [[], ["only one"], ["  ", "same", "same "]])
def test_too_few_documents_are_refused(tmp_path: Path, documents: list[str]) -> None:
    with pytest.raises(UsageError, match="documents"):
        write_corpus(documents, tmp_path / "c", 0.05, {})


def test_a_flipped_byte_is_found_when_the_shard_is_opened(corpus: Path, tiny_model: Path) -> None:
    folder = tokenise(corpus, tiny_model)
    file = folder / "train-00000.bin"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"train-00000\.bin is damaged"):
        TokenShards(folder)
    file.write_bytes(data[:-2])
    with pytest.raises(IntegrityError, match="the wrong size"):
        TokenShards(folder, verify=False)
    file.unlink()
    with pytest.raises(NotFoundError, match="missing"):
        TokenShards(folder)


def test_a_damaged_corpus_is_refused(corpus: Path, tiny_model: Path) -> None:
    with (corpus / "train.jsonl").open("a") as stream:
        stream.write('{"text": "smuggled in"}\n')
    with pytest.raises(IntegrityError, match=r"train\.jsonl"):
        tokenise(corpus, tiny_model)


@pytest.mark.parametrize("text", ["", '{"format": "bedpl', "\0\0"])
def test_a_damaged_manifest_is_named(corpus: Path, tiny_model: Path, text: str) -> None:
    (tokenise(corpus, tiny_model) / "manifest.json").write_text(text)
    with pytest.raises(IntegrityError, match=r"damaged manifest.*tokens-.*manifest\.json"):
        tokenise(corpus, tiny_model)
    (corpus / "manifest.json").write_text(text)
    with pytest.raises(IntegrityError, match=r"damaged manifest.*corpus/manifest\.json"):
        tokenise(corpus, tiny_model)


_IN_ASCII = r"""
import sys
from pathlib import Path
from bedplate.toolchain.data.corpus import read_corpus_manifest, write_corpus
from bedplate.toolchain.data.tokenise import tokenise
from bedplate.toolchain.data.tokenizer import DocumentEncoder
write_corpus(["Gr\xfc\xdfe", "\u6cb3"], Path(sys.argv[1]), 0.5, {"source": "F\xfc\xdfe"})
print(ascii(read_corpus_manifest(Path(sys.argv[1]))["source"]))
tokenise(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_the_language_of_the_terminal_does_not_matter(tiny_model: Path, tmp_path: Path) -> None:
    """Under LC_ALL=C without Python's UTF-8 mode, a file that is opened without an encoding is ASCII."""
    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONPATH": "src"}
    command = [sys.executable, "-c", _IN_ASCII, str(tmp_path / "corpus"), str(tiny_model)]
    said = subprocess.run(command, env=os.environ | ascii_only, capture_output=True, text=True, check=True).stdout
    assert said.strip() == r"'F\xfc\xdfe'"


def test_tokenising_again_does_nothing(corpus: Path, tiny_model: Path) -> None:
    folder = tokenise(corpus, tiny_model)
    before = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert tokenise(corpus, tiny_model) == folder
    assert {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} == before


def test_another_tokenizer_gets_shards_of_its_own(corpus: Path, tiny_model: Path, tmp_path: Path) -> None:
    other = shutil.copytree(tiny_model, tmp_path / "other")
    text = json.loads((other / "tokenizer.json").read_text())
    text["model"]["merges"] = text["model"]["merges"][:500]
    (other / "tokenizer.json").write_text(json.dumps(text))
    assert tokenise(corpus, other) != tokenise(corpus, tiny_model)


def test_another_layout_of_the_same_tokenizer_file_makes_no_new_shards(corpus: Path, tiny_model: Path, tmp_path: Path) -> None:
    other = shutil.copytree(tiny_model, tmp_path / "other")
    text = json.loads((other / "tokenizer.json").read_text())
    text["model"]["merges"] = [" ".join(merge) for merge in text["model"]["merges"]]
    (other / "tokenizer.json").write_text(json.dumps(text, indent=7) + "\n")
    assert tokenise(corpus, other) == tokenise(corpus, tiny_model)


def model_without_end_of_text(tiny_model: Path, folder: Path) -> Path:
    """The tiny model, its `<|endoftext|>` renamed: the config's end-of-sequence token ends a document then."""
    shutil.copytree(tiny_model, folder)
    file = folder / "tokenizer.json"
    file.write_text(file.read_text().replace("<|endoftext|>", "<|other|>"))
    return folder


def set_end_of_sequence(model: Path, token: object) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"eos_token_id": token}))


def test_a_changed_end_of_sequence_token_makes_new_shards(corpus: Path, tiny_model: Path, tmp_path: Path) -> None:
    model = model_without_end_of_text(tiny_model, tmp_path / "model")
    separators = {}
    for token in (2, 1, [2, 1]):
        set_end_of_sequence(model, token)
        separators[str(token)] = TokenShards(tokenise(corpus, model))
    assert {name: shards.separator for name, shards in separators.items()} == {"2": 2, "1": 1, "[2, 1]": 2}
    assert separators["2"].folder == separators["[2, 1]"].folder != separators["1"].folder
    assert int((separators["1"].tokens() == 1).sum()) == separators["1"].num_documents


@pytest.mark.parametrize("file", ["generation_config.json", "tokenizer_config.json"])
def test_the_end_of_sequence_token_is_found_where_models_name_it(
    corpus: Path, tiny_model: Path, tmp_path: Path, file: str
) -> None:
    model = model_without_end_of_text(tiny_model, tmp_path / "model")
    set_end_of_sequence(model, None)
    (model / "tokenizer_config.json").unlink()
    with pytest.raises(UsageError, match="no end-of-document token"):
        tokenise(corpus, model)
    content = {
        "generation_config.json": {"eos_token_id": [2]},
        "tokenizer_config.json": {"eos_token": {"content": "<|im_end|>"}},
    }
    (model / file).write_text(json.dumps(content[file]))
    assert TokenShards(tokenise(corpus, model)).separator == 2


def test_token_ids_above_65535_are_kept_however_few_there_are(corpus: Path, tiny_model: Path, tmp_path: Path) -> None:
    model = shutil.copytree(tiny_model, tmp_path / "sparse")
    text = json.loads((model / "tokenizer.json").read_text())
    moved = max(text["model"]["vocab"], key=lambda token: text["model"]["vocab"][token])
    for token, number in text["model"]["vocab"].items():
        text["model"]["vocab"][token] = number + 70_000 if number >= 300 else number
    (model / "tokenizer.json").write_text(json.dumps(text))
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"vocab_size": 80_000}))
    folder = tokenise(corpus, model)
    assert load_tokenizer(model).token_to_id(moved) > 70_000
    assert TokenShards(folder).tokens().max() > 70_000
    assert decoded(folder, model, "train") == list(read_documents_of(corpus, "train"))


@pytest.mark.parametrize("template", ["<|im_start|> $A", "<|im_start|> $A <|endoftext|>"])
def test_documents_begin_as_the_tokenizers_template_says_and_end_once(
    corpus: Path, tiny_model: Path, tmp_path: Path, template: str
) -> None:
    from tokenizers import processors

    model = shutil.copytree(tiny_model, tmp_path / "with-bos")
    tokenizer = load_tokenizer(model)
    special = [(token, tokenizer.token_to_id(token)) for token in ("<|im_start|>", "<|endoftext|>")]
    tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=special)
    tokenizer.save(str(model / "tokenizer.json"))
    for split in ("train", "validation"):
        shards, plain = TokenShards(tokenise(corpus, model), split), TokenShards(tokenise(corpus, tiny_model), split)
        ends = (plain.tokens() == plain.separator).nonzero()[0]
        with_start = [token for end in np.split(plain.tokens(), ends + 1)[:-1] for token in (special[0][1], *end.tolist())]
        assert shards.tokens().tolist() == with_start


def test_a_text_that_begins_as_the_template_does_begins_once(tiny_model: Path, tmp_path: Path) -> None:
    """As texts do that were rendered by a chat template."""
    from tokenizers import processors

    model = shutil.copytree(tiny_model, tmp_path / "with-bos")
    tokenizer = load_tokenizer(model)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[("<|im_start|>", tokenizer.token_to_id("<|im_start|>"))]
    )
    tokenizer.save(str(model / "tokenizer.json"))
    plain, rendered, doubled = DocumentEncoder.of(model).encode(["hello", "<|im_start|>hello", "<|im_start|><|im_start|>hello"])
    assert plain.tolist() == rendered.tolist()
    assert doubled.tolist() == [1, *plain.tolist()]
    assert DocumentEncoder.of(tiny_model).encode(["<|im_start|>hello"])[0].tolist() == rendered.tolist()


VARIANTS = {
    "line ends": ("one {}\ntwo", "one {}\r\ntwo"),
    "old line ends": ("one {}\ntwo", "one {}\rtwo"),
    "white space": ("one {} two", "one  {} two \n"),
    "composed accents": ("caf\u00e9 {}", "cafe\u0301 {}"),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_copy_in_other_spelling_is_not_held_out_from_itself(tmp_path: Path, variant: str) -> None:
    texts = [text.format(number) for number in range(40) for text in VARIANTS[variant]]
    manifest = write_corpus(texts, tmp_path / "c", 0.5, {})
    assert manifest["dropped"] == {"duplicate": 40}
    assert sum(entry["documents"] for entry in manifest["splits"].values()) == 40


def test_lines_of_a_corpus_end_alike(tmp_path: Path) -> None:
    write_corpus(["one\r\ntwo\rthree\n"], tmp_path / "c", 0.0, {})
    assert list(read_documents_of(tmp_path / "c", "train")) == ["one\ntwo\nthree"]


def test_a_split_that_is_empty_says_what_to_do(tmp_path: Path, tiny_model: Path) -> None:
    write_corpus(tiny_documents(3), tmp_path / "c", 0.0, {})
    with pytest.raises(NotFoundError, match=r"no tokens of split 'validation'; seen: train in .*next: hold out some documents"):
        TokenShards(tokenise(tmp_path / "c", tiny_model), "validation")


def test_max_tokens_cuts_train_and_not_validation(tmp_path: Path, tiny_model: Path) -> None:
    write_corpus(tiny_documents(60), tmp_path / "all", 0.2, {})
    write_corpus(tiny_documents(60), tmp_path / "cut", 0.2, {"max_tokens": 1234})
    whole, cut = tokenise(tmp_path / "all", tiny_model), tokenise(tmp_path / "cut", tiny_model, shard_tokens=500)
    assert TokenShards(cut).tokens().tolist() == TokenShards(whole).tokens(1234).tolist()
    assert len(TokenShards(cut, "validation")) == len(TokenShards(whole, "validation"))


_SLOWLY = """
import sys, time
from pathlib import Path
from bedplate.toolchain.data.tokenise import tokenise
from bedplate.toolchain.data.tokenizer import DocumentEncoder
tokenise(Path(sys.argv[1]), Path(sys.argv[2]), shard_tokens=1500, report=lambda done, total, unit: time.sleep(0.3))
"""


def test_a_killed_run_goes_on_after_its_last_whole_shard(corpus: Path, tiny_model: Path, tmp_path: Path) -> None:
    reference = tokenise(corpus, tiny_model, tmp_path / "reference", shard_tokens=1500)
    child = subprocess.Popen([sys.executable, "-c", _SLOWLY, corpus, tiny_model], env=os.environ | {"PYTHONPATH": "src"})
    deadline = time.monotonic() + 30
    while not (finished := list(corpus.glob(".tokens-*.partial/train-00000.bin"))) and time.monotonic() < deadline:
        time.sleep(0.01)
    while len(finished[0].with_name("journal.jsonl").read_text().splitlines()) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    child.kill()
    child.wait()
    kept = finished[0].stat().st_ino
    reports: list[float] = []
    folder = tokenise(corpus, tiny_model, shard_tokens=1500, report=lambda done, total, unit: reports.append(done))
    assert (folder / "train-00000.bin").stat().st_ino == kept
    assert reports[0] > 16
    for file in sorted(reference.glob("*.bin")):
        assert (folder / file.name).read_bytes() == file.read_bytes()
    assert not list(corpus.glob(".tokens-*.partial"))


def test_ranks_that_call_at_once_get_one_whole_result(corpus: Path, tiny_model: Path) -> None:
    folders: list[Path] = []
    threads = [threading.Thread(target=lambda: folders.append(tokenise(corpus, tiny_model))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(folders) == 4 and len(set(folders)) == 1
    TokenShards(folders[0])


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_leaves_no_partial_output(corpus: Path, tiny_model: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", small], capture_output=True).returncode:
        pytest.skip("this machine does not let us mount")
    try:
        with pytest.raises(ResourcesError, match="No space left"):
            tokenise(corpus, tiny_model, small / "tokens", shard_tokens=4000)
        with pytest.raises(NotFoundError):
            TokenShards(small / "tokens")
        subprocess.run(["mount", "-o", "remount,size=4m", small], check=True)
        assert len(TokenShards(tokenise(corpus, tiny_model, small / "tokens", shard_tokens=4000))) > 0
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_model_without_a_tokenizer_is_named(corpus: Path, tiny_model: Path, tmp_path: Path) -> None:
    bare = shutil.copytree(tiny_model, tmp_path / "bare", ignore=shutil.ignore_patterns("tokenizer.json"))
    with pytest.raises(NotFoundError, match="no tokenizer"):
        tokenise(corpus, bare)
    (bare / "tokenizer.json").write_text('{"half": ')
    with pytest.raises(UsageError, match="cannot be read"):
        tokenise(corpus, bare)


def test_a_folder_that_is_no_corpus_is_named(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(NotFoundError, match="not a corpus"):
        tokenise(tmp_path, tiny_model)
