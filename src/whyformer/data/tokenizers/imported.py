"""Tokenizers of other toolkits: brought to our ids and special tokens, and back to theirs.

What cuts the text (normalizer, pre-tokenizer, merges, scores) stays as it is, so the pieces stay the same.
"""

from collections.abc import Iterable
from typing import ClassVar, Literal, Self

from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.errors import TokenizerError
from whyformer.spec import Spec
from whyformer.special_tokens import NAMES


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

    @property
    def specials(self) -> tuple[str, ...]:
        """Special tokens besides the four base ones."""
        return self.names[len(NAMES) :]

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
