"""One shard: texts to token ids, and two files of plain numbers.

E examples · S sides · N tokens of all of them
"""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyformer.data.corpora.lines import Reason, SentencePair
from whyformer.data.corpora.pairs.copies import HeldOutTexts, folded
from whyformer.data.store.manifest import Shard, check_files, digest_of
from whyformer.data.store.text.digest import TextDigest
from whyformer.data.store.text.fitness import decoded, unfit_reason
from whyformer.data.store.text.inputs import ExampleKind, TextBlock
from whyformer.data.tokenizers.pair import TokenizerPair
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.errors import DataError
from whyformer.files import write_bytes, write_text

TOKENS, LENGTHS = "tokens.npy", "lengths.npy"
"""Ends of the names of a shard's files: (N,) ids of the first side of an example, then of its next; (E,S)."""
HELD_OUT_REASON = "held out"


@dataclass(frozen=True)
class ShardMaker:
    """Writes shards; what is in one depends on its block and on these settings alone."""

    store: Path
    kind: ExampleKind
    tokenizers: TokenizerPair
    held_out: list[tuple[str, ...]]
    """Texts of the examples that are held out, whose copies are not trained on either."""
    key: str
    """Hash of all of that, and of the whole text."""

    def make(self, number: int, block: TextBlock) -> tuple[Shard, NDArray[np.int64]]:
        """The shard of a block, which is kept if it is there and whole, and how often each token is in it."""
        # A file may have changed after a kill, or since the whole text was looked at.
        key = digest_of([self.key, TextDigest(block.columns).value])
        found = self._present(number, key)
        if found is not None:
            tokens, lengths = (_array(self.store / f"{number:05}.{end}") for end in (TOKENS, LENGTHS))
        else:
            examples, dropped = self.examples(block)
            tokens, lengths = self._encoded(examples)
            found = self._write(number, key, tokens, lengths, dropped)
        return found, self._counts(tokens, lengths)

    def examples(self, block: TextBlock) -> tuple[list[tuple[str, ...]], dict[str, int]]:
        """The examples of a block that are fit to train on, and the number of the others by their reasons."""
        kept, dropped = list[tuple[str, ...]](), Counter[str]()
        for texts in zip(*(map(decoded, column) for column in block.columns), strict=True):
            example = tuple(text for text in texts if not isinstance(text, Reason))
            bad = next((str(text) for text in texts if isinstance(text, Reason)), None)
            reason = bad or self._reason(example)
            if reason is None:
                kept.append(example)
            else:
                dropped[reason] += 1
        return kept, dict(sorted(dropped.items()))

    def _reason(self, example: tuple[str, ...]) -> str | None:
        if unfit := unfit_reason(example):
            return unfit
        if not self.held_out:
            return None
        if self.kind == "pairs":
            shared = self._pairs.shares(SentencePair(*example))
            return HELD_OUT_REASON if shared else None
        return HELD_OUT_REASON if folded(example[0]) in self._texts else None

    @cached_property
    def _pairs(self) -> HeldOutTexts:
        return HeldOutTexts((source, [target]) for source, target in self.held_out)

    @cached_property
    def _texts(self) -> set[str]:
        return {folded(text) for (text,) in self.held_out}

    @property
    def _sides(self) -> tuple[Tokenizer, ...]:
        pair = self.tokenizers
        return (pair.source, pair.target) if self.kind == "pairs" else (pair.source,)

    def _encoded(self, examples: Sequence[tuple[str, ...]]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Tokens (N,) and lengths (E,S), in the smallest type that has room for each."""
        sides = [
            tokenizer.encode_all([example[side] for example in examples])
            for side, tokenizer in enumerate(self._sides)
        ]
        count = np.array([[*map(len, side)] for side in sides], dtype=np.int64).reshape(len(sides), -1).T
        ids = chain.from_iterable(chain.from_iterable(zip(*sides, strict=True)))
        wide = max(tokenizer.size for tokenizer in self._sides) > 1 << 16
        tokens = np.fromiter(ids, dtype="<u4" if wide else "<u2", count=int(count.sum()))
        # Two less than fits: special tokens are counted in later.
        return tokens, count.astype("<u2" if count.max(initial=0) < (1 << 16) - 2 else "<u4")

    def _counts(self, tokens: NDArray[Any], lengths: NDArray[Any]) -> NDArray[np.int64]:
        """How often each token stands on each side, (S, largest vocabulary)."""
        side_of = np.repeat(np.tile(np.arange(lengths.shape[1]), len(lengths)), lengths.ravel())
        most = max(tokenizer.size for tokenizer in self._sides)
        counts = [np.bincount(tokens[side_of == side], minlength=most) for side in range(lengths.shape[1])]
        return np.stack(counts)

    def _write(
        self, number: int, key: str, tokens: NDArray[Any], lengths: NDArray[Any], dropped: dict[str, int]
    ) -> Shard:
        name, hashes = f"{number:05}", dict[str, str]()
        for end, array in ((TOKENS, tokens), (LENGTHS, lengths)):
            data = array_bytes(array)
            hashes[f"{name}.{end}"] = hashlib.sha256(data).hexdigest()
            write_bytes(self.store / f"{name}.{end}", data)
        shard = Shard(name, len(lengths), len(tokens), dropped, hashes)
        # Behind its files: where this record is whole, so are they.
        write_text(_record(self.store, number), json.dumps({"key": key, **asdict(shard)}) + "\n")
        return shard

    def _present(self, number: int, key: str) -> Shard | None:
        """The shard as it lies there, if it is of this very build and text, and whole."""
        try:
            record = json.loads(_record(self.store, number).read_text(encoding="utf-8"))
            if record.pop("key") != key:
                return None
            shard = Shard(**record)
            check_files(self.store, shard.sha256.items())
        except (OSError, ValueError, KeyError, TypeError, AttributeError, DataError):
            return None
        return shard


def _record(store: Path, number: int) -> Path:
    return store / f"{number:05}.json"


def _array(path: Path) -> NDArray[Any]:
    return np.load(path, mmap_mode="r", allow_pickle=False)


def array_bytes(array: NDArray[Any]) -> bytes:
    """The array as the bytes of a .npy file."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def strays(store: Path, names: set[str]) -> Iterator[Path]:
    """Files of shards in a ``store`` that are not among ``names``, and what a kill has left half written."""
    for path in store.iterdir():
        is_shard = path.name[:5].isdecimal() and path.name[5:6] == "."
        if path.name.endswith(".tmp") or (is_shard and path.name[:5] not in names):
            yield path
