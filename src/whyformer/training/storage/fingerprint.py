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
    content: str = ""
    """Sum of the hashes of all examples, which no order changes; empty in states that are older than it."""


def text_fingerprint(examples: Iterable[Iterable[str]]) -> Fingerprint:
    """The fingerprint of ``examples``, each of one text or more."""
    digest, count, total = hashlib.sha256(), 0, 0
    for example in examples:
        count += 1
        texts = (text.encode("utf-8", "surrogatepass") for text in example)
        # The length in front, so that no text can pass for two.
        content = b"".join(b"%d:%b" % (len(text), text) for text in texts) + b"\n"
        digest.update(content)
        total += int.from_bytes(hashlib.sha256(content).digest())
    return Fingerprint(count, digest.hexdigest(), f"{total % 2**256:064x}")


def fingerprints_record(data: Mapping[str, Fingerprint]) -> dict[str, dict[str, object]]:
    """Fingerprints by name, ready for JSON."""
    return {name: of._asdict() for name, of in data.items()}


def data_differences(before: Mapping[str, Any], now: Mapping[str, Fingerprint]) -> dict[str, str]:
    """The sides of the data that are not what they were, each in words.

    What was ``before`` is what ``fingerprints_record`` gave. A side that it lacks is taken for what it was.
    """
    found: dict[str, str] = {}
    for name, present in now.items():
        past = Fingerprint(**before[name]) if name in before else present
        if past.examples != present.examples:
            found[name] = f"{name}: {past.examples:,} examples then, {present.examples:,} now"
        elif past.digest != present.digest and past.content and past.content == present.content:
            found[name] = f"{name}: the same {present.examples:,} examples, in another order"
        elif past.digest != present.digest:
            found[name] = f"{name}: {present.examples:,} examples as before, but not the same ones"
    return found
