"""The normal form of a text: what looks the same is the same to a model.

The steps are part of the tokenizer's file, so they apply to whatever is encoded: training text, held-out
sets, prompts, prefixes. The tokenizers library reads them there too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from whyformer.spec import Spec

if TYPE_CHECKING:
    from tokenizers.normalizers import Normalizer

Spaces = Literal["fold", "plain", "keep"]

# What Unicode or Python calls white space; the library's \s lacks the separators U+001C to U+001F.
_WHITE = (
    r"\x{9}-\x{D}\x{1C}-\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}"
)
# All but a plain space that stands alone, which would be found most often.
_FOLDED = rf" [{_WHITE}]+|[{_WHITE}&&[^ ]][{_WHITE}]*"
_LINE_END = r"\r\n|[\x{B}-\x{D}\x{1C}-\x{1E}\x{85}\x{2028}\x{2029}]"
_SPACE_IN_LINE = r"[\x{1F}\x{A0}\x{1680}\x{2000}-\x{200A}\x{202F}\x{205F}\x{3000}]"

# Scripts in which joiners choose letter forms and invisible spaces separate words: Arabic and its neighbours,
# those of India and Southeast Asia, Tibetan, Mongolian. By blocks, as their marks are often of no script.
_JOINING = (
    r"\x{600}-\x{109F}\x{1700}-\x{18AF}\x{1900}-\x{1AAF}\x{1B00}-\x{1C7F}\x{1CD0}-\x{1CFF}\x{A800}-\x{A82F}"
    r"\x{A840}-\x{A95F}\x{A980}-\x{AADF}\x{AAE0}-\x{AAFF}\x{ABC0}-\x{ABFF}\x{FB50}-\x{FDFF}\x{FE70}-\x{FEFE}"
    r"\x{10A00}-\x{10AFF}\x{10D00}-\x{10EFF}\x{10F00}-\x{11FFF}"
)
_EMOJI = r"\x{2190}-\x{21FF}\x{2300}-\x{23FF}\x{2600}-\x{27BF}\x{2B00}-\x{2BFF}\x{1F000}-\x{1FAFF}\x{FE0F}"
_PICTURED = r"\x{A9}\x{AE}\x{203C}\x{2049}\x{2100}-\x{214F}\x{3030}\x{303D}\x{3297}\x{3299}"
_TAGS = r"[\x{E0020}-\x{E007E}]"
# Each alternative begins with the characters themselves, by which the library finds its few candidates fast.
_INVISIBLE = "|".join(
    [
        # Soft hyphen, grapheme and word joiners, marks of direction, invisible operators, byte order mark.
        r"[\x{AD}\x{34F}\x{61C}\x{200E}\x{200F}\x{202A}-\x{202E}\x{2060}-\x{206F}\x{FEFF}\x{FFF9}-\x{FFFB}]",
        r"\x{E0001}",
        # The separators of words and of letter forms, where there is nothing for them to separate.
        rf"[\x{{180E}}\x{{200B}}](?<![{_JOINING}].)",
        rf"[\x{{200C}}\x{{200D}}](?<![{_JOINING}{_EMOJI}].)",
        # Choices between a picture and a letter, where there is no picture; a digit's may be a key.
        rf"[\x{{FE0E}}\x{{FE0F}}](?<![{_EMOJI}{_PICTURED}#*0-9].)|[\x{{FE0E}}\x{{FE0F}}](?<=[#*0-9].)(?!\x{{20E3}})",
        # Variants of what has none.
        r"[\x{FE00}-\x{FE0D}](?<=[\p{Latin}\p{Greek}\p{Cyrillic}\x{300}-\x{36F}\s0-9].)",
        # Tags are letters of a flag, which a last one ends, or nothing. Only the first of them looks ahead.
        rf"{_TAGS}(?<!{_TAGS}{{2}}){_TAGS}*(?![\x{{E0020}}-\x{{E007F}}])|\x{{E007F}}(?<!{_TAGS}.)",
    ]
)


class TextSpec(Spec):
    """The normal form that all text is brought to before it is cut, in training and in use."""

    unicode: Literal["nfc", "nfkc", "none"] = "nfc"
    """Form of characters: ``nfc`` composes them, so that é is one character however it was typed; ``nfkc``
    also makes plain ones of variants, such as full-width digits, ligatures, and the 2 of m²; ``none`` leaves
    them."""
    spaces: Spaces | None = None
    """White space, of all sorts that Unicode knows: ``fold`` makes one plain space of each run, line ends
    too, and none at either end; ``plain`` makes a plain space of each other space and a line feed of each
    other line end, and keeps their number, and tabs; ``keep`` leaves all. Null is ``fold`` for sentences and
    ``plain`` for documents, whose lines mean something (tasks causal_lm and bidirectional_lm)."""
    invisible: Literal["drop", "keep"] = "drop"
    """Invisible format characters: soft hyphens, zero-width spaces, marks of direction and byte order and
    the like. ``drop`` leaves those alone that carry meaning: (non-)joiners and zero-width spaces behind
    letters of scripts such as Persian, Hindi or Khmer, joiners within emoji, tags of flags."""

    def decided(self, spaces: Spaces) -> TextSpec:
        """The same with ``spaces`` where the recipe leaves them to the task."""
        return self if self.spaces is not None else self.model_copy(update={"spaces": spaces})

    def steps(self) -> list[Normalizer]:
        """The steps as the tokenizers library has them."""
        from tokenizers import Regex, normalizers

        steps: list[Normalizer] = []
        if self.invisible == "drop":
            steps.append(normalizers.Replace(Regex(_INVISIBLE), ""))
        match self.unicode:
            case "nfc":
                steps.append(normalizers.NFC())
            case "nfkc":
                steps.append(normalizers.NFKC())
            case "none":
                pass
        match self.spaces:
            case "fold" | None:
                steps += [normalizers.Replace(Regex(_FOLDED), " "), normalizers.Strip()]
            case "plain":
                steps.append(normalizers.Replace(Regex(_LINE_END), "\n"))
                steps.append(normalizers.Replace(Regex(_SPACE_IN_LINE), " "))
            case "keep":
                pass
        return steps


def most_tokens(text: str) -> float:
    """Number of tokens, without special ones, that ``text`` in normal form has at most; cheap to know."""
    # No token is less than a byte, but for the mark of a word before the first; and a small letter
    # may have three bytes where its capital has two (Ⱥ).
    size = len(text) if text.isascii() else 1.5 * len(text.encode("utf-8", "surrogatepass"))
    return size + 1
