"""Building of a store: a survey, tokenizers, shards in parallel, and the manifest last.

A kill at any moment leaves files that are whole or not there. Building again goes over the text once more,
keeps each shard whose record and hashes are those of this build, and makes the others.
"""

import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from whyformer.data.store.index import write_index
from whyformer.data.store.manifest import (
    COUNTS,
    HELD_OUT_FILE,
    Shard,
    StoreManifest,
    all_dropped,
    digest_of,
    file_digest,
)
from whyformer.data.store.processes import made_shards
from whyformer.data.store.shards import ShardMaker, array_bytes, strays
from whyformer.data.store.text.digest import TextDigest
from whyformer.data.store.text.inputs import ExampleInputs, TextBlock
from whyformer.data.store.text.survey import TextSurvey, survey
from whyformer.data.tokenizers.kinds import TokenizerSpec
from whyformer.data.tokenizers.pair import JointTokenizer, SeparateTokenizers, TokenizerPair
from whyformer.errors import DataError, TokenizerError, WhyformerNote
from whyformer.files import check_writable, make_folder, remove_empty, write_bytes, write_text
from whyformer.progress import progress
from whyformer.special_tokens import NAMES, UNK

_LOCK, _TRAINED = ".lock", "tokenizers.json"
"""The second says what the tokenizers that lie there were trained on."""
_UNKNOWN = 0.01
"""Share of tokens that stand for text which the tokenizers do not know, from which on that is said."""
_FOREIGN = 0.5
"""Share from which on the tokenizers are those of another text."""
_LOOKED_AT = 2_000
"""Examples that ready tokenizers are tried on."""


@dataclass(frozen=True)
class StoreSettings:
    """Choices of a build."""

    tokenizers: JointTokenizer | SeparateTokenizers | TokenizerPair
    """Tokenizers to train on a sample of the text, or ready ones."""
    sample: int = 200_000
    """Maximum number of examples of that sample."""
    held_out: int = 1000
    """Maximum number of examples that are held out to choose weights by."""
    seed: int = 1
    """Of both draws."""
    rows: int = 50_000
    """Examples of a shard."""

    @property
    def record(self) -> dict[str, object]:
        """Everything that decides what is in the store, besides the text and ready tokenizers."""
        ready = isinstance(self.tokenizers, TokenizerPair)
        trained = (
            None if isinstance(self.tokenizers, TokenizerPair) else self.tokenizers.model_dump(mode="json")
        )
        return {
            "tokenizers": trained,
            "sample": None if ready else self.sample,
            "held_out": self.held_out,
            "seed": self.seed,
            "rows": self.rows,
        }


def build_store(
    inputs: ExampleInputs,
    store: Path,
    settings: StoreSettings,
    *,
    processes: int = 1,
    say: Callable[[str], None] = lambda _line: None,
) -> StoreManifest:
    """Write the token ids of all examples into the folder ``store``; what is there of this build is kept.

    ``say`` is told what was read and decided.

    Raises:
        DataError: a file cannot be read, nothing is left to train on, or there is a store of other text.
        TokenizerError: there is too little text for the tokenizers, or ready ones do not know it.
        WhyformerError: the disk is full, or another process builds there.
    """
    check_writable(store)
    made = make_folder(store)
    try:
        with FileLock(store / _LOCK, timeout=0):
            return _built(inputs, store, settings, processes, say)
    except Timeout:
        raise DataError(f"{store}: another process builds this store; wait for it.") from None
    except BaseException:
        # A folder of a build that wrote nothing goes, if it was not there before.
        with suppress(OSError):
            if made and [path.name for path in store.iterdir()] == [_LOCK]:
                (store / _LOCK).unlink()
                remove_empty(made)
        raise


def _built(
    inputs: ExampleInputs, store: Path, settings: StoreSettings, processes: int, say: Callable[[str], None]
) -> StoreManifest:
    with progress("reading", inputs.megabytes, "MB") as advance:
        found = survey(
            inputs,
            settings.rows,
            sample=settings.sample,
            held_out=settings.held_out,
            seed=settings.seed,
            advance=advance,
        )
    said = f"{found.examples:,} {inputs.kind} read, {len(found.held_out):,} of them held out"
    say(said if settings.held_out else f"{found.examples:,} {inputs.kind} read")
    text_key = digest_of([found.digest, inputs.kind, len(inputs.sides), settings.record])
    _refuse_other_store(store, text_key, settings.tokenizers)
    pair = _tokenizers(inputs, store, settings, found, text_key, say)
    maker = ShardMaker(store, inputs.kind, pair, found.held_out, digest_of([text_key, pair.fingerprints]))
    pair.save(store)
    write_text(store / HELD_OUT_FILE, json.dumps(found.held_out, ensure_ascii=False) + "\n")
    shards, counts = _shards(maker, inputs, settings.rows, processes, found)
    _refuse_empty(store, shards)
    _note_unknown(counts)
    for path in strays(store, {shard.name for shard in shards}):
        path.unlink()
    write_bytes(store / COUNTS, array_bytes(counts))
    names = [HELD_OUT_FILE, COUNTS, *pair.file_names]
    others = {name: file_digest(store / name) for name in names}
    manifest = StoreManifest(inputs.kind, text_key, pair.fingerprints, shards, others)
    manifest.save(store)
    write_index(store, manifest)
    return manifest


