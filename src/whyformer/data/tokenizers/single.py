"""The one tokenizer of a model that reads and writes the same language."""

from dataclasses import dataclass
from pathlib import Path

from whyformer.data.tokenizers.pair import JOINT
from whyformer.data.tokenizers.tokenizer import Tokenizer


@dataclass(frozen=True)
class SingleTokenizer:
    """One tokenizer as the assets of a run."""

    tokenizer: Tokenizer

    @property
    def fingerprints(self) -> list[str]:
        """The tokenizer's fingerprint alone."""
        return [self.tokenizer.fingerprint]

    @property
    def description(self) -> str:
        """Its kind and size, in words."""
        return self.tokenizer.description

    def save(self, folder: Path) -> None:
        """Write ``tokenizer.json``."""
        self.tokenizer.save(folder / JOINT)

    @staticmethod
    def load(folder: Path) -> "SingleTokenizer":
        """Read what ``save`` wrote.

        Raises:
            TokenizerError: the file is missing, damaged or foreign.
        """
        return SingleTokenizer(Tokenizer.load(folder / JOINT))
