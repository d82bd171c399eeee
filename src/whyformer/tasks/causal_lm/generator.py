"""The generator: the beginning of a text in, the text out."""

from collections.abc import Callable, Iterator, Sequence

import torch

from whyformer.data.batches.batch import Batch
from whyformer.data.batches.planning import map_by_length
from whyformer.data.tokenizers.specials import BYTES
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.decoding.hypothesis import Hypothesis
from whyformer.decoding.search import SearchSpec, search
from whyformer.errors import DecodingError
from whyformer.models.gpt import GPT
from whyformer.special_tokens import BOS, NAMES, UNK
from whyformer.tasks.output import TextOutput


class Generator:
    """A trained language model with its tokenizer and its way of searching.

    White space at the end of a prompt is dropped: it belongs to the word that follows. An empty prompt is
    the beginning of a document.
    """

    def __init__(self, model: GPT, tokenizer: Tokenizer, settings: SearchSpec) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.settings = settings
        """Way to search where a call does not say otherwise."""

    def __call__(self, prompt: str = "") -> str:
        """``prompt`` and what follows it."""
        return prompt.rstrip(" ") + self.generate([prompt])[0][0].text

    def generate(
        self,
        prompts: Sequence[str],
        settings: SearchSpec | None = None,
        *,
        batch: int = 64,
        first: int = 1,
    ) -> list[list[TextOutput]]:
        """Continuations of each prompt, best first; an output's text leaves the prompt out.

        Args:
            prompts: beginnings of texts.
            settings: how to search; the recipe's way if left out.
            batch: prompts side by side; it changes the speed, not the result.
            first: the number of the first prompt in the caller's data: what is drawn for it depends on that.

        Raises:
            DecodingError: a prompt is longer than the model reads, or the settings do not suit the model.
        """
        encoded = self._encoded(prompts, first)
        settings = self.settings if settings is None else settings

        def write(order: list[int]) -> Iterator[list[TextOutput]]:
            rows, last, limit = self._rows([encoded[index] for index in order])
            numbers = [first + index for index in order]
            found = search(
                self.model,
                rows.tokens,
                rows.layout,
                settings,
                model_limit=limit,
                first=last,
                numbers=numbers,
            )
            for index, hypotheses in zip(order, found, strict=True):
                opens = len(encoded[index]) == 1
                yield [self._candidate(hypothesis, opens) for hypothesis in hypotheses]

        return map_by_length(write, [len(ids) for ids in encoded], batch)

    def stream(self, prompt: str, write: Callable[[str], object], settings: SearchSpec | None = None) -> None:
        """Write what follows ``prompt`` piece by piece; all pieces joined are what ``generate`` gives.

        Raises:
            DecodingError: as for ``generate``; or the search follows several texts, none of which is decided
                before the end.
        """
        settings = self.settings if settings is None else settings
        strategy = settings.build()
        if strategy.width * strategy.samples > 1:
            raise DecodingError(
                "several texts cannot be shown while they are written; search greedily, or draw one sample."
            )
        encoded = self._encoded([prompt], 1)
        rows, last, limit = self._rows(encoded)
        opens, shown = len(encoded[0]) == 1, 0

        def show(ids: Sequence[int]) -> None:
            nonlocal shown
            text = self._text(ids, opens)
            write(text[shown:])
            shown = len(text)

        def watch(prefixes: torch.Tensor) -> None:
            ids: list[int] = prefixes[0].tolist()
            # Bytes make characters together with those that follow, or do not.
            if self.tokenizer.pieces[ids[-1]] not in BYTES:
                show(ids)

        found = search(
            self.model,
            rows.tokens,
            rows.layout,
            settings,
            model_limit=limit,
            first=last,
            numbers=[1],
            watch=watch,
        )
        show(found[0][0].tokens)

    def _encoded(self, prompts: Sequence[str], first: int) -> list[list[int]]:
        stripped = [prompt.rstrip(" ") for prompt in prompts]
        encoded = [[BOS, *ids] for ids in self.tokenizer.encode_all(stripped)]
        for number, ids in enumerate(encoded, start=first):
            if len(ids) > self.model.longest:
                raise DecodingError(
                    f"prompt {number} has {len(ids) - 1:,} tokens, but the model reads "
                    f"{self.model.longest - 1:,} at most; shorten it."
                )
        return encoded

    def _rows(self, encoded: Sequence[Sequence[int]]) -> tuple[Batch, torch.Tensor, torch.Tensor]:
        """Prompts (B,S), the last token (B,) of each, and how many the model can write after it (B,)."""
        device = self.model.output_weight.device
        lengths = torch.tensor([len(ids) for ids in encoded], device=device)
        last = torch.tensor([ids[-1] for ids in encoded], device=device)
        # The last token that is written need not be read.
        return Batch.of(encoded, device), last, self.model.longest - lengths + 1

    def _candidate(self, hypothesis: Hypothesis, opens: bool) -> TextOutput:
        ids = hypothesis.tokens
        text, readable = self._text(ids, opens), self.tokenizer.tokens(ids)
        return TextOutput(text, hypothesis.score, ids, readable, hypothesis.finished)

    def _text(self, ids: Sequence[int], opens: bool) -> str:
        """The text of ``ids``, which open a document or follow something: then a space in front is kept."""
        if opens:
            return self.tokenizer.decode(ids)
        return self.tokenizer.decode([UNK, *ids]).removeprefix(NAMES[UNK])
