"""The generator: the beginning of a text in, the text out."""

from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from typing import NamedTuple

import torch

from whyformer.data.batches.batch import Batch
from whyformer.data.batches.planning import map_by_length
from whyformer.data.tokenizers.imported import opens_with_bos, prompt_tokens
from whyformer.data.tokenizers.specials import BYTES
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.hypothesis import Hypothesis
from whyformer.decoding.search import SearchSpec, search
from whyformer.decoding.stopping import Wanted, still_wanted
from whyformer.engines.cores import in_turns
from whyformer.errors import DecodingError
from whyformer.models.gpt import GPT
from whyformer.special_tokens import BOS, NAMES, UNK
from whyformer.tasks.bad_lines import unreadable
from whyformer.tasks.opening import Tokens, openings
from whyformer.tasks.output import Piece, TextOutput

Prompt = str | tuple[int, ...]
"""The beginning of a text, or its tokens without BOS, which are read as they are."""


class Generator:
    """A trained language model with its tokenizer and its way of searching.

    White space at the end of a prompt is dropped: it belongs to the word that follows. An empty prompt is
    the beginning of a document. Where a prompt may end inside a piece, its last tokens are searched for, too,
    so that "ti" can become "time": then an output's score counts them, and its tokens begin
    with a piece that reaches beyond the prompt.
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
        prompts: Sequence[Prompt],
        settings: SearchSpec | None = None,
        *,
        batch: int = 64,
        first: int = 1,
        special_tokens: bool = False,
    ) -> list[list[TextOutput]]:
        """Continuations of each prompt, best first; an output's text leaves the prompt out.

        Args:
            prompts: beginnings of texts, or their tokens.
            settings: how to search; the recipe's way if left out.
            batch: prompts side by side; it changes the speed, not the result.
            first: the number of the first prompt in the caller's data: what is drawn for it depends on that.
            special_tokens: whether a special token's name in a prompt stands for the token, not for text.

        Raises:
            DecodingError: a prompt is longer than the model reads or no text, or the settings do not suit
                the model.
        """
        begun = self.begin(prompts, settings, first=first, special_tokens=special_tokens)
        return self.search(begun, settings, batch=batch)

    def search(
        self,
        begun: "Sequence[BegunText]",
        settings: SearchSpec | None = None,
        *,
        batch: int = 64,
        wanted: Wanted | None = None,
    ) -> list[list[TextOutput]]:
        """Continuations of each text that ``begin`` has begun for the same ``settings``, best first.

        Those of several callers may stand together, each with its own number. Those that are no longer
        ``wanted`` leave; whatever they have by then comes out.

        Raises:
            DecodingError: the settings do not suit the model.
        """
        settings = self.settings if settings is None else settings
        alike: dict[tuple[tuple[Tokens, ...], Tokens], list[int]] = {}
        for index, text in enumerate(begun):
            alike.setdefault((text.openings, text.rest), []).append(index)
        results: dict[int, list[TextOutput]] = {}
        for indices in alike.values():
            group = [begun[index] for index in indices]
            written = self._written(group, _opened(settings, group[0]), batch, still_wanted(wanted, indices))
            results.update(zip(indices, written, strict=True))
        return [results[index] for index in range(len(begun))]

    def _written(
        self, begun: "Sequence[BegunText]", settings: SearchSpec, batch: int, wanted: Wanted | None
    ) -> list[list[TextOutput]]:
        """Continuations of prompts that begin with the same choice of openings, or with none."""

        def write(order: list[int]) -> Iterator[list[TextOutput]]:
            rows, last, limit = self._rows([begun[index].head for index in order])
            found = search(
                self.model,
                rows.tokens,
                rows.layout,
                settings,
                model_limit=limit,
                first=last,
                numbers=[begun[index].number for index in order],
                wanted=still_wanted(wanted, order),
            )
            prompts = [begun[index] for index in order]
            return (
                [self._candidate(_cut(each, prompt, settings), prompt) for each in hypotheses]
                for prompt, hypotheses in zip(prompts, found, strict=True)
            )

        return map_by_length(in_turns(self.model, write), [len(prompt.head) for prompt in begun], batch)

    def stream(
        self,
        prompt: Prompt,
        write: Callable[[str], object],
        settings: SearchSpec | None = None,
        *,
        special_tokens: bool = False,
    ) -> None:
        """Write what follows ``prompt`` piece by piece; all pieces joined are what ``generate`` gives.

        Raises:
            DecodingError: as for ``generate``; or the search follows several texts, none of which is decided
                before the end.
        """
        self.follow(prompt, lambda piece: write(piece.text), settings, special_tokens=special_tokens)

    def follow(
        self,
        prompt: Prompt,
        show: Callable[[Piece], object],
        settings: SearchSpec | None = None,
        *,
        special_tokens: bool = False,
        wanted: Wanted | None = None,
    ) -> None:
        """Show what follows ``prompt`` piece by piece, as ``stream`` writes it, with what is known of it.

        Once the text is no longer ``wanted`` (1) nothing more is shown, and no last piece.

        Raises:
            DecodingError: as for ``stream``.
        """
        settings = self.settings if settings is None else settings
        strategy = settings.build()
        if strategy.width * strategy.samples > 1:
            raise DecodingError(
                "several texts cannot be shown while they are written; search greedily, or draw one sample."
            )
        (begun,) = self.begin([prompt], settings, special_tokens=special_tokens)
        settings = _opened(settings, begun)
        rows, last, limit = self._rows([begun.head])
        shown = 0

        def watch(prefixes: torch.Tensor) -> None:
            nonlocal shown
            ids: list[int] = prefixes[0].tolist()
            # Bytes make characters together with those that follow, or do not.
            if self.tokenizer.pieces[ids[-1]] not in BYTES:
                ids = ids[: _room(ids, begun, settings)]
                text = self._text(ids, begun)
                _ = show(Piece(text[shown:], max(0, len(ids) - _overlap(ids, begun))))
                shown = len(text)

        found = search(
            self.model,
            rows.tokens,
            rows.layout,
            settings,
            model_limit=limit,
            first=last,
            numbers=[begun.number],
            wanted=wanted,
            watch=watch,
        )
        if found[0]:  # nothing is there if it was no longer wanted
            whole = self._candidate(_cut(found[0][0], begun, settings), begun)
            _ = show(Piece(whole.text[shown:], whole.written, whole.finished))

    def begin(
        self,
        prompts: Sequence[Prompt],
        settings: SearchSpec | None = None,
        *,
        first: int = 1,
        special_tokens: bool = False,
    ) -> "list[BegunText]":
        """Texts ready for ``search`` by the same ``settings``; see ``generate`` for the rest.

        Raises:
            DecodingError: a prompt is longer than the model reads or no text.
        """
        settings = self.settings if settings is None else settings
        encoded = self._encoded(prompts, first, special_tokens)
        most = self.model.longest - opens_with_bos(self.tokenizer)
        for number, ids in enumerate(encoded, start=first):
            if len(ids) > most:
                raise DecodingError(
                    f"prompt {number} has {len(ids):,} tokens, but the model reads "
                    f"{most:,} at most; shorten it."
                )
        if special_tokens or settings.prefix:  # what follows is said in tokens, so the prompt is, too
            return [
                BegunText(number, prompt_tokens(self.tokenizer, ids))
                for number, ids in enumerate(encoded, start=first)
            ]
        most = settings.longest_extra if settings.longest_factor == 0 else self.model.longest
        return [
            self._prompt(number, prompt.rstrip(" "), ids, most)
            if isinstance(prompt, str)
            else BegunText(number, prompt_tokens(self.tokenizer, ids))
            for number, (prompt, ids) in enumerate(zip(prompts, encoded, strict=True), start=first)
        ]

    def _encoded(self, prompts: Sequence[Prompt], first: int, special_tokens: bool) -> list[list[int]]:
        """The tokens of each prompt."""
        for number, prompt in enumerate(prompts, start=first):
            if (why := self._unreadable(prompt, number)) is not None:
                raise DecodingError(why)
        texts = [prompt.rstrip(" ") for prompt in prompts if isinstance(prompt, str)]
        self.tokenizer.note_unseen([] if special_tokens else texts)
        if special_tokens:
            encoded = iter([self.tokenizer.encode_marked(text) for text in texts])
        else:
            encoded = iter(self.tokenizer.encode_all(texts))
        return [next(encoded) if isinstance(prompt, str) else [*prompt] for prompt in prompts]

    def _unreadable(self, prompt: Prompt, number: int) -> str | None:
        """A sentence on why the prompt of this ``number`` cannot be read; None if it can."""
        if isinstance(prompt, str):
            return unreadable(prompt, number)
        for id in prompt:
            if not 0 <= id < self.tokenizer.size:
                return (
                    f"prompt {number}: token id {id} is outside this tokenizer's 0 to "
                    f"{self.tokenizer.size - 1}; the ids come from another tokenizer."
                )
        return None

    def _prompt(self, number: int, text: str, ids: list[int], most: int) -> "BegunText":
        """``text``, cut into ``ids``, up to where all of its continuations are cut alike.

        ``most`` tokens are to be written behind it.
        """
        plain = BegunText(number, prompt_tokens(self.tokenizer, ids))
        if UNK in ids:
            return plain
        begins = openings(self.tokenizer, text)
        common = _in_common([*begins, tuple(ids)])
        # Behind the last of them there must be room for a token.
        room = min(self.model.longest - common, len(ids) - common + most) - 1
        rest = tuple(begin[common:] for begin in begins if len(begin) - common <= room)
        begun = self.tokenizer.decode(ids)
        if len(rest) < 2 or not all(map(len, rest)) or not _all_begin_with(self.tokenizer, begins, begun):
            return plain
        # A model has to read something before it writes, and BOS is not always in front.
        if common == 0 and not opens_with_bos(self.tokenizer):
            return plain
        head = prompt_tokens(self.tokenizer, ids[:common])
        return BegunText(number, head, rest, begun, tuple(ids[common:]))

    def _rows(self, encoded: Sequence[Sequence[int]]) -> tuple[Batch, torch.Tensor, torch.Tensor]:
        """Prompts (B,S), the last token (B,) of each, and how many the model can write after it (B,)."""
        device = self.model.output_weight.device
        lengths = torch.tensor([len(ids) for ids in encoded], device=device)
        last = torch.tensor([ids[-1] for ids in encoded], device=device)
        # The last token that is written need not be read.
        return Batch.of(encoded, device), last, self.model.longest - lengths + 1

    def _candidate(self, hypothesis: Hypothesis, begun: "BegunText") -> TextOutput:
        text, ids = self._text(hypothesis.tokens, begun), hypothesis.tokens
        completing = _overlap(ids, begun)
        if ids[: len(begun.rest)] == begun.rest:  # the prompt ended with a piece after all
            ids, completing = ids[len(begun.rest) :], 0
        readable = self.tokenizer.tokens(ids)
        return TextOutput(text, hypothesis.score, ids, readable, hypothesis.finished, completing)

    def _text(self, ids: Sequence[int], begun: "BegunText") -> str:
        """The text of ``ids`` behind a prompt; a space in front of it is kept, but not of a document's."""
        if begun.openings:
            return self.tokenizer.decode([*begun.head, *ids])[len(begun.text) :]
        if begun.head == [BOS]:
            return self.tokenizer.decode(ids)
        return self.tokenizer.decode([UNK, *ids]).removeprefix(NAMES[UNK])


