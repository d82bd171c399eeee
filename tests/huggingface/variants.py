"""Folders of Hugging Face as people have them: small random models of transformers, saved in many ways.

Each is a row of the table in docs/exchange.md, which a slow test reads and compares.
"""

import importlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer as LibraryTokenizer
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from huggingface.examples import END_OF_TEXT, SENTENCES, shaken, word_pieces, written
from parity import transformers
from whyformer.decoding.stopping_rules import Bound, Patience

Build = Callable[[Path], Any]


CLASSES = {"num_labels": 3, "id2label": {0: "bad", 1: "so so", 2: "good"}}


@dataclass(frozen=True)
class Variant:
    """A folder, and what becomes of it."""

    model: str
    """Kind of model, as the table groups them."""
    what: str
    """The row's words: what is unusual about the folder."""
    build: Build
    """Function that writes the folder and gives their model, ready to compute."""
    says: Sequence[str] = ()
    """Parts of sentences that the report has to have."""
    refused: str = ""
    """Sentence of the refusal, or its beginning; FOLDER stands for the folder."""
    back: str = ""
    """Part of the sentence that refuses to export it again."""
    marks: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the recipe's decoding that are taken over."""

    def row(self, sentence: str) -> str:
        """The row of the table in docs/exchange.md; ``sentence`` is that of a refusal."""
        told = "".join(f"; said: {part} …" for part in self.says)
        back = f"; not exported: {self.back} …" if self.back else ", and back"
        result = f"refused: {sentence}" if self.refused else f"parity ≤ 1e-5{back}{told}"
        return f"| {self.model} | {self.what} | {result.replace('|', '/')} |"


def sized(table: str, **changes: Any) -> dict[str, Any]:
    """Sizes of a small model under the names of its config."""
    sizes = {
        "gpt2": {"n_positions": 128, "n_embd": 32, "n_layer": 2, "n_head": 4},
        "bert": {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 40,
            "max_position_embeddings": 130,
        },
        "distilbert": {
            "dim": 32,
            "n_layers": 2,
            "n_heads": 4,
            "hidden_dim": 40,
            "max_position_embeddings": 130,
        },
        "marian": {
            "d_model": 32,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_ffn_dim": 40,
            "decoder_ffn_dim": 48,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "max_position_embeddings": 130,
            "scale_embedding": True,
            "activation_function": "swish",
        },
    }
    return {**sizes[table], **changes}


def changed(folder: Path, name: str, **changes: Any) -> None:
    """Change keys of a JSON file of ``folder``; None takes one out."""
    path = folder / name
    data = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    data = {key: value for key, value in {**data, **changes}.items() if value is not None}
    written(folder, {name: data})


def retensored(folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    """Change the tensors of ``folder``."""
    path = folder / "model.safetensors"
    tensors = change({name: tensor.clone() for name, tensor in load_file(path).items()})
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, {"format": "pt"})


# GPT-2


def pairs_of_bytes(special: Sequence[str] = (END_OF_TEXT,)) -> LibraryTokenizer:
    """A tokenizer of pairs of bytes, whose pieces may begin with a space."""
    made = LibraryTokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=360, special_tokens=list(special), initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(SENTENCES[:50], trainer)
    return made


def gpt2(
    *,
    head: str = "GPT2LMHeadModel",
    vocabulary: int = 360,
    files: bool = False,
    told: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    generation: Mapping[str, Any] | None = None,
    after: Callable[[Path, Any], object] = lambda _folder, _model: None,
    apart: bool = False,
) -> Build:
    """A GPT-2, with the files that GPT-2 has, or with a tokenizer.json."""

    def build(folder: Path) -> Any:
        marks = {"bos_token_id": 0, "eos_token_id": 0}
        made = transformers.GPT2Config(**sized("gpt2", vocab_size=vocabulary, **{**marks, **(config or {})}))
        model = shaken(getattr(transformers, head)(made))
        if apart:
            model.lm_head.weight = torch.nn.Parameter(0.3 * torch.randn_like(model.lm_head.weight))
        model.save_pretrained(folder)
        tokenizer = pairs_of_bytes()
        if files:
            tokenizer.model.save(str(folder))
        else:
            tokenizer.save(str(folder / "tokenizer.json"))
        if told is not None:
            written(folder, {"tokenizer_config.json": told})
        if generation is not None:
            changed(folder, "generation_config.json", **generation)
        after(folder, model)
        return model

    return build


def _wrapped(prefix: str) -> Callable[[Path, Any], None]:
    def after(folder: Path, _model: Any) -> None:
        retensored(folder, lambda tensors: {prefix + name: tensor for name, tensor in tensors.items()})

    return after


