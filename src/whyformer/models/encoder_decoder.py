"""Base of every model that reads one sentence and writes another.

B batch · S source length · T target length · M model dimension · V vocabulary
"""

from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Generic, Protocol, TypeVar

from torch import Tensor, nn
from typing_extensions import override

from whyformer.nn.embedding import EmbeddingSpec, OutputTable, TokenEmbedding
from whyformer.position.layout import Padding
from whyformer.tap import record


class EncoderDecoderSpec(Protocol):
    """Protocol of such a model's spec."""

    @property
    def d_model(self) -> int:
        """Components of the vector that stands for a token."""
        ...

    @property
    def embedding(self) -> EmbeddingSpec:
        """Token embeddings and what they share."""
        ...

    @property
    def longest(self) -> int:
        """Maximum number of tokens of a source or target sentence, special tokens included."""
        ...


class EncoderDecoderState(ABC):
    """Memory of a decoder: the prefixes so far, a row per hypothesis."""

    def __init__(self, watch_attention: bool) -> None:
        self.watch_attention = watch_attention
        self.attention: Tensor | None = None
        """The last step's attention (R,S) to the source, if it was asked for."""
        self.scores_tokens = True
        """Whether a step ends with logits (R,V); if not, with hidden states (R,M), which others score."""

    @contextmanager
    def watching(self, module: nn.Module, tap: str) -> Generator[None]:
        """Keep the weights that pass the ``tap`` of ``module`` in a step, if asked for; mean over heads."""
        if not self.watch_attention:
            yield
            return
        with record(module, tap) as tape:
            yield
        if tap in tape:
            # (G,H,W,S) -> (G,W,S) -> (R,S): W hypotheses of a sentence read its memory side by side
            self.attention = tape[tap][0].mean(dim=1).flatten(0, 1)

    @abstractmethod
    def select(self, rows: Tensor) -> None:
        """Keep, reorder or repeat hypotheses: ``rows`` (R',) int64."""


StateT = TypeVar("StateT", bound=EncoderDecoderState)


class EncoderDecoder(OutputTable, ABC, Generic[StateT]):
    """Embeddings of source, target and output, and the ways in which tasks and searches call a model.

    Each table is registered once, shared or not.
    """

    def __init__(self, spec: EncoderDecoderSpec, source_vocabulary: int, target_vocabulary: int) -> None:
        super().__init__()
        tie, d_model = spec.embedding.tie, spec.d_model
        if tie == "all" and source_vocabulary != target_vocabulary:
            raise ValueError(
                f"source and target cannot share one embedding: the vocabularies have {source_vocabulary} "
                f"and {target_vocabulary} tokens; train a joint tokenizer or set model.embedding.tie: output"
            )
        self.longest = spec.longest
        self.source_embedding = TokenEmbedding(source_vocabulary, d_model, spec.embedding)
        self.own_target_embedding: TokenEmbedding | None = None
        if tie != "all":
            self.own_target_embedding = TokenEmbedding(target_vocabulary, d_model, spec.embedding)
        self.make_output(target_vocabulary, d_model, spec.embedding)

    @property
    @override
    def target_embedding(self) -> TokenEmbedding:
        return self.source_embedding if self.own_target_embedding is None else self.own_target_embedding

    @abstractmethod
    def forward(self, source: Tensor, source_valid: Padding, target: Tensor, target_valid: Padding) -> Tensor:
        """Teacher forcing: hidden states (B,T,M), where row t has read ``target`` (B,T) up to t."""

    @abstractmethod
    def start(self, source: Tensor, valid: Padding, watch_attention: bool = False) -> StateT:
        """Read the sources (B,S) and stand before the first target token, a row per sentence.

        ``watch_attention`` keeps each step's attention to the source as ``state.attention`` (R,S).
        """

    @abstractmethod
    def step(self, tokens: Tensor, state: StateT) -> Tensor:
        """Feed one more token to every hypothesis, ``tokens`` (R,); logits (R,V) of the next."""


AnyEncoderDecoder = EncoderDecoder[Any]
"""For those who hand a model's own state back to it and never look inside."""
