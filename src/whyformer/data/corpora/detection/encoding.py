"""Guess of the encoding of text that is not UTF-8, by trial: it is read by each and judged as language.

Libraries that guess from statistics of bytes call German in Windows-1252 Central European and French Baltic;
letters that a language has are the plainer evidence where a sentence or a corpus of them is at hand.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_LEAST = 0.6
"""Minimum score of a guess: the share of the characters beyond ASCII that fit the best language."""
_SAMPLE = 20_000  # bytes

_QUOTES = "‘’‚“”„–—…«»‹›°§€•·×¿¡\xa0"
_WESTERN = (
    "äöüßÄÖÜ",
    "àâæçéèêëîïôœùûüÿÀÂÇÉÈÊËÎÏÔŒÙÛ",
    "áéíóúüñÁÉÍÓÚÑªº",
    "àèéìíòóùÀÈÉÌÒÙ",
    "áâãàçéêíóôõúÁÂÃÀÇÉÊÍÓÔÕÚ",
    "äåöéÄÅÖÉæøåÆØÅ",
    "áðéíóúýþæöÁÐÉÍÓÚÝÞÆÖ",
)
_CENTRAL = (
    "ąćęłńóśźżĄĆĘŁŃÓŚŹŻ",
    "áčďéěíňóřšťúůýžÁČĎÉĚÍŇÓŘŠŤÚŮÝŽ",
    "áäčďéíĺľňóôŕšťúýžÁČĎÉÍĽŇÓÔŠŤÚÝŽ",
    "áéíóöőúüűÁÉÍÓÖŐÚÜŰ",
    "ăâîşţșțĂÂÎŞŢ",
    "čćđšžČĆĐŠŽ",
)
_BALTIC = ("ąčęėįšųūžĄČĘĖĮŠŲŪŽ", "āčēģīķļņšūžĀČĒĢĪĶĻŅŠŪŽ", "äõöüšžÄÕÖÜ")
_TURKISH = ("çğıöşüâîÇĞİÖŞÜ",)
_CYRILLIC = (
    "абвгдежзийклмнопрстуфхцчшщъыьэюяёАБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЭЮЯ",
    "абвгґдеєжзиіїйклмнопрстуфхцчшщьюяАБВГДЕЄЖЗИІЇКЛМНОПРСТУФХЦЧШЮЯ",
)
_GREEK = ("αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΆΈΉΊΌ",)
_HEBREW = ("אבגדהוזחטיךכלםמןנסעףפץצקרשת",)
_ARABIC = ("ابتثجحخدذرزسشصضطظعغفقكلمنهويةىءأإآئؤ،؟",)
_THAI = ("".join(map(chr, [*range(0x0E01, 0x0E3B), *range(0x0E40, 0x0E4F)])),)
_OTHER_ALPHABETS = (_CYRILLIC, _GREEK, _HEBREW, _ARABIC, _THAI)
_THAI_SLIP = re.compile(
    "(?<![\u0e01-\u0e2e\u0e31\u0e34-\u0e3a\u0e47-\u0e4e])[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]"
    "|(?<![\u0e01-\u0e2e\u0e31\u0e32\u0e34-\u0e3a\u0e45\u0e47-\u0e4e])[\u0e30\u0e32\u0e33]"
    "|[\u0e40-\u0e44](?![\u0e01-\u0e2e])|[\u0e47-\u0e4e]{2}|[\u0e31\u0e34-\u0e3a]{2}|[\u0e01-\u0e2e]{8}|\u0e3a"
)
"""A vowel or tone mark that has no consonant to stand on, a leading vowel with none behind it, two marks of a
kind, many consonants in a row, or a dot of Pali."""
_HEBREW_SLIP = re.compile("[\u05da\u05dd\u05df\u05e3\u05e5][\u05d0-\u05ea]")
"""A letter in its final form within a word."""
_CJK = "，。、；：？！“”‘’（）《》「」『』·—…"
_SIMPLIFIED = (
    "的一是不了我在有人这他你们来个到说大地就子那和上要里去时也得会着没家好可生下么以小过天然后能对多都"
    "她为看自起还想用事只学道心开什么怎样很吗吧呢请让把被从给跟问见点年月日两三四五汤姆知道今明昨谁哪",
)
_TRADITIONAL = (
    "的一是不了我在有人這他你們來個到說大地就子那和上要裡去時也得會著沒家好可生下麼以小過天然後能對多都"
    "她為看自起還想用事只學道心開什麼怎樣很嗎吧呢請讓把被從給跟問見點年月日兩三四五湯姆知道今明昨誰哪",
)
_JAPANESE = (
    "".join(map(chr, [*range(0x3041, 0x3094), *range(0x30A1, 0x30F7)])) + "ー々日本人大学行来何今一二三",
)
_KOREAN = (
    "이다는을가고에하의한지도로사은기를해아어나자들시대서일리그수있라안제보정인것게요없만니으까부여면주전"
    "마오장구동원상미소세우무비내신모성조스거저과와러야히생각말학교습했었같때당",
)


@dataclass(frozen=True)
class Encoding:
    """An encoding that is not UTF-8."""

    codec: str
    """Python's name of it."""
    iconv: str
    """The name that ``iconv`` knows."""
    title: str
    """The name that people know."""