def _config(**changes: Any) -> Callable[[Path, Any], None]:
    return lambda folder, _model: changed(folder, "config.json", **changes)


def _padded(folder: Path, _model: Any) -> None:
    """Eight more rows in every table of tokens, and in what else has one for each."""

    def grown(name: str, tensor: torch.Tensor) -> torch.Tensor:
        if name == "final_logits_bias":
            return torch.cat([tensor, tensor.new_ones(1, 8)], dim=1)
        is_table = name.endswith(("embed_tokens.weight", "shared.weight", "lm_head.weight"))
        return torch.cat([tensor, tensor.new_ones(8, tensor.shape[1])]) if is_table else tensor

    retensored(folder, lambda found: {name: grown(name, tensor) for name, tensor in found.items()})


def _with_tensors(**tensors: torch.Tensor) -> Callable[[Path, Any], None]:
    named = {name.replace("__", "."): tensor for name, tensor in tensors.items()}
    return lambda folder, _model: retensored(folder, lambda found: {**found, **named})


def _head_in_file(folder: Path, model: Any) -> None:
    head = model.lm_head.weight.detach().clone()
    retensored(folder, lambda found: {**found, "lm_head.weight": head})
    changed(folder, "config.json", tie_word_embeddings=True)


def _without_head(folder: Path, model: Any) -> None:
    retensored(folder, lambda found: {n: t for n, t in found.items() if n != "lm_head.weight"})
    changed(folder, "config.json", tie_word_embeddings=False)


def _post_processed(folder: Path, _model: Any) -> None:
    tokenizer = LibraryTokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{END_OF_TEXT} $A", special_tokens=[(END_OF_TEXT, 0)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))


def _added_to_files(folder: Path, _model: Any) -> None:
    written(folder, {"added_tokens.json": {"cap sun": 360, "<user>": 361}})
    written(folder, {"special_tokens_map.json": {"additional_special_tokens": ["<user>"]}})


def _endless(folder: Path, _model: Any) -> None:
    """Take the one token out that begins and ends texts; a piece of no text takes its place."""
    path = folder / "vocab.json"
    vocabulary = json.loads(path.read_text(encoding="utf-8"))
    vocabulary["zzz"] = vocabulary.pop(END_OF_TEXT)
    written(folder, {"vocab.json": vocabulary})


def _five_marks(folder: Path, _model: Any) -> None:
    """Give it RoBERTa's special tokens, of which config.json names no padding."""
    pairs_of_bytes(ROBERTA).save(str(folder / "tokenizer.json"))


def word_piece_gpt2(**config: Any) -> Build:
    """A GPT-2 with a vocab.txt."""

    def build(folder: Path) -> Any:
        pieces = word_pieces()
        made = transformers.GPT2Config(**sized("gpt2", vocab_size=len(pieces), **config))
        model = shaken(transformers.GPT2LMHeadModel(made))
        model.save_pretrained(folder)
        written(folder, {"vocab.txt": "\n".join(pieces) + "\n"})
        written(folder, {"tokenizer_config.json": {"tokenizer_class": "BertTokenizer"}})
        return model

    return build


def activations(build: Callable[..., Build], field_name: str, model: str) -> list[Variant]:
    """A variant for each name of an activation that transformers has for a function of ours."""
    names = (
        *("relu", "gelu", "gelu_python", "gelu_new", "gelu_fast", "gelu_accurate", "gelu_pytorch_tanh"),
        *("gelu_python_tanh", "silu", "swish", "linear"),
    )
    return [Variant(model, f"`{field_name}: {name}`", build(config={field_name: name})) for name in names]


ANOTHER = ("quick_gelu", "gelu_10", "mish", "tanh")


def _refused_activations(build: Callable[..., Build], field_name: str, model: str) -> list[Variant]:
    return [
        Variant(
            model,
            f"`{field_name}: {name}`",
            build(config={field_name: name}),
            refused=f"FOLDER/config.json: this model cannot be imported: {field_name}: Input should be",
        )
        for name in ANOTHER
    ]


def _said(**told: Any) -> dict[str, Any]:
    return {"told": {"tokenizer_class": "GPT2Tokenizer", **told}}


