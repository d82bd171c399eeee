"""SentencePiece files (Kudo and Richardson 2018) of Marian folders, as files of the tokenizers library.

A Marian folder has a file for each side that cuts texts, and a table of ids that both share, or one each.
"""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from whyformer.data.tokenizers.tokenizer import Document
from whyformer.errors import TokenizerError
from whyformer.huggingface.tokenizers.json_files import read_object

_UNREACHABLE = "\ue000"
"""A character for private use in front of a piece that only the other side has: no text holds that."""
_UNKNOWN = "\ue001"
"""A character for private use that no piece has."""
_UNKNOWN_PENALTY = 10.0
_ROLES = ("<s>", "</s>", "<unk>", "<pad>")
_UNIGRAM = 1
_NORMAL, _CONTROL, _USER_DEFINED, _BYTE = 1, 3, 4, 6
_RESERVED = "<(?=s>|/s>|unk>|pad>)"


class MarianTokenizers(NamedTuple):
    """The tokenizers of both sides."""

    source: Document
    target: Document
    strays: tuple[int, int]
    """Number of pieces of each side that come after those with an id of theirs."""
    one_vocabulary: bool
    """Whether both sides have the same ids."""


class _Pieces(NamedTuple):
    """One SentencePiece file."""

    scores: dict[str, float]
    defined: list[str]
    """Pieces that are never cut, such as names of languages."""
    normalizer: Any
    has_bytes: bool

    def is_foreign(self, piece: str) -> bool:
        """Whether this file knows no character of ``piece``; theirs still looks for its id in the table."""
        return piece not in _ROLES and not any(letter in self.scores or letter == "▁" for letter in piece)

    def runs_joined(self, foreign: Sequence[str]) -> dict[str, Any]:
        """Normalizer that makes one unknown character of a run that is none of the ``foreign`` pieces.

        SentencePiece joins unknown neighbours, and the table of ids is asked for the whole run.
        """
        known = "".join(re.escape(letter) for letter in self.scores if len(letter) == 1)
        several = "|".join(re.escape(piece) for piece in foreign if len(piece) > 1)
        spared = f"(?!(?:{several})(?:$|[▁{known}]))" if several else ""
        return _replaced({"Regex": f"(?<![^▁{known}]){spared}[^▁{known}]{{2,}}"}, _UNKNOWN)


def read_marian(folder: Path, told: Mapping[str, Any]) -> MarianTokenizers:
    """The tokenizers of ``folder``, whose tokenizer_config.json is ``told``.

    Pieces that a SentencePiece file has and the table of ids has not are the unknown token; here they come
    after all others, in an order of their own.

    Raises:
        TokenizerError: a file is missing or damaged, is of a kind that is not known, or the package to read
            it is not installed.
    """
    separate = bool(told.get("separate_vocabs", False))
    source, target = (_read(folder / name) for name in ("source.spm", "target.spm"))
    tables = [read_object(folder / "vocab.json")]
    tables.append(read_object(folder / "target_vocab.json") if separate else tables[0])
    unknown = told.get("unk_token", "<unk>")
    unknown = unknown["content"] if isinstance(unknown, dict) else unknown
    if missing := [number for number, table in enumerate(tables) if unknown not in table]:
        name = ("vocab.json", "target_vocab.json")[missing[0]]
        raise TokenizerError(f"{folder / name}: has no {unknown}, the unknown token; restore it.")
    strays = [
        sorted((side.scores.keys() | set(side.defined)) - table.keys())
        for side, table in zip((source, target), tables, strict=True)
    ]
    if not separate:
        strays = [sorted({*strays[0], *strays[1]})] * 2
    made = [
        _document(side, table, more, unknown)
        for side, table, more in zip((source, target), tables, strays, strict=True)
    ]
    return MarianTokenizers(made[0], made[1], (len(strays[0]), len(strays[1])), not separate)


