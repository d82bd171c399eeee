"""Replies as Vosk's clients read them."""

import json

from whyformer.serve.listening.heard import Heard, RecognisedWord
from whyformer.serve.protocols.vosk.messages import VoskConfig


def reply(heard: Heard, config: VoskConfig, offset: float = 0.0) -> str:
    """The reply that tells what was ``heard``; times count from ``offset`` seconds."""
    if not heard.final:
        return _written({"partial": heard.text})
    words = [_word(word, offset) for word in heard.words] if config.words else []
    if config.max_alternatives:
        # Of the readings of one word, the score of all is what tells them apart.
        plain = [{key: value for key, value in word.items() if key != "conf"} for word in words]
        best = {
            "confidence": round(heard.score, 6),
            **({"result": plain} if plain else {}),
            "text": heard.text,
        }
        return _written({"alternatives": [best]})
    return _written({**({"result": words} if words else {}), "text": heard.text})


def refusal_reply(sentence: str) -> str:
    """The reply to a message that is refused."""
    return _written({"error": sentence})


def _word(word: RecognisedWord, offset: float) -> dict[str, object]:
    times = {"start": round(offset + word.start, 6), "end": round(offset + word.end, 6)}
    return {"conf": round(word.confidence, 6), **times, "word": word.text}


def _written(reply: dict[str, object]) -> str:
    # Laid out as by Vosk, since some clients look for pieces of the text.
    return json.dumps(reply, ensure_ascii=False, indent=2, separators=(",", " : "))