GPT2S = [
    Variant("GPT-2", "as `save_pretrained` writes it", gpt2()),
    Variant("GPT-2", "`vocab.json` and `merges.txt`, as the first ones", gpt2(files=True)),
    Variant("GPT-2", "`GPT2Model`, without a head", gpt2(head="GPT2Model")),
    Variant(
        "GPT-2",
        "a head of its own, `tie_word_embeddings: false`",
        gpt2(apart=True, config={"tie_word_embeddings": False}),
    ),
    Variant(
        "GPT-2",
        "a head of its own in the file, about which `config.json` says nothing",
        gpt2(apart=True, config={"tie_word_embeddings": False}, after=_head_in_file),
        says=["lm_head.weight differs from wte.weight"],
    ),
    Variant("GPT-2", "a head in the file that equals the embeddings", gpt2(after=_head_in_file)),
    Variant(
        "GPT-2",
        "`tie_word_embeddings: false` and no head in the file",
        gpt2(after=_without_head),
        says=["the weights have no lm_head.weight; tokens are scored by wte.weight"],
    ),
    Variant(
        "GPT-2",
        "308 and more rows for 300 tokens: padded embeddings",
        gpt2(vocabulary=368),
        says=["wte.weight has 8 rows more than there are tokens"],
    ),
    Variant(
        "GPT-2",
        "fewer rows than tokens",
        gpt2(vocabulary=350),
        refused="FOLDER: the tokenizer has 360 tokens, but wte.weight has rows for 350",
    ),
    Variant("GPT-2", "keys under `_orig_mod.`", gpt2(after=_wrapped("_orig_mod."))),
    Variant("GPT-2", "keys under `module.`", gpt2(after=_wrapped("module."))),
    Variant("GPT-2", "keys under `model.`", gpt2(after=_wrapped("model."))),
    Variant("GPT-2", "keys under `module._orig_mod.`", gpt2(after=_wrapped("module._orig_mod."))),
    Variant(
        "GPT-2",
        "constant buffers of old files: masks, `position_ids`",
        gpt2(
            after=_with_tensors(
                transformer__h__0__attn__bias=torch.ones(1, 1, 128, 128),
                transformer__h__1__attn__masked_bias=torch.tensor(-1e4),
                transformer__position_ids=torch.arange(128)[None],
            )
        ),
    ),
    Variant(
        "GPT-2",
        "a tensor that is no part of it",
        gpt2(after=_with_tensors(value_head=torch.ones(3))),
        refused="FOLDER: the weights do not fit: value_head is not part of such a model",
    ),
    Variant(
        "GPT-2",
        "`bos_token_id` and `eos_token_id` 50256, the tokenizer names its own",
        gpt2(config={"bos_token_id": 50256, "eos_token_id": 50256}),
        says=[
            "config.json names token 50256 as eos_token, but the last is 359; it is token 0, by the tokenizer"
        ],
    ),
    Variant(
        "GPT-2",
        "`eos_token_id` 50256, and no token that could end a text",
        gpt2(files=True, config={"bos_token_id": 50256, "eos_token_id": 50256}, after=_endless),
        says=["the model has no token that ends a text"],
    ),
    Variant(
        "GPT-2",
        "special tokens called like ours, with other roles: `<s>`, `<pad>`, `</s>`, `<unk>`, `<mask>`",
        gpt2(config={"bos_token_id": 0, "eos_token_id": 0}, after=_five_marks),
    ),
    Variant("GPT-2", "`eos_token_id` a list", gpt2(after=_config(eos_token_id=[0, 5]))),
    Variant("GPT-2", "`bos_token_id: null`", gpt2(after=_config(bos_token_id=None))),
    Variant("GPT-2", "`pad_token_id` that is a piece of texts", gpt2(config={"pad_token_id": 7})),
    Variant(
        "GPT-2",
        "`eos_token_id` that is a piece of texts",
        gpt2(config={"eos_token_id": 7}),
        refused="FOLDER: token 7 begins or ends texts, but it is a piece of texts, too",
    ),
    Variant(
        "GPT-2",
        "`vocab.txt` and `BertTokenizer`, ids 50256 of a config that nobody changed",
        word_piece_gpt2(),
        says=["it is token", "padding is never predicted here"],
    ),
    Variant("GPT-2", "`add_prefix_space: true`", gpt2(**_said(add_prefix_space=True))),
    Variant(
        "GPT-2", "`add_prefix_space: true` beside files", gpt2(files=True, **_said(add_prefix_space=True))
    ),
    Variant(
        "GPT-2",
        "`add_bos_token: true` beside files: a prompt begins with it",
        gpt2(files=True, **_said(add_bos_token=True)),
    ),
    Variant(
        "GPT-2",
        "`add_bos_token: true` beside a `tokenizer.json` that puts nothing in front",
        gpt2(**_said(add_bos_token=True, bos_token=END_OF_TEXT)),
        says=["add_bos_token is true, but tokenizer.json puts nothing before a text"],
    ),
    Variant(
        "GPT-2",
        "a post-processor that puts the start in front",
        gpt2(told={"tokenizer_class": "PreTrainedTokenizerFast"}, after=_post_processed),
    ),
    Variant(
        "GPT-2",
        "`added_tokens.json`, one token special and one not",
        gpt2(vocabulary=362, files=True, after=_added_to_files),
    ),
    Variant(
        "GPT-2",
        "`num_beams`, `max_new_tokens`, `no_repeat_ngram_size` in `generation_config.json`",
        gpt2(generation={"num_beams": 3, "max_new_tokens": 12, "no_repeat_ngram_size": 2}),
        says=["length_penalty is 1.0 there", "no_repeat_ngram_size counts the prompt there"],
        marks={"kind": "beam", "size": 3, "longest_extra": 12, "no_repeat_ngram": 2},
    ),
    Variant(
        "GPT-2",
        "`do_sample`, `top_k`, `top_p`, `temperature`",
        gpt2(generation={"do_sample": True, "top_k": 7, "top_p": 0.8, "temperature": 0.7}),
        marks={"kind": "sampling", "top_k": 7, "top_p": 0.8, "temperature": 0.7},
    ),
    Variant(
        "GPT-2",
        "`bad_words_ids`, `suppress_tokens`, `repetition_penalty`, `max_length`",
        gpt2(
            generation={
                "bad_words_ids": [[5], [6, 7]],
                "suppress_tokens": [9],
                "repetition_penalty": 1.3,
                "max_length": 40,
            }
        ),
        says=[
            "bad_words_ids forbids 1 series of tokens there",
            "repetition_penalty is 1.3 there",
            "max_length is 40 there and counts the prompt",
        ],
    ),
    Variant(
        "GPT-2",
        "`scale_attn_by_inverse_layer_idx: true`",
        gpt2(config={"scale_attn_by_inverse_layer_idx": True}),
        refused="FOLDER/config.json: this model cannot be imported: scale_attn_by_inverse_layer_idx",
    ),
    Variant(
        "GPT-2",
        "`GPT2DoubleHeadsModel`",
        gpt2(head="GPT2DoubleHeadsModel"),
        refused="FOLDER: the weights do not fit: multiple_choice_head.summary.bias is not part of",
    ),
    *activations(gpt2, "activation_function", "GPT-2"),
    *_refused_activations(gpt2, "activation_function", "GPT-2"),
]


