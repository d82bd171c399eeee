"""Fingerprints of the data of a training: a run that goes on must find what it began with."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Fingerprint(NamedTuple):
    """One side of the data, as it was read and cleaned, before any tokenizer."""

    examples: int
    """Number of pairs, documents or whatever it has."""
    digest: str
    """Hash of all their texts, in order."""


def text_fingerprint(examples: Iterable[Iterable[str]]) -> Fingerprint:
    """The fingerprint of ``examples``, each of one text or more."""
    digest, count = hashlib.sha256(), 0
    for example in examples:
        count += 1
        for text in example:
            content = text.encode("utf-8", "surrogatepass")
            # The length in front, so that no text can pass for two.
            digest.update(b"%d:" % len(content))
            digest.update(content)
        digest.update(b"\n")
    return Fingerprint(count, digest.hexdigest())


def fingerprints_record(data: Mapping[str, Fingerprint]) -> dict[str, dict[str, object]]:
    """Fingerprints by name, ready for JSON."""
    return {name: {"examples": of.examples, "digest": of.digest} for name, of in data.items()}


def differences(before: Mapping[str, Any], now: Mapping[str, Fingerprint]) -> dict[str, str]:
    """The sides of the data that are not what they were, each in words.

    What was ``before`` is what ``fingerprints_record`` gave. A side that it lacks is taken for what it was.
    """
    found: dict[str, str] = {}
    for name, present in now.items():
        past = Fingerprint(**before[name]) if name in before else present
        if past.examples != present.examples:
            found[name] = f"{name}: {past.examples:,} examples then, {present.examples:,} now"
        elif past != present:
            found[name] = f"{name}: {present.examples:,} examples as before, but not the same ones"
    return found
