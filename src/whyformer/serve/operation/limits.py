"""Limits: how much one request may ask for."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from whyformer.decoding.search import SearchSpec
from whyformer.serve.refusals import InvalidRequestError, RequestTooLargeError

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Limits:
    """Bounds of what clients may ask for and of how slowly they may do so."""

    body: int = 16 * 2**20
    """Maximum size of a request's body, or of a message of a WebSocket, in bytes."""
    items: int = 128
    """Maximum number of texts in a request."""
    characters: int = 20_000
    """Maximum number of characters of all texts of a request together."""
    tokens: int = 2_048
    """Maximum number of tokens that a client may let a search write, on top of those in proportion to its
    source."""
    beams: int = 16
    """Maximum number of hypotheses that a beam search follows."""
    alternatives: int = 10
    """Maximum number of outputs for one text."""
    sessions: int = 32
    """Maximum number of WebSockets at a time."""
    seconds: float = 30.0
    """Maximum time in which a client sends its request, head and body, and takes a piece of an answer."""

    def check_texts(self, texts: Sequence[str], sent: int | None = None) -> None:
        """Refuse ``texts`` of one request that are too many, too long, or no texts.

        If they are pieces of texts, the number of those that were ``sent`` counts.

        Raises:
            RequestTooLargeError: they are too many or too long.
            InvalidRequestError: one holds half of a surrogate pair, as JSON can write it.
        """
        sent = len(texts) if sent is None else sent
        if sent > self.items:
            raise RequestTooLargeError(
                f"the request has {sent:,} texts and {self.items:,} are the most; send several."
            )
        characters = sum(map(len, texts))
        if characters > self.characters:
            raise RequestTooLargeError(
                f"the texts have {characters:,} characters and {self.characters:,} are the most; send "
                "several requests."
            )
        for number, text in enumerate(texts, start=1):
            if not text.isascii() and (found := _SURROGATE.search(text)):
                raise InvalidRequestError(
                    f"text {number}: character {found.start() + 1} is half of a surrogate pair, so this is "
                    "not Unicode text; send it as UTF-8."
                )

    def check_search(self, settings: SearchSpec | None) -> None:
        """Refuse ``settings`` of a search that costs too much.

        Raises:
            RequestTooLargeError: it does.
        """
        if settings is None:
            return
        strategy = settings.build()
        if strategy.width > self.beams:
            raise RequestTooLargeError(
                f"a beam of {strategy.width:,} hypotheses is asked for and {self.beams:,} are the most."
            )
        outputs = strategy.n_best * strategy.samples
        if outputs > self.alternatives:
            raise RequestTooLargeError(
                f"{outputs:,} outputs for a text are asked for and {self.alternatives:,} are the most."
            )
        if settings.longest_extra > self.tokens:
            raise RequestTooLargeError(
                f"{settings.longest_extra:,} tokens are asked for and {self.tokens:,} are the most."
            )