@dataclass(frozen=True)
class _Candidate:
    encoding: Encoding
    languages: tuple[str, ...]
    """Letters of each language that is written in it."""
    whole: float = 1.0
    """Share of a text's characters beyond ASCII that such lists cover; Chinese has more than any list."""
    punctuation: str = _QUOTES


def _candidate(
    codec: str,
    iconv: str,
    title: str,
    languages: tuple[str, ...],
    whole: float = 1.0,
    punctuation: str = _QUOTES,
) -> _Candidate:
    return _Candidate(Encoding(codec, iconv, title), languages, whole, punctuation)


# Of two that fit equally well, the former is taken.
_CANDIDATES = (
    _candidate("cp1252", "CP1252", "Windows-1252 (Western European, much the same as Latin-1)", _WESTERN),
    _candidate(
        "gb18030",
        "GB18030",
        "GB18030 (simplified Chinese, also called GBK)",
        (*_SIMPLIFIED, *_TRADITIONAL),
        0.45,
        _CJK,
    ),
    _candidate("big5", "BIG5", "Big5 (traditional Chinese)", _TRADITIONAL, 0.45, _CJK),
    _candidate("cp932", "CP932", "Shift-JIS (Japanese)", _JAPANESE, 0.75, _CJK),
    _candidate("euc_jp", "EUC-JP", "EUC-JP (Japanese)", _JAPANESE, 0.75, _CJK),
    _candidate("cp949", "CP949", "EUC-KR (Korean)", _KOREAN, 0.6, ""),
    # In front of Cyrillic, whose small letters its letters are, too.
    _candidate("cp1255", "CP1255", "Windows-1255 (Hebrew)", _HEBREW),
    _candidate("cp1251", "CP1251", "Windows-1251 (Cyrillic)", _CYRILLIC),
    _candidate("koi8_u", "KOI8-U", "KOI8 (Cyrillic)", _CYRILLIC),
    _candidate("cp866", "CP866", "code page 866 (Cyrillic, DOS)", _CYRILLIC),
    _candidate("cp1250", "CP1250", "Windows-1250 (Central European)", _CENTRAL),
    _candidate("iso8859_2", "ISO-8859-2", "ISO 8859-2 (Central European)", _CENTRAL),
    _candidate("cp1254", "CP1254", "Windows-1254 (Turkish)", _TURKISH),
    _candidate("cp1257", "CP1257", "Windows-1257 (Baltic)", _BALTIC),
    _candidate("cp1253", "CP1253", "Windows-1253 (Greek)", _GREEK),
    _candidate("cp1256", "CP1256", "Windows-1256 (Arabic)", _ARABIC),
    _candidate("cp874", "CP874", "Windows-874 (Thai)", _THAI),
    _candidate("mac_roman", "MACINTOSH", "Mac Roman (Western European)", _WESTERN),
    _candidate("cp850", "CP850", "code page 850 (Western European, DOS)", _WESTERN),
)

_COMMON = {"gb18030": ("gb2312", 0xB0, 0xD7), "big5": ("big5", 0xA4, 0xC6)}
"""The standard of a Chinese encoding, and the first bytes of the characters in daily use."""

_UTF16 = {
    "utf-16-le": Encoding("utf-16-le", "UTF-16LE", "UTF-16 (little-endian, without a byte order mark)"),
    "utf-16-be": Encoding("utf-16-be", "UTF-16BE", "UTF-16 (big-endian, without a byte order mark)"),
}
_MARKS = (
    (b"\xff\xfe\x00\x00", Encoding("utf-32", "UTF-32", "UTF-32")),
    (b"\x00\x00\xfe\xff", Encoding("utf-32", "UTF-32", "UTF-32")),
    (b"\xff\xfe", Encoding("utf-16", "UTF-16", "UTF-16")),
    (b"\xfe\xff", Encoding("utf-16", "UTF-16", "UTF-16")),
)


def marked_encoding(head: bytes) -> Encoding | None:
    """The encoding whose byte order mark ``head``, the first bytes of a file, begins with; not UTF-8's."""
    return next((encoding for mark, encoding in _MARKS if head.startswith(mark)), None)