class BegunText(NamedTuple):
    """The beginning of a text, in tokens."""

    number: int
    """Number of the prompt in the caller's data: draws depend on it."""
    head: list[int]
    """Tokens that are read, as the tokenizer begins a prompt: BOS in front, or nothing."""
    openings: tuple[Tokens, ...] = ()
    """Sequences, with one of which the search goes on; none where the prompt is all read."""
    text: str = ""
    """The whole prompt in normal form, if there are openings."""
    rest: Tokens = ()
    """Its tokens that are not read but searched for, as it is cut by itself."""


def _opened(settings: SearchSpec, begun: BegunText) -> SearchSpec:
    """The settings of a search that goes on from ``begun``; it writes as many tokens behind the prompt."""
    if not begun.openings:
        return settings
    changes = {"openings": begun.openings, "longest_extra": settings.longest_extra + len(begun.rest)}
    return type(settings).model_validate({**settings.model_dump(), **changes})


def _room(ids: Sequence[int], begun: BegunText, settings: SearchSpec) -> int:
    """Number of ``ids`` up to where as many are written behind the prompt's pieces as ``_opened`` allows.

    The prompt as it is cut by itself may have more pieces than the opening that was taken.
    """
    if not begun.openings or settings.longest_factor or isinstance(settings, BeamSpec):
        return len(ids)
    taken = next((len(each) for each in begun.openings if tuple(ids[: len(each)]) == each), len(begun.rest))
    return settings.longest_extra - len(begun.rest) + taken


def _overlap(ids: Sequence[int], begun: BegunText) -> int:
    """Number of first ``ids`` that hold the end of the prompt, if the text is as long as that."""
    begins = (begun.rest, *begun.openings)
    return next((len(each) for each in begins if tuple(ids[: len(each)]) == each), len(ids))


def _cut(hypothesis: Hypothesis, begun: BegunText, settings: SearchSpec) -> Hypothesis:
    """``hypothesis`` without what is beyond its room; one that is not searched among others is the same."""
    ids, told = hypothesis.tokens, hypothesis.token_log_probabilities
    room = _room(ids, begun, settings)
    if len(ids) + hypothesis.finished <= room:
        return hypothesis
    total = sum(told[:room])
    return Hypothesis(ids[:room], total, total, told[:room], finished=False)


def _in_common(sequences: Sequence[Tokens]) -> int:
    """Number of tokens with which all ``sequences`` begin."""
    same = (len(set(column)) == 1 for column in zip(*sequences, strict=False))
    return sum(1 for _ in takewhile(bool, same))


def _all_begin_with(tokenizer: Tokenizer, begins: Sequence[Tokens], text: str) -> bool:
    return all(each.startswith(text) for each in tokenizer.decode_all(begins))
