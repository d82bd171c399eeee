"""Classes of tokenizers: which of theirs cut texts in a way that we know, and how each does it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from whyformer.data.tokenizers.tokenizer import Document
from whyformer.errors import TokenizerError

Family = Literal["json", "bert", "gpt2", "roberta", "marian"]
"""Ways to cut: as tokenizer.json says, or as a class of theirs does."""

_OF_CLASS: dict[str, Family] = {
    "PreTrainedTokenizerFast": "json",
    "TokenizersBackend": "json",
    "BertTokenizer": "bert",
    "DistilBertTokenizer": "bert",
    "GPT2Tokenizer": "gpt2",
    "RobertaTokenizer": "roberta",
    "MarianTokenizer": "marian",
}
OF_MODEL: dict[str, Family] = {
    "bert": "bert",
    "distilbert": "bert",
    "gpt2": "gpt2",
    "roberta": "roberta",
    "marian": "marian",
}
"""The ways of the classes that a type of model has where nothing else is told."""
_END_OF_TEXT = "<|endoftext|>"
DEFAULT_ROLES: dict[Family, dict[str, str]] = {
    "json": {},
    "bert": {
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    },
    "gpt2": {"unk_token": _END_OF_TEXT, "bos_token": _END_OF_TEXT, "eos_token": _END_OF_TEXT},
    "roberta": {
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "cls_token": "<s>",
        "sep_token": "</s>",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "mask_token": "<mask>",
    },
    "marian": {"pad_token": "<pad>", "unk_token": "<unk>", "eos_token": "</s>"},
}
"""Names that tokens with a role have in a class, where tokenizer_config.json names no others."""


def family_of(told_class: str | None, model: str, told: Mapping[str, Any], folder: Path) -> Family:
    """The way in which the tokenizer in ``folder`` cuts texts.

    Args:
        told_class: ``tokenizer_class`` of tokenizer_config.json or config.json, if either has one.
        model: type of the model.
        told: settings of tokenizer_config.json.
        folder: folder of the model, to name in errors.

    Raises:
        TokenizerError: the class cuts in another way than those that we know.
    """
    if "auto_map" in told:
        raise TokenizerError(
            f"{folder}: tokenizer_config.json has auto_map, so texts are cut by a program of its own, which "
            "is never run; save the tokenizer as a tokenizer.json of its own and remove auto_map."
        )
    if told_class is None:
        return OF_MODEL[model]
    known = next((name for name in (told_class, told_class.removesuffix("Fast")) if name in _OF_CLASS), None)
    if known is None:
        words = told.get("word_tokenizer_type")
        raise TokenizerError(
            f"{folder}: its tokenizer is a {told_class}{'' if words is None else f' (words by {words})'}, "
            f"which cuts texts in a way that is not known here; known are {', '.join(sorted(_OF_CLASS))}."
        )
    return _OF_CLASS[known]


def in_family(document: Document, family: Family, told: Mapping[str, Any]) -> Document:
    """The ``document`` with its vocabulary, cut as ``family`` does, by the flags that are ``told``."""
    kind = document["model"].get("type")
    if family == "bert" and kind in (None, "WordPiece"):
        unknown = told.get("unk_token", DEFAULT_ROLES["bert"]["unk_token"])
        model = {
            "type": "WordPiece",
            "unk_token": unknown["content"] if isinstance(unknown, dict) else unknown,
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": document["model"]["vocab"],
        }
        normalizer = {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": told.get("tokenize_chinese_chars", True),
            "strip_accents": told.get("strip_accents"),
            "lowercase": told.get("do_lower_case", True),
        }
        parts = {
            "normalizer": normalizer,
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        }
    elif family in ("gpt2", "roberta") and kind in (None, "BPE"):
        model = {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": document["model"]["vocab"],
            "merges": document["model"].get("merges", []),
        }
        level = {"type": "ByteLevel", "trim_offsets": True, "use_regex": True}
        space = bool(told.get("add_prefix_space", False))
        parts = {
            "normalizer": None,
            "pre_tokenizer": {**level, "add_prefix_space": space},
            "decoder": {**level, "add_prefix_space": True},
        }
    else:
        return document
    kept = {key: value for key, value in document["model"].items() if key == "whyformer"}
    return {**document, **parts, "model": {**model, **kept}}
