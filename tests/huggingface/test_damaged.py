"""Folders of Hugging Face in which something is wrong: it is named, at once, whatever the number."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from huggingface.variants import CLASSES, bert, gpt2, marian, retensored, roberta
from parity import needs_transformers
from whyformer.errors import TokenizerError, WhyformerError
from whyformer.huggingface.importing import ImportedRun, imported_run
from whyformer.huggingface.tokenizers.files import word_pieces

pytestmark = needs_transformers

BUILDS: dict[str, Callable[[Path], Any]] = {
    "gpt2": gpt2(),
    "files": gpt2(files=True),
    "bert": bert(),
    "roberta": roberta(),
    "distilbert": bert(head="DistilBertForMaskedLM"),
    "classes": bert(head="BertForSequenceClassification", config=CLASSES),
    "marian": marian(),
    "texts": gpt2(head="GPT2ForSequenceClassification", config={**CLASSES, "pad_token_id": 0}),
}
SIZES = {
    "gpt2": ["n_layer", "n_embd", "n_positions", "n_head", "n_inner", "vocab_size"],
    "bert": [
        *("num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size"),
        *("max_position_embeddings", "type_vocab_size", "vocab_size"),
    ],
    "roberta": ["num_hidden_layers", "hidden_size", "max_position_embeddings", "pad_token_id"],
    "distilbert": ["n_layers", "dim", "n_heads", "hidden_dim", "max_position_embeddings", "vocab_size"],
    "classes": ["num_hidden_layers", "hidden_size"],
    "marian": [
        *("encoder_layers", "decoder_layers", "d_model", "encoder_ffn_dim", "decoder_ffn_dim"),
        *("encoder_attention_heads", "decoder_attention_heads", "vocab_size", "decoder_vocab_size"),
    ],
}
SHARES = {
    "gpt2": ["resid_pdrop", "embd_pdrop", "attn_pdrop"],
    "bert": ["hidden_dropout_prob", "attention_probs_dropout_prob"],
    "distilbert": ["dropout", "attention_dropout"],
    "classes": ["classifier_dropout"],
    "marian": ["dropout", "attention_dropout", "activation_dropout"],
}
EPSILONS = {"gpt2": "layer_norm_epsilon", "bert": "layer_norm_eps", "roberta": "layer_norm_eps"}


@pytest.fixture(scope="module")
def wholes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A sound folder of a format, which is not to be changed."""
    top = tmp_path_factory.mktemp("whole")

    def whole(name: str) -> Path:
        if not (top / name).exists():
            (top / name).mkdir()
            BUILDS[name](top / name)
        return top / name

    return whole


