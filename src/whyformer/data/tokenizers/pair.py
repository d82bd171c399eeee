"""One tokenizer for both sides of a translation, or one for each; trained, or those of another run."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from whyformer.config.paths import RunPath
from whyformer.data.tokenizers.kinds import BPE, TokenizerSpec
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.errors import TokenizerError
from whyformer.spec import Spec

JOINT = "tokenizer.json"
_SOURCE = "tokenizer.source.json"
_TARGET = "tokenizer.target.json"


@dataclass(frozen=True)
class TokenizerPair:
    """The tokenizers of the source and of the target side; the same object where they share one."""

    source: Tokenizer
    target: Tokenizer

    @property
    def joint(self) -> bool:
        """Whether both sides share one vocabulary, so that their embeddings may be tied."""
        return self.source is self.target

    @property
    def fingerprints(self) -> list[str]:
        """The fingerprint of each tokenizer."""
        return [self.source.fingerprint] if self.joint else [self.source.fingerprint, self.target.fingerprint]

    @property
    def description(self) -> str:
        """Kind and size of each tokenizer, in words."""
        if self.joint:
            return f"joint, {self.source.description}"
        return f"source {self.source.description}, target {self.target.description}"

    @property
    def file_names(self) -> list[str]:
        """Names of the files that ``save`` writes."""
        return [JOINT] if self.joint else [_SOURCE, _TARGET]

    def save(self, folder: Path) -> None:
        """Write ``tokenizer.json``, or ``tokenizer.source.json`` and ``tokenizer.target.json``."""
        if self.joint:
            self.source.save(folder / JOINT)
        else:
            self.source.save(folder / _SOURCE)
            self.target.save(folder / _TARGET)

    @staticmethod
    def load(folder: Path) -> "TokenizerPair":
        """Read what :meth:`save` wrote.

        Raises:
            TokenizerError: a file is missing, damaged or foreign, or the folder holds both kinds.
        """
        joint, source, target = folder / JOINT, folder / _SOURCE, folder / _TARGET
        separate = source.exists() or target.exists()
        if joint.exists() and separate:
            raise TokenizerError(
                f"{folder}: holds {JOINT} and also separate ones; delete what is not in use."
            )
        if separate:
            return TokenizerPair(Tokenizer.load(source), Tokenizer.load(target))
        both = Tokenizer.load(joint)
        return TokenizerPair(both, both)


class JointTokenizer(Spec):
    """One tokenizer, trained on both sides: for languages of one script, and for tied embeddings."""

    kind: Literal["joint"] = "joint"
    both: TokenizerSpec = BPE()
    """The tokenizer of source and target."""

    def train(self, source: Iterable[str], target: Iterable[str]) -> TokenizerPair:
        """Train on the lines of both sides; see the kind's own ``train`` for errors."""
        tokenizer = self.both.train(chain(source, target))
        return TokenizerPair(tokenizer, tokenizer)


class SeparateTokenizers(Spec):
    """One tokenizer for each side: for languages of different scripts, or kinds that differ."""

    kind: Literal["separate"] = "separate"
    source: TokenizerSpec = BPE()
    """The tokenizer of the source side."""
    target: TokenizerSpec = BPE()
    """The tokenizer of the target side."""

    def train(self, source: Iterable[str], target: Iterable[str]) -> TokenizerPair:
        """Train each on its own lines; see the kind's own ``train`` for errors."""
        return TokenizerPair(self.source.train(source), self.target.train(target))


class TokenizersOfRun(Spec):
    """The tokenizers of another run, as they are: every token has the same id here."""

    kind: Literal["run"] = "run"
    run: RunPath
    """Folder of the run. Its tokenizers are copied, so that later it may be gone."""

    def train(self, source: Iterable[str], target: Iterable[str]) -> TokenizerPair:
        """Read them; no line of either side is looked at.

        Raises:
            TokenizerError: the run has none, or they are damaged.
        """
        return TokenizerPair.load(self.run)


TokenizersSpec = Annotated[JointTokenizer | SeparateTokenizers | TokenizersOfRun, Field(discriminator="kind")]