# BERT, RoBERTa, DistilBERT


def bert(
    *,
    head: str = "BertForPreTraining",
    config: Mapping[str, Any] | None = None,
    told: Mapping[str, Any] | None = None,
    pieces: Sequence[str] | None = None,
    after: Callable[[Path, Any], object] = lambda _folder, _model: None,
) -> Build:
    """A BERT with a vocab.txt, or another model with BERT's tokenizer."""

    def build(folder: Path) -> Any:
        lines = word_pieces() if pieces is None else list(pieces)
        table = "distilbert" if head.startswith("Distil") else "bert"
        name = head.partition("For")[0].removesuffix("Model").removesuffix("LMHead")
        made_config = getattr(transformers, f"{name}Config")
        size = {"vocab_size": len(lines), **(config or {})}
        model = shaken(getattr(transformers, head)(made_config(**sized(table, **size))))
        model.save_pretrained(folder)
        written(folder, {"vocab.txt": "\n".join(lines) + "\n"})
        if told is not None:
            written(folder, {"tokenizer_config.json": told})
        after(folder, model)
        return model

    return build


def _olden(folder: Path, _model: Any) -> None:
    for new, old in (("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta")):
        retensored(folder, lambda found, new=new, old=old: {n.replace(new, old): t for n, t in found.items()})


def _apart(folder: Path, model: Any) -> None:
    """Give the head another table and bias than the embeddings, and say nothing of it."""
    decoder = model.cls.predictions.decoder
    with torch.no_grad():
        decoder.weight = torch.nn.Parameter(0.3 * torch.randn_like(decoder.weight))
        decoder.bias = torch.nn.Parameter(torch.randn_like(decoder.bias))
    added = {
        f"cls.predictions.decoder.{kind}": getattr(decoder, kind).detach() for kind in ("weight", "bias")
    }
    retensored(folder, lambda found: {**found, **added})


