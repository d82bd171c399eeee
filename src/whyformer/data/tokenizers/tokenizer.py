"""The tokenizer in use: text to ids and back, with one file as its whole state."""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from whyformer import special_tokens
from whyformer.data.tokenizers.pre_tokenization import FRONT
from whyformer.data.tokenizers.specials import BYTES, UNKNOWN_NAME
from whyformer.data.tokenizers.text.seen import SeenText, named
from whyformer.data.tokenizers.text.sentences import split_line
from whyformer.errors import TokenizerError, WhyformerNote
from whyformer.files import write_text
from whyformer.progress import progress

if TYPE_CHECKING:
    from tokenizers import Tokenizer as LibraryTokenizer
    from tokenizers.normalizers import Normalizer

SPEC_KEY = "whyformer"
"""Where, inside the file's ``model``, the spec lies; the tokenizers library ignores unknown keys there."""

SEEN_KEY = "whyformer_seen"
"""Where, beside the spec, the facts about the training text lie."""

Document = dict[str, Any]
"""A tokenizer file, parsed: the format of the tokenizers library, version 1.0."""


# Texts between two reports of progress.
_AT_ONCE = 20_000


class Tokenizer:
    """Cuts text into pieces of a fixed vocabulary and puts pieces together again.

    Made by a spec's ``train(lines)`` or by :meth:`load`. Ids 0 to 3 are padding, unknown, BOS and EOS.
    """

    pad: ClassVar[int] = special_tokens.PAD
    unknown: ClassVar[int] = special_tokens.UNK
    start: ClassVar[int] = special_tokens.BOS
    end: ClassVar[int] = special_tokens.EOS

    def __init__(self, document: Document) -> None:
        self._document = document
        self._library = _library(document)
        self.size: int = self._library.get_vocab_size()
        """Number of ids, special tokens included."""
        self._told = set[str]()
        # What an imported tokenizer has added besides special tokens is text like any other piece.
        self._special = [token["id"] for token in document["added_tokens"] if token["special"]]
        self._silent = {*self._special} - {special_tokens.UNK}

    def __reduce__(self) -> tuple[type[Tokenizer], tuple[Document]]:
        # Worker processes get a copy; the library's own copy would forget encode_special_tokens.
        return Tokenizer, (self._document,)

    def encode(self, text: str) -> list[int]:
        """Return the ids of ``text``, without BOS and EOS.

        Raises:
            TokenizerError: the text has a lone surrogate, which no encoding of Unicode can write.
        """
        return self.encode_all([text])[0]

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """Encode many texts at once, in parallel.

        Raises:
            TokenizerError: as :meth:`encode`.
        """
        return _encoded(self._library, texts)

    def encode_inside(self, texts: Sequence[str]) -> list[list[int]]:
        """Encode stretches from inside of texts: no space is put in front of them.

        Raises:
            TokenizerError: as :meth:`encode`.
        """
        return _encoded(self._inside, texts)

    @cached_property
    def named_tokens(self) -> dict[str, int]:
        """Ids of the special tokens by name, those of another toolkit by the names they have there, too."""
        names = {token["content"]: cast(int, token["id"]) for token in self._document["added_tokens"]}
        theirs: list[str] = [*self.spec.get("names", ())]
        return {**{name: id for id, name in enumerate(theirs) if name}, **names}

    def encode_marked(self, text: str, *, inside: bool = False) -> list[int]:
        """Encode a text, or one from ``inside``, in which a special token's name stands for the token.

        Raises:
            TokenizerError: as :meth:`encode`.
        """
        names = sorted(self.named_tokens, key=len, reverse=True)
        first, *rest = re.split(f"({'|'.join(map(re.escape, names))})", text)
        (ids,) = self.encode_inside([first]) if inside else [self.encode_beginning(first)]
        for name, between in zip(rest[::2], self.encode_inside(rest[1::2]), strict=True):
            ids += [self.named_tokens[name], *between]
        return ids

    def normalized(self, text: str) -> str:
        """Return ``text`` in normal form, as a stretch from inside of a text: spaces at its ends stay.

        Upper case stays, too. Text for a tokenizer of another toolkit is left as it is.
        """
        return text if self._cleaner is None else self._cleaner.normalize_str(text)

    @property
    def has_normal_form(self) -> bool:
        """Whether there is one: a tokenizer of another toolkit may make many characters of one."""
        return self._cleaner is not None

    @cached_property
    def seen(self) -> SeenText | None:
        """Facts about the training text; None where the file has none, as those of other toolkits."""
        return SeenText.read(self._document["model"].get(SEEN_KEY))

    def note_unseen(self, texts: Sequence[str]) -> None:
        """Say which characters of ``texts`` were never seen in training, each of them once."""
        if self.seen is None:
            return
        known = self.seen.characters | self._told | {" "}
        odd = [text for text in texts if not known.issuperset(text)]
        try:
            unseen = set().union(*map(self._library.normalizer.normalize_str, odd)) - known
        except UnicodeEncodeError:
            _refuse_surrogates(odd)
            raise
        if unseen:
            self._told |= unseen
            warnings.warn(
                f"the training text had none of these characters, so what the model makes of them is a "
                f"guess: {named(unseen)}.",
                WhyformerNote,
                stacklevel=3,
            )

    def note_longer(self, lines: Mapping[int, str]) -> None:
        """Say once that of ``lines``, by number, some have more sentences than those of the training text."""
        if self.seen is None or _SENTENCES in self._told:
            return
        usual = self.seen.sentences
        counts = {number: len(split_line(self.normalized(line))) for number, line in lines.items()}
        longer = {number: count for number, count in counts.items() if count > usual}
        if longer:
            self._told.add(_SENTENCES)
            first = min(longer)
            warnings.warn(
                f"line {first} has {longer[first]} sentences, but lines of the training text had "
                f"{usual} at most, as a rule ({len(longer):,} of {len(lines):,} lines are so): parts may be "
                "left out; --split (in Python: split=True) translates sentence by sentence.",
                WhyformerNote,
                stacklevel=3,
            )

    def encode_beginning(self, text: str) -> list[int]:
        """Encode the beginning of a text that goes on: white space at its end is kept.

        Raises:
            TokenizerError: as :meth:`encode`.
        """
        return _encoded(self._beginning, [text])[0]

    def words(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the stretches that each text is cut into before the vocabulary is asked.

        To a tokenizer of whole words they are its tokens as the text spells them, unknown ones too.

        Raises:
            TokenizerError: as :meth:`encode`.
        """
        normalizer, cut = self._library.normalizer, self._library.pre_tokenizer
        try:
            return [
                [word for word, _ in cut.pre_tokenize_str(normalizer.normalize_str(text))] for text in texts
            ]
        except UnicodeEncodeError:
            _refuse_surrogates(texts)
            raise

    def word_ids(self, words: Iterable[str]) -> list[int]:
        """Return the id of each word as it is stored, special tokens too; UNK where there is none."""
        found = [self._library.token_to_id(word) for word in words]
        return [special_tokens.UNK if id is None else id for id in found]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text that ``ids`` stand for.

        Special tokens are left out, but the unknown token shows as ``<unk>``: a hole in a text should be
        seen. Bytes that do not form UTF-8 show as U+FFFD.

        Raises:
            TokenizerError: an id is not in the vocabulary.
        """
        return self._library.decode(self._spoken(ids), skip_special_tokens=False)

    def decode_all(self, sentences: Sequence[Sequence[int]]) -> list[str]:
        """Decode many lists of ids at once, in parallel; same texts as :meth:`decode` one by one."""
        spoken = [self._spoken(ids) for ids in sentences]
        return self._library.decode_batch(spoken, skip_special_tokens=False)

    def tokens(self, ids: Iterable[int]) -> list[str]:
        """Return each piece for people to read: a space shows as ``▁``, a line end as a backslash and n."""
        readable = self._readable
        return [readable[id] for id in self._known(list(ids))]

    def special(self, name: str) -> int:
        """Return the id of a special token such as ``[MASK]``.

        Raises:
            TokenizerError: this tokenizer was trained without it.
        """
        for token in self._document["added_tokens"]:
            if token["content"] == name:
                return cast(int, token["id"])
        raise TokenizerError(
            f"this tokenizer has no special token {name!r}; train one with it among its `specials`."
        )

    def takes_space(self, name: str) -> bool:
        """Whether the space in front of a special token called ``name`` goes with it, as in RoBERTa's."""
        tokens = self._document["added_tokens"]
        return any(token["content"] == name and token.get("lstrip", False) for token in tokens)

    @cached_property
    def pieces(self) -> list[str]:
        """The vocabulary in the order of ids, as stored."""
        vocabulary = self._library.get_vocab()
        return sorted(vocabulary, key=vocabulary.__getitem__)

    @cached_property
    def spelled(self) -> list[bytes | None]:
        """The bytes of text that each id stands for inside of a text; None for special tokens."""
        values = {name: bytes([byte]) for byte, name in enumerate(BYTES)}
        first = self.ordinary_ids.start
        kind = self.spec["kind"]
        ordinary: list[bytes | None] = []
        for id, piece in enumerate(self.pieces[first:], start=first):
            if piece in values:
                ordinary.append(values[piece])
            elif kind == "imported":
                ordinary.append(self._decoded_inside(id, piece))
            else:
                ordinary.append((piece.removeprefix("##") if kind == "wordpiece" else piece).encode())
        return [*[None] * first, *ordinary]

    @cached_property
    def readable_spellings(self) -> list[str]:
        """The texts of ``spelled`` that are whole characters; of the others, empty ones."""
        return [_readable_bytes(piece) for piece in self.spelled]

    def spelling(self, text: str) -> str:
        """Return ``text`` as its pieces spell it, laid end to end; a space in front may be added."""
        if self.spec["kind"] != "imported":
            return self._library.normalizer.normalize_str(text)
        return b"".join(self.spelled[id] or b"" for id in self.encode(text)).decode(errors="replace")

    @property
    def ordinary_ids(self) -> range:
        """The ids of the pieces that stand for text: after special tokens."""
        return range(len(self._special), self.size)

    @property
    def learned_ids(self) -> range:
        """The ids of the pieces that came from the training text: after special tokens and bytes."""
        first = self.ordinary_ids.start
        has_bytes = self.pieces[first : first + len(BYTES)] == list(BYTES)
        return range(first + len(BYTES) * has_bytes, self.size)

    @property
    def document(self) -> Document:
        """The file, parsed; to be read only."""
        return self._document

    @property
    def spec(self) -> dict[str, Any]:
        """The settings it was trained with, as a recipe would write them."""
        return dict(self._document["model"][SPEC_KEY])

    @property
    def description(self) -> str:
        """Kind and size, in words."""
        return f"{self.spec['kind']} of {self.size:,} pieces"

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that are equal exactly when the tokenizer files say the same."""
        canonical = json.dumps(self._document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def save(self, path: Path) -> None:
        """Write the file, which ``tokenizers.Tokenizer.from_file`` can read too, whole or not at all."""
        write_text(path, json.dumps(self._document, ensure_ascii=False, indent=1) + "\n")

    @staticmethod
    def load(path: Path) -> Tokenizer:
        """Read a file written by :meth:`save`.

        Raises:
            TokenizerError: the file is missing, damaged, or was not made by Whyformer.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise TokenizerError(
                f"{path}: no such tokenizer file; make one with `whyformer tokenizer train`."
            ) from None
        except OSError as error:
            raise TokenizerError(f"{path}: cannot be read as a tokenizer file ({error.strerror}).") from error
        except ValueError as error:  # not UTF-8, or not JSON
            raise TokenizerError(
                f"{path}: not a tokenizer file, or a damaged one: this is not JSON ({error})."
            ) from error
        if not _is_ours(document):
            raise TokenizerError(
                f"{path}: not a tokenizer of Whyformer (its model has no `{SPEC_KEY}` entry, "
                f"or ids 0 to 3 are not {', '.join(special_tokens.NAMES)}); make one with "
                "`whyformer tokenizer train`."
            )
        try:
            return Tokenizer(document)
        except Exception as error:  # the library raises nothing more specific
            raise TokenizerError(f"{path}: damaged ({error}); train it again.") from error

    @cached_property
    def _inside(self) -> LibraryTokenizer:
        """The library's tokenizer without what it does at the ends of a text: strip it, put a space there."""
        if self.spec["kind"] == "imported":
            return self._library  # a BERT's, which drops spaces
        return _library({**self._document, "normalizer": self._inner_changes()})

    @cached_property
    def _beginning(self) -> LibraryTokenizer:
        """The library's tokenizer without what it does at the end of a text."""
        if self.spec["kind"] == "imported":
            return self._library
        changes = self._document["normalizer"]
        kept = [
            {**change, "strip_right": False} if change["type"] == "Strip" else change
            for change in changes["normalizers"]
        ]
        return _library({**self._document, "normalizer": {**changes, "normalizers": kept}})

    def _decoded_inside(self, id: int, piece: str) -> bytes:
        """The bytes of text of a piece of another toolkit."""
        if (self._document.get("decoder") or {}).get("type") == "ByteLevel":
            return bytes(_BYTE_LEVEL[character] for character in piece if character in _BYTE_LEVEL)
        return self.decode([special_tokens.UNK, id]).removeprefix(UNKNOWN_NAME).encode()

    @cached_property
    def _cleaner(self) -> Normalizer | None:
        """The library's changes of text that people would not see; None where they are another toolkit's."""
        if self.spec["kind"] == "imported":
            return None
        changes = self._inner_changes()
        changes["normalizers"] = [each for each in changes["normalizers"] if each["type"] != "Lowercase"]
        return _library({**self._document, "normalizer": changes}).normalizer

    def _inner_changes(self) -> Document:
        """The normalizer without what it does at the ends of a text."""
        changes = self._document["normalizer"]
        kept = [
            change
            for change in changes["normalizers"]
            if change["type"] != "Strip" and change.get("pattern") != {"Regex": FRONT}
        ]
        return {**changes, "normalizers": kept}

    @cached_property
    def _readable(self) -> list[str]:
        return [piece if piece == UNKNOWN_NAME else piece.translate(_READABLE) for piece in self.pieces]

    def _known(self, ids: Sequence[int]) -> Sequence[int]:
        # The two ends of their range tell of all of them, in no loop of ours.
        for id in (min(ids, default=0), max(ids, default=0)):
            if not 0 <= id < self.size:
                raise TokenizerError(
                    f"token id {id} is outside this tokenizer's 0 to {self.size - 1}; "
                    "the ids come from another tokenizer."
                )
        return ids

    def _spoken(self, ids: Sequence[int]) -> list[int]:
        return [id for id in self._known(ids) if id not in self._silent]


def _byte_level() -> dict[str, int]:
    """The bytes by the characters that GPT-2's pieces write them as (Radford et al. 2019)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    shifted = {chr(256 + place): byte for place, byte in enumerate(others)}
    return {**{chr(byte): byte for byte in printable}, **shifted}


_BYTE_LEVEL = _byte_level()
_READABLE = str.maketrans({" ": "▁", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_SENTENCES = "several sentences"
"""Name of what was told, beside characters, which are shorter."""


def _readable_bytes(piece: bytes | None) -> str:
    try:
        return "" if piece is None else piece.decode()
    except UnicodeDecodeError:
        return ""


def _library(document: Document) -> LibraryTokenizer:
    import tokenizers

    library = tokenizers.Tokenizer.from_str(json.dumps(document))
    # A text that spells "</s>" is text. The library does not store this setting in its file.
    library.encode_special_tokens = True
    return library


def _encoded(library: LibraryTokenizer, texts: Sequence[str]) -> list[list[int]]:
    ids = list[list[int]]()
    with progress("tokenizing", len(texts), "texts") as done:
        for start in range(0, len(texts), _AT_ONCE):
            part = list(texts[start : start + _AT_ONCE])
            try:
                ids += [one.ids for one in library.encode_batch_fast(part, add_special_tokens=False)]
            except TypeError:
                _refuse_surrogates(part)
                raise
            done(len(part))
    return ids


def _refuse_surrogates(texts: Iterable[str]) -> None:
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise TokenizerError(
                f"{text!r}: character {error.start + 1} is half of a surrogate pair, so this is not Unicode "
                "text; decode it from its file or request again, as UTF-8."
            ) from None


def _is_ours(document: object) -> bool:
    match document:
        case {"added_tokens": [*tokens], "model": {"whyformer": {"kind": str()}}}:
            return len(tokens) >= len(special_tokens.NAMES) and all(
                isinstance(token, dict) and (token.get("id"), token.get("content")) == expected
                for token, expected in zip(tokens, enumerate(special_tokens.NAMES), strict=False)
            )
        case _:
            return False