@pytest.fixture
def copied(wholes: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """A folder of a format, to be damaged."""

    def copy(name: str) -> Path:
        return shutil.copytree(wholes(name), tmp_path / name)

    return copy


def silent(folder: Path) -> ImportedRun:
    return imported_run(folder, lambda _sentence: None)


def notes(folder: Path) -> list[str]:
    """All that is said of a sound ``folder``."""
    said = list[str]()
    imported_run(folder, said.append)
    return said


def told(folder: Path, **changes: object) -> str:
    """The sentence that refuses ``folder`` with other values in its config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")
    with pytest.raises(WhyformerError) as caught:
        silent(folder)
    return str(caught.value)


@pytest.mark.parametrize("value", [10**9, 10**18, 0, -1, "32", 32.5, True, float("nan")], ids=str)
@pytest.mark.parametrize(("name", "field"), [(name, field) for name in SIZES for field in SIZES[name]])
def test_a_size_that_no_tensor_has_is_refused_by_its_field(
    name: str, field: str, value: object, copied: Callable[[str], Path]
):
    if field == "pad_token_id" and value == 0:
        return  # one that may be, by which the positions are two fewer
    sentence = told(copied(name), **{field: value})
    # What a number is cut into may not fit before its tensor does not.
    assert field in sentence
    assert f"{value}" in sentence


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.5, 1.0, 2.0, "0.1"], ids=str)
@pytest.mark.parametrize(("name", "field"), [(name, field) for name in SHARES for field in SHARES[name]])
def test_a_dropout_that_is_none_is_refused_by_its_field(
    name: str, field: str, value: object, copied: Callable[[str], Path]
):
    sentence = told(copied(name), **{field: value})
    assert "config.json" in sentence
    assert f"{field}" in sentence
    assert f"{value}" in sentence


@pytest.mark.parametrize("value", [0.0, -1e-5, float("nan"), float("inf"), "1e-5"], ids=str)
@pytest.mark.parametrize("name", EPSILONS)
def test_an_epsilon_that_is_none_is_refused_by_its_field(
    name: str, value: object, copied: Callable[[str], Path]
):
    sentence = told(copied(name), **{EPSILONS[name]: value})
    assert f"config.json: this model cannot be imported: {EPSILONS[name]}: Input should be" in sentence
    assert sentence.endswith(f", not {value}.")


@pytest.mark.parametrize("name", ["gpt2", "bert", "classes", "marian"])
def test_weights_of_few_bits_are_refused_by_their_name(name: str, copied: Callable[[str], Path]):
    folder = copied(name)
    for method in ("gptq", "awq", "bitsandbytes"):
        sentence = told(folder, quantization_config={"quant_method": method, "bits": 4})
        assert f"config.json has a quantization_config ({method})" in sentence


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")], ids=str)
@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("gpt2", "transformer.h.1.mlp.c_fc.weight"),
        ("gpt2", "transformer.wte.weight"),
        ("bert", "bert.encoder.layer.0.output.LayerNorm.bias"),
        ("roberta", "lm_head.dense.bias"),
        ("distilbert", "distilbert.embeddings.position_embeddings.weight"),
        ("classes", "classifier.weight"),
        ("marian", "model.decoder.layers.1.fc2.weight"),
    ],
)
def test_weights_that_are_no_numbers_are_refused_by_their_tensor(
    name: str, tensor: str, value: float, copied: Callable[[str], Path]
):
    def damage(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        tensors[tensor].view(-1)[3] = value
        return tensors

    folder = copied(name)
    retensored(folder, damage)
    sentence = told(folder)
    # The head of a classifier goes by our names.
    assert f"1 of the {load_file(folder / 'model.safetensors')[tensor].numel()} numbers of " in sentence
    assert ("output.weight" if name == "classes" else tensor.split(".", 1)[1]) in sentence


def test_a_token_that_is_never_written_may_have_a_score_of_minus_infinity(copied: Callable[[str], Path]):
    def never(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        tensors["final_logits_bias"][0, 5] = float("-inf")
        return tensors

    folder = copied("marian")
    retensored(folder, never)
    assert int(silent(folder).tensors["output_bias"].isneginf().sum()) == 1
    retensored(folder, lambda tensors: {name: -each for name, each in tensors.items()})
    assert "final_logits_bias" in told(folder)


@pytest.mark.parametrize("changes", [{"model_type": None}, {"model_type": "t5"}], ids=str)
def test_a_type_that_is_missing_or_unknown_is_said(changes: dict[str, object], copied: Callable[[str], Path]):
    sentence = told(copied("gpt2"), **changes)
    missing = changes["model_type"] is None
    assert ("config.json says no model_type" if missing else "a model of type t5") in sentence
    assert "None" not in sentence


@pytest.mark.parametrize("kind", ["architectures", "id2label"])
@pytest.mark.parametrize("value", [5, "BertModel", ["a"], {"a": "b"}], ids=str)
def test_names_of_another_kind_are_refused_or_read_as_none(
    kind: str, value: object, copied: Callable[[str], Path]
):
    folder = copied("classes")
    path = folder / "config.json"
    data = {**json.loads(path.read_text(encoding="utf-8")), kind: value}
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(WhyformerError, match=f"{kind}|classifier"):
        silent(folder)


def test_a_part_of_the_weights_that_is_missing_is_named(copied: Callable[[str], Path]):
    folder = copied("gpt2")
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = {
        tensor: f"model-0000{1 + place % 3}-of-00003.safetensors" for place, tensor in enumerate(tensors)
    }
    for file in set(names.values()):
        save_file({tensor: tensors[tensor] for tensor in names if names[tensor] == file}, folder / file)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": names}), encoding="utf-8")
    silent(folder)
    (folder / "model-00002-of-00003.safetensors").unlink()
    sentence = told(folder)
    assert "model-00002-of-00003.safetensors: this file is missing" in sentence
    for broken in (None, [], {"a": 5}, {"a": None, "b": "c"}):
        index.write_text(json.dumps({"weight_map": broken}), encoding="utf-8")
        assert "weight" in told(folder)


@pytest.mark.parametrize("name", ["gpt2", "files", "bert", "marian"])
def test_a_mark_of_byte_order_in_json_is_no_part_of_it(
    name: str, copied: Callable[[str], Path], wholes: Callable[[str], Path]
):
    folder = copied(name)
    for path in folder.glob("*.json"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    expected, found = silent(wholes(name)), silent(folder)
    assert found.recipe == expected.recipe
    assert found.assets.fingerprints == expected.assets.fingerprints
    assert all(torch.equal(tensor, expected.tensors[name]) for name, tensor in found.tensors.items())


@pytest.mark.parametrize(("missing", "left"), [("merges.txt", "vocab.json"), ("vocab.json", "merges.txt")])
def test_half_of_a_tokenizer_is_said_to_be_so(missing: str, left: str, copied: Callable[[str], Path]):
    folder = copied("files")
    (folder / missing).unlink()
    assert f"has {left} but no {missing}" in told(folder)


def test_a_classifier_that_joins_pairs_otherwise_is_not_told_to_read_them(wholes: Callable[[str], Path]):
    assert any("set data.texts: 2" in note for note in notes(wholes("classes")))
    said = notes(wholes("texts"))
    assert not any("set data.texts: 2" in note for note in said)
    assert any("if it was trained on pairs, join each as it was then" in note for note in said)


@pytest.mark.parametrize(
    ("text", "piece", "lines"),
    [
        ("a\nb\na\n", "a", "1 and 3"),
        ("a\r\nb\r\nb\r\n", "b", "2 and 3"),
        ("a\nb\r\nb", "b", "2 and 3"),
        ("[PAD]\n\u2028\nb\n\u2028\n", "\u2028", "2 and 4"),
        ("a\n\nb\n\n", "", "2 and 4"),
    ],
)
def test_a_piece_that_stands_twice_is_named_with_its_lines(text: str, piece: str, lines: str, tmp_path: Path):
    path = tmp_path / "vocab.txt"
    path.write_bytes(text.encode())
    with pytest.raises(TokenizerError) as told:
        word_pieces(path)
    assert f"{path}: the piece {piece!r} stands on lines {lines}, but" in str(told.value)