BASE = word_pieces()
BERTS = [
    Variant("BERT", "as `save_pretrained` writes it, with `vocab.txt`", bert()),
    Variant("BERT", "`BertForMaskedLM`", bert(head="BertForMaskedLM")),
    Variant("BERT", "`BertForNextSentencePrediction`", bert(head="BertForNextSentencePrediction")),
    Variant("BERT", "`BertModel`: vectors only", bert(head="BertModel")),
    Variant("BERT", "`tie_word_embeddings: false`", bert(config={"tie_word_embeddings": False})),
    Variant(
        "BERT",
        "a head and a bias of their own in the file, about which `config.json` says nothing",
        bert(after=_apart),
        says=[
            "cls.predictions.decoder.weight differs from embeddings.word_embeddings.weight",
            "cls.predictions.bias differs from cls.predictions.decoder.bias",
        ],
    ),
    Variant("BERT", "the norms' names of the first files: gamma, beta", bert(after=_olden)),
    Variant(
        "BERT",
        "constant buffers: `position_ids`, `token_type_ids`",
        bert(
            after=_with_tensors(
                bert__embeddings__position_ids=torch.arange(130)[None],
                bert__embeddings__token_type_ids=torch.zeros(1, 130, dtype=torch.long),
            )
        ),
    ),
    Variant("BERT", "keys under `_orig_mod.`", bert(after=_wrapped("_orig_mod."))),
    Variant(
        "BERT", "keys under `model.`, of a `BertModel`", bert(head="BertModel", after=_wrapped("model."))
    ),
    Variant(
        "BERT",
        "padded embeddings",
        bert(config={"vocab_size": len(BASE) + 9}),
        says=["embeddings.word_embeddings.weight has 9 rows more than there are tokens"],
    ),
    Variant("BERT", "`pad_token_id: null`", bert(after=_config(pad_token_id=None))),
    Variant("BERT", "three token types", bert(config={"type_vocab_size": 3})),
    Variant(
        "BERT",
        "U+2028, U+0085 and U+3000 as pieces of `vocab.txt`",
        bert(pieces=[*BASE, "\u2028", "\x85", "\u3000"]),
    ),
    Variant(
        "BERT",
        "a `vocab.txt` with CR LF",
        bert(after=lambda f, _m: (f / "vocab.txt").write_bytes("\r\n".join(BASE).encode())),
    ),
    Variant(
        "BERT",
        "the same piece twice in `vocab.txt`",
        bert(pieces=[*BASE, "again"]),
        refused=f"FOLDER/vocab.txt: the piece 'again' stands on lines 96 and {len(BASE) + 1}",
    ),
    *[
        Variant(
            "BERT",
            f"`{flag}: {json.dumps(value)}`",
            bert(told={"tokenizer_class": "BertTokenizer", flag: value}),
        )
        for flag, value in (
            ("do_lower_case", False),
            ("strip_accents", False),
            ("tokenize_chinese_chars", False),
        )
    ],
    *[
        Variant(
            "BERT",
            f"`tokenizer_class: {name}`",
            bert(told={"tokenizer_class": name, **more}),
            refused=f"FOLDER: its tokenizer is a {name}",
        )
        for name, more in (
            ("BertJapaneseTokenizer", {"word_tokenizer_type": "mecab"}),
            ("JiebaTokenizer", {}),
            ("TapasTokenizer", {}),
        )
    ],
    Variant(
        "BERT",
        "`tokenizer_class: BertJapaneseTokenizer` in `config.json` alone",
        bert(after=_config(tokenizer_class="BertJapaneseTokenizer")),
        refused="FOLDER: its tokenizer is a BertJapaneseTokenizer",
    ),
    Variant(
        "BERT",
        "a tokenizer that is a program (`auto_map`)",
        bert(told={"auto_map": {"AutoTokenizer": ["mine.Mine", None]}}),
        refused="FOLDER: tokenizer_config.json has auto_map",
    ),
    *activations(bert, "hidden_act", "BERT"),
    *_refused_activations(bert, "hidden_act", "BERT"),
    Variant(
        "BERT",
        "a decoder: `is_decoder: true`",
        bert(head="BertLMHeadModel", config={"is_decoder": True}),
        refused="FOLDER/config.json: this model cannot be imported: is_decoder",
    ),
    Variant(
        "BERT",
        "`BertForQuestionAnswering`",
        bert(head="BertForQuestionAnswering"),
        refused="FOLDER: this is a BertForQuestionAnswering, whose head nothing here has",
    ),
    Variant(
        "BERT",
        "`BertForTokenClassification`",
        bert(head="BertForTokenClassification"),
        refused="FOLDER: this is a BertForTokenClassification, whose head nothing here has",
    ),
    Variant("DistilBERT", "as `save_pretrained` writes it", bert(head="DistilBertForMaskedLM")),
    Variant("DistilBERT", "`DistilBertModel`", bert(head="DistilBertModel")),
    Variant(
        "DistilBERT",
        "`tie_word_embeddings: false`",
        bert(head="DistilBertForMaskedLM", config={"tie_word_embeddings": False}),
    ),
    Variant(
        "DistilBERT", "`activation: relu`", bert(head="DistilBertForMaskedLM", config={"activation": "relu"})
    ),
    Variant(
        "DistilBERT",
        "`sinusoidal_pos_embds: true`",
        bert(head="DistilBertForMaskedLM", config={"sinusoidal_pos_embds": True}),
    ),
    Variant(
        "DistilBERT", "keys under `module.`", bert(head="DistilBertForMaskedLM", after=_wrapped("module."))
    ),
]

