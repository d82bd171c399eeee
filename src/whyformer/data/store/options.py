"""Stores of token ids, as the command line asks for them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from whyformer.config.validation import check
from whyformer.data.store.build import StoreSettings, build_store
from whyformer.data.store.manifest import StoreManifest
from whyformer.data.store.text.inputs import ExampleInputs, TextInputs
from whyformer.data.store.text.tables import DatasetInputs
from whyformer.data.tokenizers.pair import JointTokenizer, SeparateTokenizers, TokenizerPair
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.errors import DataError
from whyformer.machine import usable_cores


class TokenizerChoice(NamedTuple):
    """Tokenizers of a store: ready ones, or what to train."""

    ready: Path | None
    """A tokenizer's file, or a folder with the tokenizers of a run or store."""
    kind: str | None
    """Kind of those that are trained."""
    vocabulary: int | None
    """Maximum number of pieces of each."""
    separate: bool
    """Whether each side has its own."""
    coverage: float | None = None
    """Share of characters that are pieces, the rarest left out."""


def text_inputs(
    sources: Sequence[Path], targets: Sequence[Path], split: Literal["blank_lines", "lines"] | None
) -> TextInputs:
    """The examples in ``sources``, pairs with ``targets`` where there are some.

    Raises:
        DataError: options do not go together.
    """
    if targets and split is not None:
        raise DataError("--split is for text without translations; with --target each line is a sentence.")
    if not sources:
        raise DataError("there is nothing to read; name text FILES, or a data set by --from-datasets.")
    if targets:
        return TextInputs("pairs", (tuple(sources), tuple(targets)))
    return TextInputs("lines" if split == "lines" else "documents", (tuple(sources),))


def dataset_inputs(source: str, part: str, fields: Sequence[str]) -> DatasetInputs:
    """The examples in one or two ``fields`` of a data set.

    Raises:
        DataError: there are other numbers of fields; or see ``DatasetInputs``.
    """
    if len(fields) not in (1, 2):
        raise DataError(
            "--from-datasets takes texts from --field COLUMN; for pairs from two, sources and translations."
        )
    return DatasetInputs(source, part, fields, "pairs" if len(fields) == 2 else "documents")


def write_store(
    inputs: ExampleInputs,
    store: Path,
    *,
    tokenizers: TokenizerChoice,
    sample: int,
    held_out: int,
    seed: int,
    processes: int | None,
    say: Callable[[str], None],
) -> StoreManifest:
    """Build a store of the examples in ``inputs``.

    Raises:
        DataError: options do not go together; or see ``build_store``.
        TokenizerError: likewise.
    """
    if len(inputs.sides) == 1 and tokenizers.separate:
        raise DataError("--separate is for two sides; text without --target has one.")
    settings = StoreSettings(_tokenizers(tokenizers), sample=sample, held_out=held_out, seed=seed)
    return build_store(inputs, store, settings, processes=processes or usable_cores(), say=say)


def _tokenizers(choice: TokenizerChoice) -> JointTokenizer | SeparateTokenizers | TokenizerPair:
    if choice.ready is not None:
        if choice.kind or choice.vocabulary or choice.separate or choice.coverage:
            raise DataError(
                "--tokenizer takes tokenizers as they are; --kind, --vocabulary, --coverage and --separate "
                "are for new ones."
            )
        if choice.ready.is_dir():
            return TokenizerPair.load(choice.ready)
        both = Tokenizer.load(choice.ready)
        return TokenizerPair(both, both)
    sizes = {"vocabulary": choice.vocabulary, "coverage": choice.coverage}
    given = {
        "kind": choice.kind or "bpe",
        **{name: size for name, size in sizes.items() if size is not None},
    }
    if choice.separate:
        return check(SeparateTokenizers, {"source": given, "target": given}, "the options")
    return check(JointTokenizer, {"both": given}, "the options")
