"""A tokenizer as the page reads it: its pieces, how a text is changed and cut, and the way back.

The page (``runtime/tokenizer.js``) knows a handful of plain steps. What a file of the tokenizers library says
is brought down to those, so that the ways of BERT and GPT-2 are lists of replacements and cuts like ours.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from whyformer.browser.patterns import WHITE_SPACE, javascript_pattern
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.errors import TokenizerError
from whyformer.special_tokens import UNK

PageStep = dict[str, object]
"""One thing done to a text, a stretch of it, or pieces; ``kind`` says what."""

_LOWERCASE: PageStep = {"kind": "lowercase"}
_BYTES: PageStep = {"kind": "bytes"}
_ASCII_PUNCTUATION = r"\x21-\x2F\x3A-\x40\x5B-\x60\x7B-\x7E"
# The ideographs that BERT puts between spaces.
_IDEOGRAPHS = (
    r"[\u{3400}-\u{4DBF}\u{4E00}-\u{9FFF}\u{F900}-\u{FAFF}\u{20000}-\u{2A6DF}\u{2A700}-\u{2B81F}"
    r"\u{2B920}-\u{2CEAF}\u{2F800}-\u{2FA1F}]"
)
_GPT2_WORD = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
# What BERT's way back closes up, one after the other.
_CLEANED = {" .": ".", " ?": "?", " !": "!", " ,": ",", " ' ": "'", " n't": "n't", " 'm": "'m"} | {
    " do not": " don't",
    " 's": "'s",
    " 've": "'ve",
    " 're": "'re",
}
_BEHAVIORS = ("Isolated", "Removed", "MergedWithPrevious")
# Settings of byte-pair encoding.
_UNKNOWN_TO_PAGES = (
    "dropout",
    "continuing_subword_prefix",
    "end_of_word_suffix",
    "fuse_unk",
    "ignore_merges",
)


def page_tokenizer(tokenizer: Tokenizer) -> dict[str, object]:
    """All that a page has to know of ``tokenizer``, to be written as JSON.

    Raises:
        TokenizerError: it does something that the page cannot; the field that says so is named.
    """
    import tokenizers

    # Written anew by the library, a file of any age has all settings, in their present form.
    document = json.loads(tokenizers.Tokenizer.from_str(json.dumps(tokenizer.document)).to_str())
    for field in ("truncation", "padding"):
        if document[field] is not None:
            raise _refused(field)
    added = document["added_tokens"]
    return {
        "pieces": tokenizer.pieces,
        "silent": [token["id"] for token in added if token["special"] and token["id"] != UNK],
        "whole": _whole(added),
        "changes": _changes(document["normalizer"], "normalizer"),
        "cuts": _cuts(document["pre_tokenizer"], "pre_tokenizer"),
        "model": _model(document["model"], tokenizer),
        "decoder": _way_back(document["decoder"], "decoder"),
    }


def _refused(field: str, what: str | None = None) -> TokenizerError:
    named = field if what is None else f"{field} ({what})"
    return TokenizerError(
        f"a page cannot do what this tokenizer's {named} says; translate with `whyformer translate`."
    )


def _unknown(place: str, part: Any) -> TokenizerError:
    return _refused(place, str(part["type"]) if isinstance(part, dict) else str(part))


def _whole(added: list[dict[str, Any]]) -> list[PageStep]:
    """The tokens that are never cut, wherever a text spells them; none if all are special ones.

    Special ones are named, too: where one is spelled, no other is found that overlaps it.
    """
    for token in added:
        for field in ("single_word", "lstrip", "rstrip"):
            if token[field] and not token["special"]:
                raise _refused(f"added_tokens.{token['id']}.{field}")
    if all(token["special"] for token in added):
        return []
    return [{key: token[key] for key in ("id", "normalized", "special")} for token in added]


def _steps(
    part: Mapping[str, Any], key: str, read: Callable[[Any, str], list[PageStep]], place: str
) -> list[PageStep]:
    """The steps of a sequence, one after the other."""
    return [step for number, each in enumerate(part[key]) for step in read(each, f"{place}.{key}.{number}")]


def _form(name: str) -> PageStep:
    return {"kind": "form", "form": name}


def _replace(pattern: str, by: str) -> PageStep:
    return {"kind": "replace", "pattern": pattern, "by": by}


def _literal(text: str) -> str:
    """A pattern that finds ``text``."""
    return javascript_pattern(re.escape(text))


def _pattern(given: Mapping[str, str], place: str) -> str:
    match given:
        case {"String": text}:
            return _literal(text)
        case {"Regex": expression}:
            try:
                return javascript_pattern(expression)
            except ValueError as error:
                raise _refused(f"{place}.Regex", str(error)) from None
        case _:
            raise _refused(place)


def _changes(part: Any, place: str) -> list[PageStep]:
    """Changes of a text before it is cut."""
    match part:
        case None:
            return []
        case {"type": "Sequence"}:
            return _steps(part, "normalizers", _changes, place)
        case {"type": "NFC" | "NFD" | "NFKC" | "NFKD" as form}:
            return [_form(form)]
        case {"type": "Lowercase"}:
            return [_LOWERCASE]
        case {"type": "Strip", "strip_left": left, "strip_right": right}:
            # Looked for at the beginning of a run only, as long runs would take long.
            ends = [f"^{WHITE_SPACE}+"] * left + [f"(?<!{WHITE_SPACE}){WHITE_SPACE}+$"] * right
            return [_replace("|".join(ends), "")] if ends else []
        case {"type": "Replace", "pattern": pattern, "content": content}:
            return [_replace(_pattern(pattern, f"{place}.pattern"), content)]
        case {"type": "Prepend", "prepend": text}:
            return [_replace("^", text)]
        case {"type": "BertNormalizer"}:
            return _as_bert_changes(part)
        case _:
            raise _unknown(place, part)


def _as_bert_changes(part: Mapping[str, Any]) -> list[PageStep]:
    steps: list[PageStep] = []
    if part["clean_text"]:
        steps.append(_replace(r"[[\p{Cc}\p{Cf}\p{Co}\u{FFFD}]&&[^\t\n\r]]", ""))
        steps.append(_replace(WHITE_SPACE, " "))
    if part["handle_chinese_chars"]:
        steps += [_replace(f"(?={_IDEOGRAPHS})", " "), _replace(f"(?<={_IDEOGRAPHS})", " ")]
    if part["lowercase"] if part["strip_accents"] is None else part["strip_accents"]:
        steps += [_form("NFD"), _replace(r"\p{Mn}", "")]
    return [*steps, _LOWERCASE] if part["lowercase"] else steps


def _cut(pattern: str, behavior: str) -> PageStep:
    return {"kind": "cut", "pattern": pattern, "behavior": behavior}


def _cuts(part: Any, place: str) -> list[PageStep]:
    """Cuts of a text, and changes of the stretches between them."""
    match part:
        case None:
            return []
        case {"type": "Sequence"}:
            return _steps(part, "pretokenizers", _cuts, place)
        case {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": False} if (
            behavior in _BEHAVIORS
        ):
            return [_cut(_pattern(pattern, f"{place}.pattern"), behavior)]
        case {"type": "Split", "invert": True}:
            raise _refused(f"{place}.invert")
        case {"type": "Split"}:
            raise _refused(f"{place}.behavior")
        case {"type": "BertPreTokenizer"}:
            return [_cut(WHITE_SPACE, "Removed"), _cut(rf"[{_ASCII_PUNCTUATION}\p{{P}}]", "Isolated")]
        case {"type": "ByteLevel", "add_prefix_space": space, "use_regex": words}:
            first = [_replace("^(?=[^ ])", " ")] if space else []
            return [*first, *([_cut(javascript_pattern(_GPT2_WORD), "Isolated")] if words else []), _BYTES]
        case _:
            raise _unknown(place, part)


def _model(model: Mapping[str, Any], tokenizer: Tokenizer) -> PageStep:
    """The way in which a stretch becomes ids."""
    ids = {piece: id for id, piece in enumerate(tokenizer.pieces)}
    if len(model["vocab"]) != tokenizer.size:
        raise _refused("model.vocab")
    match model:
        case {"type": "BPE"}:
            for field in _UNKNOWN_TO_PAGES:
                if model[field]:
                    raise _refused(f"model.{field}")
            return {
                "kind": "bpe",
                "merges": [ids[piece] for pair in model["merges"] for piece in pair],
                "unknown": ids.get(model["unk_token"]),
                "bytes": model["byte_fallback"],
            }
        case {"type": "Unigram", "unk_id": int(unknown)}:
            scores = [score for _, score in model["vocab"]]
            return {"kind": "unigram", "scores": scores, "unknown": unknown, "bytes": model["byte_fallback"]}
        case {"type": "WordPiece", "continuing_subword_prefix": mark, "max_input_chars_per_word": most}:
            return {"kind": "wordpiece", "mark": mark, "most": most, "unknown": ids[model["unk_token"]]}
        case {"type": "WordLevel"}:
            return {"kind": "word", "unknown": ids[model["unk_token"]]}
        case _:
            raise _unknown("model", model)


def _way_back(part: Any, place: str) -> list[PageStep]:
    """Steps from pieces to text."""
    match part:
        case {"type": "Sequence"}:
            return _steps(part, "decoders", _way_back, place)
        case {"type": "Replace", "pattern": pattern, "content": content}:
            return [_replace(_pattern(pattern, f"{place}.pattern"), content)]
        case {"type": "Strip", "content": character, "start": start, "stop": 0}:
            return [_replace(f"^{_literal(character)}{{0,{start}}}", "")]
        case {"type": "Strip"}:
            raise _refused(f"{place}.stop")
        case {"type": "ByteFallback"}:
            return [{"kind": "fallback"}]
        case {"type": "Fuse"}:
            return [{"kind": "fuse"}]
        case {"type": "ByteLevel"}:
            return [_BYTES]
        case {"type": "WordPiece", "prefix": mark, "cleanup": cleanup}:
            # What has no mark gets a space, and so does not begin with one after that.
            joined = [
                {**_replace(pattern, by), "of": "rest"}
                for pattern, by in ((f"^(?!{_literal(mark)})", " "), (f"^{_literal(mark)}", ""))
            ]
            return [*joined, *(_replace(_literal(open), by) for open, by in _CLEANED.items() if cleanup)]
        case {"type": "Metaspace", "replacement": sign, "prepend_scheme": scheme}:
            first = [{**_replace(_literal(sign), ""), "of": "first"}] if scheme != "never" else []
            return [*first, _replace(_literal(sign), " ")]
        case _:
            raise _unknown(place, part)