ROBERTA = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


def roberta(
    *,
    head: str = "RobertaForMaskedLM",
    files: bool = True,
    told: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    after: Callable[[Path, Any], object] = lambda _folder, _model: None,
) -> Build:
    """A RoBERTa with its two files or a tokenizer.json."""

    def build(folder: Path) -> Any:
        given = {"vocab_size": 360, "type_vocab_size": 1, **(config or {})}
        model = shaken(getattr(transformers, head)(transformers.RobertaConfig(**sized("bert", **given))))
        model.save_pretrained(folder)
        tokenizer = pairs_of_bytes(ROBERTA)
        if files:
            tokenizer.model.save(str(folder))
        else:
            tokenizer.save(str(folder / "tokenizer.json"))
        written(folder, {"tokenizer_config.json": {"tokenizer_class": "RobertaTokenizer", **(told or {})}})
        after(folder, model)
        return model

    return build


ROBERTAS = [
    Variant("RoBERTa", "`vocab.json` and `merges.txt`", roberta()),
    Variant("RoBERTa", "`tokenizer.json`", roberta(files=False)),
    Variant("RoBERTa", "`RobertaModel`", roberta(head="RobertaModel")),
    Variant("RoBERTa", "`add_prefix_space: true`", roberta(told={"add_prefix_space": True})),
    Variant("RoBERTa", "`tie_word_embeddings: false`", roberta(config={"tie_word_embeddings": False})),
    Variant(
        "RoBERTa", "`hidden_act: gelu_new`, whose head keeps gelu", roberta(config={"hidden_act": "gelu_new"})
    ),
    Variant("RoBERTa", "two token types", roberta(config={"type_vocab_size": 2})),
    Variant("RoBERTa", "keys under `_orig_mod.`", roberta(after=_wrapped("_orig_mod."))),
]

# Classifiers

CLASSIFIERS = [
    Variant(
        "classifier",
        "`BertForSequenceClassification`",
        bert(head="BertForSequenceClassification", config=CLASSES),
    ),
    Variant(
        "classifier",
        "`RobertaForSequenceClassification`",
        roberta(head="RobertaForSequenceClassification", config=CLASSES),
    ),
    Variant(
        "classifier",
        "`DistilBertForSequenceClassification`",
        bert(head="DistilBertForSequenceClassification", config=CLASSES),
    ),
    Variant(
        "classifier",
        "`GPT2ForSequenceClassification`",
        gpt2(head="GPT2ForSequenceClassification", config=CLASSES),
    ),
    Variant(
        "classifier",
        "keys under `module.`",
        bert(head="BertForSequenceClassification", config=CLASSES, after=_wrapped("module.")),
    ),
    Variant(
        "classifier",
        "one output: a number",
        bert(head="BertForSequenceClassification", config={"num_labels": 1}),
        refused="FOLDER: the model tells a number of a text",
    ),
    Variant(
        "classifier",
        "several labels at a time",
        roberta(
            head="RobertaForSequenceClassification",
            config={**CLASSES, "problem_type": "multi_label_classification"},
        ),
        refused="FOLDER: the model tells any number of labels of a text",
    ),
]


# Marian


@cache
def spm(side: str) -> bytes:
    """A SentencePiece file that is trained on some sentences."""
    sentencepiece = importlib.import_module("sentencepiece")
    file = io.BytesIO()
    texts = [*SENTENCES[:40], "ガギグ Ｈｅｌｌｏ ﬁne ½ 漢字"] if side == "source" else SENTENCES[30:]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts * 3),
        model_writer=file,
        vocab_size=70,
        hard_vocab_limit=False,
        character_coverage=0.99,
        minloglevel=2,
    )
    return file.getvalue()


def spm_table(*sides: str, left_out: int = 0) -> dict[str, int]:
    """A vocab.json of the pieces of some sides, without the last few."""
    processor = importlib.import_module("sentencepiece").SentencePieceProcessor
    found: dict[str, int] = {}
    for side in sides:
        read = processor(model_proto=spm(side))
        found |= {read.id_to_piece(id): 0 for id in range(3, read.get_piece_size() - left_out)}
    pieces = ["</s>", "<unk>", "<pad>", *sorted(found), ">>de<<"]
    return {piece: id for id, piece in enumerate(pieces)}


