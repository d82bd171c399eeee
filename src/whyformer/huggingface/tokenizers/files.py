"""The tokenizer files of a Hugging Face folder, in one form: that of the tokenizers library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whyformer.data.tokenizers.tokenizer import Document
from whyformer.errors import TokenizerError
from whyformer.huggingface.tokenizers.conversion import pieces_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer as LibraryTokenizer

_BERT = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
_END_OF_TEXT = "<|endoftext|>"
_TOLD = "tokenizer_config.json"


def read_json(path: Path) -> dict[str, Any]:
    """The mapping that a file of a model's folder holds.

    Raises:
        TokenizerError: it is missing, or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TokenizerError(f"{path}: cannot be read as JSON ({error}); restore it.") from None


def read_foreign(folder: Path, model: str) -> tuple[Document, dict[str, int]]:
    """The tokenizer of a ``model`` (bert, gpt2, marian) in ``folder``, and the ids of tokens with a role.

    Raises:
        TokenizerError: there is none, or it cannot be read.
    """
    told = read_json(folder / _TOLD) if (folder / _TOLD).is_file() else dict[str, Any]()
    match model:
        case _ if (folder / "tokenizer.json").is_file():
            document = read_json(folder / "tokenizer.json")
        case "bert" if (folder / "vocab.txt").is_file():
            document = _document(_wordpiece(folder / "vocab.txt", told))
        case "gpt2" if (folder / "merges.txt").is_file():
            document = _document(_byte_pairs(folder / "vocab.json", folder / "merges.txt"))
        case "marian" if (folder / "source.spm").is_file():
            raise TokenizerError(
                f"{folder}: its tokenizers are SentencePiece files (source.spm, target.spm), which are not "
                "read; a Marian folder is imported with a tokenizer.json, as `whyformer export` writes it."
            )
        case _:
            raise TokenizerError(f"{folder}: has no tokenizer.json; save the tokenizer in that form.")
    ids = {piece: id for id, piece in enumerate(pieces_of(document))}
    named = (_BERT if model == "bert" else {}) | {role: _name(value) for role, value in told.items()}
    return document, {role: ids[name] for role, name in named.items() if name in ids}


def _name(value: Any) -> str:
    """The name of a token, which may come with settings."""
    return str(value.get("content") if isinstance(value, dict) else value)


def _wordpiece(path: Path, told: dict[str, Any]) -> LibraryTokenizer:
    import tokenizers
    from tokenizers import decoders, models, normalizers, pre_tokenizers

    pieces = path.read_text(encoding="utf-8").splitlines()
    names = {role: _name(told.get(role, usual)) for role, usual in _BERT.items()}
    vocabulary = {piece: id for id, piece in enumerate(pieces)}
    made = tokenizers.Tokenizer(models.WordPiece(vocab=vocabulary, unk_token=names["unk_token"]))
    made.normalizer = normalizers.BertNormalizer(
        lowercase=told.get("do_lower_case", True),
        strip_accents=told.get("strip_accents"),
        handle_chinese_chars=told.get("tokenize_chinese_chars", True),
    )
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    made.add_special_tokens([name for name in names.values() if name in vocabulary])
    return made


def _byte_pairs(vocabulary: Path, merges: Path) -> LibraryTokenizer:
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers

    made = tokenizers.Tokenizer(models.BPE.from_file(str(vocabulary), str(merges)))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([_END_OF_TEXT])
    return made


def _document(tokenizer: LibraryTokenizer) -> Document:
    return json.loads(tokenizer.to_str())