def _read(path: Path) -> _Pieces:
    try:
        from sentencepiece import sentencepiece_model_pb2 as messages
    except ImportError:
        raise TokenizerError(
            f"{path}: this is a SentencePiece file, which needs: pip install 'whyformer[sentencepiece]'."
        ) from None
    # The class is made when the module is imported, so nothing declares it.
    model: Any = vars(messages)["ModelProto"]()
    try:
        model.ParseFromString(path.read_bytes())
    except Exception as error:  # the library's own class of errors is not exported
        raise TokenizerError(f"{path}: is no SentencePiece file, or a damaged one ({error}).") from None
    trainer = model.trainer_spec
    if trainer.model_type != _UNIGRAM or trainer.treat_whitespace_as_suffix or not model.pieces:
        raise TokenizerError(
            f"{path}: is a SentencePiece file of another kind than unigram with spaces in front, which is "
            "all that is known here; save its tokenizer as a tokenizer.json."
        )
    usual = {piece.piece: piece.score for piece in model.pieces if piece.type in (_NORMAL, _BYTE)}
    defined = [piece.piece for piece in model.pieces if piece.type == _USER_DEFINED]
    return _Pieces(usual, defined, _normalizer(model.normalizer_spec), bool(trainer.byte_fallback))


def _normalizer(spec: Any) -> dict[str, Any]:
    """Steps before a text is cut: characters are mapped, spaces folded and shown as ▁."""
    steps: list[dict[str, Any]] = []
    if spec.precompiled_charsmap:
        # The library maps long clusters of characters one by one; what can be composed is so before.
        if "nfkc" in spec.name:
            steps.append({"type": "NFC"})
        charsmap = b64encode(spec.precompiled_charsmap).decode()
        steps.append({"type": "Precompiled", "precompiled_charsmap": charsmap})
    if spec.remove_extra_whitespaces:
        steps += [_replaced({"Regex": "^ +| +$"}, ""), _replaced({"Regex": " {2,}"}, " ")]
    if spec.add_dummy_prefix:
        steps.append({"type": "Prepend", "prepend": " "})
    if spec.escape_whitespaces:
        steps.append(_replaced({"String": " "}, "▁"))
    return {"type": "Sequence", "normalizers": steps}


def _replaced(pattern: dict[str, str], content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": pattern, "content": content}


def _document(side: _Pieces, table: Mapping[str, int], strays: Sequence[str], unknown: str) -> Document:
    """A tokenizer that cuts as ``side`` does, with the ids of ``table`` and then ``strays``."""
    by_id = {id: piece for piece, id in table.items()}
    pieces = [by_id.get(id) for id in range(max(by_id) + 1)]
    vocabulary: list[list[Any]] = []
    added: list[dict[str, Any]] = []
    for id, piece in enumerate([*pieces, *strays]):
        if piece is None:
            vocabulary.append([f"{_UNREACHABLE}unused {id}", 0.0])
            continue
        language = piece.startswith(">>") and piece.endswith("<<") and id < len(pieces)
        role = piece in (*_ROLES, unknown)
        if role or language or piece in side.defined:
            vocabulary.append([piece, 0.0])
            plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
            added.append({"id": id, "content": piece, **plain, "special": role})
        elif piece in side.scores:
            vocabulary.append([piece, side.scores[piece]])
        else:
            vocabulary.append([_UNREACHABLE + piece, 0.0])
    normalizer = side.normalizer
    if foreign := [piece for piece in table if side.is_foreign(piece)]:
        lowest = min(side.scores.values()) - _UNKNOWN_PENALTY
        vocabulary = [
            [piece.removeprefix(_UNREACHABLE), lowest]
            if piece.removeprefix(_UNREACHABLE) in foreign
            else [piece, score]
            for piece, score in vocabulary
        ]
        normalizer = {**normalizer, "normalizers": [*normalizer["normalizers"], side.runs_joined(foreign)]}
    model = {
        "type": "Unigram",
        "unk_id": table[unknown],
        "vocab": vocabulary,
        "byte_fallback": side.has_bytes,
    }
    behavior = {"behavior": "MergedWithPrevious", "invert": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": normalizer,
        # A text that spells a special token is text, and is cut within.
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": _RESERVED}, **behavior},
        "post_processor": None,
        "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": False},
        "model": model,
    }