def marian(
    *,
    tables: tuple[dict[str, int], ...] | None = None,
    spm_sides: tuple[str, str] = ("source", "target"),
    left_out: int = 0,
    told: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    generation: Mapping[str, Any] | None = None,
    after: Callable[[Path, Any], object] = lambda _folder, _model: None,
    apart: bool = False,
    head: str = "MarianMTModel",
) -> Build:
    """A Marian model with two SentencePiece files."""

    def build(folder: Path) -> Any:
        pytest.importorskip("sentencepiece", reason="needs: pip install 'whyformer[sentencepiece]'")
        separate = bool((told or {}).get("separate_vocabs"))
        wanted = [("source",), ("target",)] if separate else [spm_sides]
        used = [spm_table(*sides, left_out=left_out) for sides in wanted] if tables is None else tables
        source, target = used[0], used[-1]
        marks = {"eos_token_id": 0, "pad_token_id": 2, "decoder_start_token_id": 2}
        sizes = {"vocab_size": len(source), "decoder_vocab_size": len(target), "forced_eos_token_id": 0}
        kind = head.removesuffix("Model").removesuffix("MT").removesuffix("ForConditionalGeneration")
        made = getattr(transformers, f"{kind}Config")(
            **sized("marian", **{**marks, **sizes, **(config or {})})
        )
        model = shaken(getattr(transformers, head)(made))
        if "final_logits_bias" in dict(model.named_buffers()):
            model.final_logits_bias.normal_()
        if apart:
            model.lm_head.weight = torch.nn.Parameter(0.3 * torch.randn_like(model.lm_head.weight))
        model.save_pretrained(folder)
        for name, side in zip(("source.spm", "target.spm"), spm_sides, strict=True):
            (folder / name).write_bytes(spm(side))
        written(folder, {"vocab.json": source})
        if separate:
            written(folder, {"target_vocab.json": target})
        written(folder, {"tokenizer_config.json": {"source_lang": "en", "target_lang": "de", **(told or {})}})
        if generation is not None:
            changed(folder, "generation_config.json", **generation)
        after(folder, model)
        return model

    return build


def _one_json(folder: Path, _model: Any) -> None:
    """A tokenizer.json instead of the files, of pairs of bytes; the model has as many rows."""
    for name in ("source.spm", "target.spm", "vocab.json"):
        (folder / name).unlink()
    tokenizer = pairs_of_bytes(("</s>", "<unk>", "<pad>"))
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 0)])
    tokenizer.save(str(folder / "tokenizer.json"))
    told = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>", "pad_token": "<pad>"}
    written(folder, {"tokenizer_config.json": {**told, "unk_token": "<unk>"}})


def marian_json(**options: Any) -> Build:
    """A Marian model with a tokenizer.json."""
    table = {str(id): id for id in range(360)}
    after = options.pop("after", lambda _folder, _model: None)

    def both(folder: Path, model: Any) -> None:
        _one_json(folder, model)
        after(folder, model)

    return marian(tables=(table,), after=both, **options)


def pre_norm(folder: Path, _model: Any) -> None:
    """Let a Pegasus be told to be a pre-norm Marian."""
    changed(
        folder, "config.json", model_type="marian", normalize_before=True, architectures=["MarianMTModel"]
    )
    retensored(folder, lambda found: {n: t for n, t in found.items() if "embed_positions" not in n})


def _marian_head_in_file(folder: Path, model: Any) -> None:
    head = model.lm_head.weight.detach().clone()
    retensored(folder, lambda found: {**found, "lm_head.weight": head})
    changed(folder, "config.json", tie_word_embeddings=True)


