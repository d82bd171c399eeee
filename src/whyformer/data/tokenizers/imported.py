"""Tokenizers of other toolkits: brought to our ids and special tokens, and back to theirs.

What cuts the text (normalizer, pre-tokenizer, merges, scores) stays as it is, so the pieces stay the same.
"""

from collections.abc import Iterable, Sequence
from typing import ClassVar, Literal, Self

from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.errors import TokenizerError
from whyformer.spec import Spec
from whyformer.special_tokens import BOS, NAMES

MASK_NAME = "[MASK]"
"""Our name of the special token that hides another."""


class Imported(Spec):
    """A tokenizer that came with an imported model; it cannot be trained."""

    origin: ClassVar[str] = "another toolkit"
    kind: Literal["imported"] = "imported"
    model: str = ""
    """The kind of model it came with, as Hugging Face calls it."""
    ids: tuple[int | None, ...] = (0, 1, 2, 3)
    """Ids that the special tokens had there, the four base ones first; null where there was none."""
    names: tuple[str, ...] = NAMES
    """Names that they had there."""
    mask: str = MASK_NAME
    """Name there of the token that hides another; here it is [MASK]."""
    opens: bool = True
    """Whether a prompt begins with BOS, as their tokenizer has it."""
    separators: int = 1
    """Number of EOS between two texts that are read together."""
    strays: int = 0
    """Number of pieces, the last of all, that were the unknown token there."""

    @property
    def specials(self) -> tuple[str, ...]:
        """Special tokens besides the four base ones, by our names."""
        return tuple(MASK_NAME if name == self.mask else name for name in self.names[len(NAMES) :])

    def for_documents(self) -> Self:
        """The same: its normal form is in its file."""
        return self

    def train(self, lines: Iterable[str]) -> Tokenizer:
        """Refuse.

        Raises:
            TokenizerError: always.
        """
        raise TokenizerError(
            "tokenizer.kind is imported, which cannot be trained; name another kind, or keep it by starting "
            "from the run that was imported (`start: runs/NAME`)."
        )


def separators(tokenizer: Tokenizer) -> int:
    """Number of EOS between two texts that are read together: one, unless an imported one has more."""
    spec = tokenizer.spec
    return 1 if spec["kind"] != "imported" else Imported.model_validate(spec).separators


def prompt_tokens(tokenizer: Tokenizer, ids: Sequence[int]) -> list[int]:
    """A prompt of ``ids`` as its tokenizer begins it; an empty one is BOS alone, as a model has to read."""
    return [*([BOS] if opens_with_bos(tokenizer) else []), *ids] or [BOS]


def opens_with_bos(tokenizer: Tokenizer) -> bool:
    """Whether a prompt cut by ``tokenizer`` begins with BOS: always, unless an imported one has none."""
    spec = tokenizer.spec
    return spec["kind"] != "imported" or Imported.model_validate(spec).opens
