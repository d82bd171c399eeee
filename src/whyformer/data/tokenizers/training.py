"""Steps of every tokenizer's training: the text, its alphabet, the room for it, the finished file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from whyformer import special_tokens
from whyformer.data.tokenizers.pre_tokenization import Cutting
from whyformer.data.tokenizers.text.seen import SeenText
from whyformer.data.tokenizers.tokenizer import SEEN_KEY, SPEC_KEY, Tokenizer
from whyformer.errors import TokenizerError
from whyformer.progress import counted

if TYPE_CHECKING:
    from tokenizers.decoders import Decoder
    from tokenizers.models import Model
    from tokenizers.trainers import Trainer


def gathered(lines: Iterable[str]) -> list[str]:
    """Return the lines as a list.

    Raises:
        TokenizerError: they hold nothing but white space.
    """
    kept = list(lines)
    if not any(line.strip() for line in kept):
        raise TokenizerError("there is no text to train a tokenizer on; check the files it is given.")
    return kept


def alphabet(lines: Iterable[str], cutting: Cutting, coverage: float) -> list[str]:
    """Return the most frequent characters that make up ``coverage`` of the text, by code point.

    The space is always among them. Of equally frequent characters the lower code points come first.
    """
    normalizer = cutting.normalizer()
    counts: Counter[str] = Counter()
    text = list(lines)
    for line in counted(text, "counting characters", len(text), "lines"):
        counts.update(normalizer.normalize_str(line))
    needed = coverage * counts.total()
    kept = {" "}
    covered = 0
    for character, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if covered >= needed:
            break
        kept.add(character)
        covered += count
    return sorted(kept)


def room_for(single: Sequence[str], reserved: Sequence[str], vocabulary: int) -> int:
    """Return how many of the ``vocabulary``'s ids are left for learned pieces, ``single`` ones included.

    Raises:
        TokenizerError: ``vocabulary`` cannot even hold what must be in it.
    """
    needed = len(reserved) + len(single)
    if needed > vocabulary:
        raise TokenizerError(
            f"a vocabulary of {vocabulary} is too small: {len(reserved)} special tokens and bytes and "
            f"{len(single)} single characters need {needed}; raise `vocabulary`, or lower `coverage` to "
            "leave out rare characters."
        )
    return vocabulary - len(reserved)


def learn(
    model: Model,
    trainer: Trainer,
    lines: Iterable[str],
    cutting: Cutting,
    *,
    only: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Run the library's ``trainer`` on ``lines`` and return the trained model as its file would have it.

    With ``only``, pieces are made of these characters: every other one ends a word and is dropped.
    """
    import tokenizers

    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = cutting.normalizer()
    tokenizer.pre_tokenizer = cutting.pre_tokenizer(only=only)
    tokenizer.train_from_iterator(lines, trainer)
    return json.loads(tokenizer.to_str())["model"]


def finished(
    model: Model,
    cutting: Cutting,
    spec: Mapping[str, Any],
    lines: Iterable[str],
    *,
    to_text: Iterable[Decoder],
) -> Tokenizer:
    """Put the parts together.

    Args:
        model: trained, with the special tokens as its first pieces.
        cutting: what a text goes through before the model.
        spec: the settings; they lie in the file beside the model that they describe.
        lines: the training text, of which the file keeps a few facts.
        to_text: what turns one piece into the text it stands for.
    """
    import tokenizers

    tokenizer = tokenizers.Tokenizer(model)
    normalizer = cutting.normalizer()
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = cutting.pre_tokenizer()
    tokenizer.decoder = cutting.decoder(to_text)
    tokenizer.add_special_tokens([*special_tokens.NAMES, *spec["specials"]])
    document = json.loads(tokenizer.to_str())
    document["model"][SPEC_KEY] = dict(spec)
    seen = SeenText.of([normalizer.normalize_str(line) for line in lines])
    document["model"][SEEN_KEY] = seen.record()
    return Tokenizer(document)