TWO = "source and target have a tokenizer each"
MARIANS = [
    Variant("Marian", "`source.spm`, `target.spm`, `vocab.json`", marian(), back=TWO),
    Variant("Marian", "both sides cut by one SentencePiece file", marian(spm_sides=("source", "source"))),
    Variant(
        "Marian",
        "pieces of a SentencePiece file that `vocab.json` has not",
        marian(left_out=8),
        back=TWO,
    ),
    Variant(
        "Marian",
        "`separate_vocabs: true`, `target_vocab.json`: two vocabularies",
        marian(told={"separate_vocabs": True}, config={"share_encoder_decoder_embeddings": False}),
        back=TWO,
    ),
    Variant(
        "Marian",
        "two vocabularies, and a head of its own",
        marian(
            told={"separate_vocabs": True},
            config={"share_encoder_decoder_embeddings": False, "tie_word_embeddings": False},
            left_out=4,
        ),
        back=TWO,
    ),
    Variant("Marian", "`tokenizer.json`", marian_json()),
    Variant("Marian", "`bos_token_id: 0`", marian_json(config={"bos_token_id": 0})),
    Variant("Marian", "no bias of the output (`final_logits_bias` of zeros)", marian_json(after=_config())),
    Variant(
        "Marian", "two tables of embeddings", marian_json(config={"share_encoder_decoder_embeddings": False})
    ),
    Variant(
        "Marian",
        "three tables",
        marian_json(config={"share_encoder_decoder_embeddings": False, "tie_word_embeddings": False}),
    ),
    Variant(
        "Marian",
        "a head of its own in the file, about which `config.json` says nothing",
        marian_json(
            apart=True,
            config={"share_encoder_decoder_embeddings": False, "tie_word_embeddings": False},
            after=_marian_head_in_file,
        ),
        says=["lm_head.weight differs from model.decoder.embed_tokens.weight"],
    ),
    Variant(
        "Marian",
        "shared embeddings and `tie_word_embeddings: false`: tables that differ",
        marian_json(config={"tie_word_embeddings": False}),
        says=["are not equal, though config.json says that they are shared"],
    ),
    Variant(
        "Marian", "padded embeddings", marian_json(after=_padded), says=["rows more than there are tokens"]
    ),
    Variant("Marian", "keys under `_orig_mod.`", marian_json(after=_wrapped("_orig_mod."))),
    Variant("Marian", "keys under `module.`", marian_json(after=_wrapped("module."))),
    Variant(
        "Marian",
        "`normalize_before: true` and no last norms: transformers reads no such field",
        marian_json(after=_config(normalize_before=True)),
        says=["config.json says normalize_before, which transformers' Marian does not read"],
    ),
    Variant(
        "Marian",
        "pre-norm: `normalize_before: true` with last norms (compared with Pegasus, which computes so)",
        marian_json(head="PegasusForConditionalGeneration", after=pre_norm),
        back="model.encoder.block.placement is pre, which the marian format cannot say",
    ),
    Variant(
        "Marian",
        "learned positions",
        marian_json(after=_with_tensors(model__encoder__embed_positions__weight=torch.ones(130, 32))),
        refused="model.encoder.embed_positions.weight holds no sines and cosines",
    ),
    Variant(
        "Marian",
        "`num_beams`, `max_length`, `bad_words_ids`, `length_penalty` in `generation_config.json`",
        marian_json(
            generation={"num_beams": 6, "max_length": 50, "bad_words_ids": [[2], [9]], "length_penalty": 0.8}
        ),
        says=["length_penalty is 0.8 there"],
        marks={
            "kind": "beam",
            "size": 6,
            "longest_factor": 0.0,
            "longest_extra": 49,
            "length_penalty": 0.8,
            "stopping": Bound(),
        },
    ),
    Variant(
        "Marian",
        "the same in `config.json`, as old folders have it",
        marian_json(after=_config(num_beams=4, max_length=60, early_stopping=True)),
        says=["num_beams, max_length, early_stopping stand in config.json"],
        marks={"kind": "beam", "size": 4, "longest_extra": 59, "stopping": Patience()},
    ),
    *activations(marian_json, "activation_function", "Marian"),
    *_refused_activations(marian_json, "activation_function", "Marian"),
    Variant(
        "Marian",
        "a decoder alone: `is_encoder_decoder: false`",
        marian_json(after=_config(is_encoder_decoder=False)),
        refused="FOLDER/config.json: this model cannot be imported: is_encoder_decoder",
    ),
]

# Others


def _other(name: str, **text: Any) -> Build:
    def build(folder: Path) -> Any:
        return written(folder, {name: text.get("content", text)})

    return build


OTHERS = [
    Variant(
        "other",
        "a model of another type",
        _other("config.json", model_type="llama"),
        refused="FOLDER: this is a model of type llama; bert, roberta, distilbert, gpt2 and marian can be",
    ),
    Variant(
        "other",
        "`config.json` that is a list",
        _other("config.json", content=[]),
        refused="FOLDER/config.json: holds a list, but it should be an object",
    ),
    Variant(
        "other",
        "`config.json` that is a text",
        _other("config.json", content='"gpt2"'),
        refused="FOLDER/config.json: holds a text, but it should be an object",
    ),
    Variant(
        "other", "no `config.json`", _other("readme.txt", content="…"), refused="FOLDER: has no config.json"
    ),
    Variant(
        "other",
        "weights in a pickle alone",
        gpt2(
            after=lambda folder, _model: (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
        ),
        refused="FOLDER: has no model.safetensors but a pickle (pytorch_model.bin)",
    ),
]