def _refuse_other_store(store: Path, text_key: str, tokenizers: object) -> None:
    """Refuse a folder with a whole store of other text, tokenizers or settings.

    Raises:
        DataError: there is one.
    """
    try:
        present = StoreManifest.load(store)
    except DataError:
        return  # none, or one that is made anew
    ready = tokenizers.fingerprints if isinstance(tokenizers, TokenizerPair) else present.tokenizers
    if (present.key, present.tokenizers) != (text_key, ready):
        raise DataError(
            f"{store}: holds a store of other text, tokenizers or options; choose another folder, or remove "
            "this one."
        )


def _shards(
    maker: ShardMaker, inputs: ExampleInputs, rows: int, processes: int, found: TextSurvey
) -> tuple[list[Shard], NDArray[np.int64]]:
    """All shards, and how often each token stands on each side of them."""
    shards, counts, digest = list[Shard](), None, TextDigest()

    def read() -> Iterator[TextBlock]:
        for block in inputs.blocks(rows):
            digest.add(block.columns)
            yield block

    with progress("tokenizing", found.examples, inputs.kind) as advance:
        for shard, more in made_shards(maker, read(), processes):
            shards.append(shard)
            counts = more if counts is None else counts + more
            advance(shard.examples + sum(shard.dropped.values()))
    if digest.value != found.digest or counts is None:
        raise DataError(f"{maker.store}: the files have changed while they were read; build the store again.")
    return shards, counts


def _refuse_empty(store: Path, shards: Sequence[Shard]) -> None:
    """Refuse a store of no examples, and say what has become of those that there were.

    Raises:
        DataError: there are none.
    """
    if any(shard.examples for shard in shards):
        return
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in all_dropped(shards).items())
    raise DataError(f"{store}: nothing is left to train on; of the examples were left out: {reasons}.")


def _note_unknown(counts: NDArray[np.int64]) -> None:
    """Note how much the tokenizers do not know, if that is much."""
    share = counts[:, UNK].sum() / max(1, counts.sum())
    if share >= _UNKNOWN:
        told = f"{share:.1%} of all tokens are {NAMES[UNK]}: text that the tokenizers do not know."
        warnings.warn(WhyformerNote(told), stacklevel=2)


def _tokenizers(
    inputs: ExampleInputs,
    store: Path,
    settings: StoreSettings,
    found: TextSurvey,
    text_key: str,
    say: Callable[[str], None],
) -> TokenizerPair:
    """The tokenizers that are given, that lie there from a build of this text, or new ones."""
    if isinstance(settings.tokenizers, TokenizerPair):
        _refuse_foreign(settings.tokenizers, found.sample[:_LOOKED_AT])
        return settings.tokenizers
    try:
        said = json.loads((store / _TRAINED).read_text(encoding="utf-8"))
        pair = TokenizerPair.load(store)
        if said == {"text": text_key, "tokenizers": pair.fingerprints}:
            return pair
    except (OSError, ValueError, TokenizerError):
        pass
    (store / _TRAINED).unlink(missing_ok=True)
    size = sum(len(text.encode()) for example in found.sample for text in example)
    say(
        f"tokenizers are trained on {len(found.sample):,} of {found.examples:,} {inputs.kind} "
        f"({size / 1e6:,.1f} MB), drawn by the seed {settings.seed}"
    )
    pair = _trained(inputs, settings.tokenizers, found.sample)
    pair.save(store)
    write_text(store / _TRAINED, json.dumps({"text": text_key, "tokenizers": pair.fingerprints}) + "\n")
    return pair


def _refuse_foreign(pair: TokenizerPair, sample: Sequence[tuple[str, ...]]) -> None:
    """Refuse ready tokenizers that know next to nothing of the text in ``sample``.

    Raises:
        TokenizerError: one of them does.
    """
    for tokenizer, texts in zip((pair.source, pair.target), zip(*sample, strict=True), strict=False):
        tokens = [token for each in tokenizer.encode_all(texts) for token in each]
        unknown = tokens.count(UNK) / max(1, len(tokens))
        if unknown > _FOREIGN:
            raise TokenizerError(
                f"{unknown:.0%} of the tokens of this text would be {NAMES[UNK]}, as the tokenizer "
                f"({tokenizer.description}) was trained on text of another kind; choose another, or leave "
                "--tokenizer out to train one."
            )


def _trained(
    inputs: ExampleInputs, spec: JointTokenizer | SeparateTokenizers, sample: list[tuple[str, ...]]
) -> TokenizerPair:
    if inputs.kind == "pairs":
        return spec.train((source for source, _ in sample), (target for _, target in sample))
    assert isinstance(spec, JointTokenizer), "text without translations has one side"
    one: TokenizerSpec = spec.both
    tokenizer = one.for_documents().train(text for (text,) in sample)
    return TokenizerPair(tokenizer, tokenizer)