def wide_encoding(head: bytes) -> Encoding | None:
    """UTF-16 without a byte order mark, if ``head``, the first kilobytes of a file, is that.

    Its lines end in the two bytes 0A 00 (or 00 0A), and read as UTF-16 it is text, nearly without exception.
    """
    head = head[: len(head) // 2 * 2]
    nuls = head.count(0) / max(1, len(head))
    texts = {codec: head.decode(codec, errors="replace") for codec in _UTF16}
    ends = max(text.count("\n") for text in texts.values())
    if not nuls or (nuls < 0.3 and ends <= head.count(b"\n") / 2):
        return None
    found = {codec: _legible(text) for codec, text in texts.items()}
    best = max(found, key=lambda codec: found[codec])
    other = min(found.values())
    return _UTF16[best] if found[best] > 0.95 and found[best] > other else None


def guess_encoding(lines: Sequence[bytes]) -> Encoding | None:
    """The likeliest encoding of ``lines``, none of which is UTF-8; None where none of those known here fits.

    >>> guess_encoding(["für die Tür".encode("cp1252"), "größer".encode("cp1252")]).iconv
    'CP1252'
    >>> guess_encoding(["我们要去看他".encode("gb18030")]).iconv
    'GB18030'
    """
    sample, size = list[bytes](), 0
    for line in lines:
        sample.append(line)
        size += len(line)
        if size > _SAMPLE:
            break
    scores = [_score(candidate, sample) for candidate in _CANDIDATES]
    best = max(range(len(scores)), key=lambda index: scores[index])
    return _CANDIDATES[best].encoding if scores[best] >= _LEAST else None


def _score(candidate: _Candidate, lines: Sequence[bytes]) -> float:
    """Share of the text that is legible as one language in the candidate, as far as its letters tell."""
    texts = [_decoded(line, candidate.encoding.codec) for line in lines]
    whole = [text for text in texts if text is not None]
    if not whole:
        return 0.0
    characters = [character for text in whole for character in text if character > "\x7f"]
    letters = [character for character in characters if character not in candidate.punctuation]
    if not letters:
        # Nothing but curly quotes and dashes, as word processors put them into plain English.
        return 0.9 if characters else 0.0
    fits = max(sum(map(frozenset(language).__contains__, letters)) for language in candidate.languages)
    share = min(1.0, fits / len(letters) / candidate.whole)
    if candidate.encoding.codec in _COMMON:
        # Contracts and catalogues have few of the most frequent characters, but hardly any uncommon one.
        common = sum(_is_common(letter, candidate.encoding.codec) for letter in letters) / len(letters)
        share = max(share, 0.38 * share + 0.62 * common)
    torn = sum(map(_has_inner_capital, whole)) / len(whole)
    if candidate.languages in _OTHER_ALPHABETS:
        torn = max(torn, sum(map(_mixes_alphabets, whole)) / len(whole))
    # Their letters are those of other scripts in other encodings, too, but then make no words of theirs.
    for languages, slip in ((_THAI, _THAI_SLIP), (_HEBREW, _HEBREW_SLIP)):
        if candidate.languages is languages:
            torn = max(torn, sum(slip.search(text) is not None for text in whole) / len(whole))
    return share * len(whole) / len(lines) * (1 - torn)


def _is_common(character: str, codec: str) -> bool:
    """Whether a Chinese character is on the first plane of its standard, that of those in daily use."""
    standard, first, last = _COMMON[codec]
    try:
        encoded = character.encode(standard)
    except UnicodeEncodeError:
        return False
    return len(encoded) > 1 and first <= encoded[0] <= last


def _decoded(line: bytes, codec: str) -> str | None:
    try:
        return line.decode(codec)
    except UnicodeDecodeError:
        return None


def _mixes_alphabets(text: str) -> bool:
    """Whether a letter of another alphabet stands beside a Latin one, as happens under a wrong code page."""
    return any(a.isalpha() and b.isalpha() and a.isascii() != b.isascii() for a, b in pairwise(text))


def _has_inner_capital(text: str) -> bool:
    """Whether a capital beyond ASCII stands behind a small letter, as happens under a wrong code page."""
    return any(second > "\x7f" and second.isupper() and first.islower() for first, second in pairwise(text))


def _legible(text: str) -> float:
    """Share of characters that text in some language is made of: letters, marks, plain punctuation."""
    good = sum(
        character in "\t\r\n" or (character.isprintable() and _is_assigned_letter(character))
        for character in text
    )
    return good / max(1, len(text))


def _is_assigned_letter(character: str) -> bool:
    """Whether it is ASCII, a letter of an alphabet in use, a Chinese character in use, or punctuation."""
    code = ord(character)
    return (
        code < 0x0530
        or 0x0590 <= code < 0x1000
        or 0x1E00 <= code < 0x2070
        or 0x20A0 <= code < 0x20C0
        or 0x3000 <= code < 0x3130
        or 0x4E00 <= code < 0xA000
        or 0xAC00 <= code < 0xD7A4
        or 0xFF00 <= code < 0xFFF0
    )


_TWICE = re.compile("[ÂÃâÄÅÐÑ][\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]")


def is_encoded_twice(text: str) -> bool:
    """Whether ``text`` is UTF-8 that was taken for Windows-1252 and encoded once more (``fÃ¼r``).

    >>> is_encoded_twice("fÃ¼r"), is_encoded_twice("für"), is_encoded_twice("Ã la carte")
    (True, False, False)
    """
    if not _TWICE.search(text):
        return False
    for codec in ("cp1252", "latin-1"):
        try:
            return text.encode(codec).decode("utf-8") != text
        except UnicodeError:
            continue
    return False
