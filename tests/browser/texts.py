"""Texts that a page may be given: real ones, and strings of whatever Unicode has."""

import random
from collections.abc import Collection

SENTENCES = [
    "Two young men are outside near many bushes.",
    "A little girl climbs into a wooden playhouse; she doesn't look back.",
    'Several men in hard hats operate "a giant pulley system" in 2024.',
    "zwei junge weiße Männer sind im Freien in der Nähe vieler Büsche .",
    "两个年轻人在灌木丛附近。",
    "一个小女孩爬进木制的玩具屋，她没有回头。",
    "Jack's mother   works at #3 (the old mill), Tom's does not.",
]
REAL = [
    *SENTENCES,
    "June 15, 2024 at 3:07:42\u202fPM Central European Standard Time",
    "1.234,56 € – Dezember 2019 bis März 2020",
    "2024年6月15日星期六 下午3:07",
    "ĪSTANBUL'DA İKİ ΟΔΟΣ ΣΟΦΟΣ, ΌΣΟΣ",
    "می‌خواهم یک کتاب بخرم",
    "क्षत्रिय क्‍ष ज्ञान",
    "ភាសា\u200bខ្មែរ",
    "שָׁלוֹם עֲלֵיכֶם",
    "ｶﾞｷﾞｸﾞ ﬁne ½ m² Ｈｅｌｌｏ ㌀ ㈱",
    "한국어 한국어",
    "Ngày 3 tháng 2, tiếng Việt",
    "naïve “quotes” & símbolos!",
]
_SPELLED = (
    "</s> <s> <pad> <unk> [MASK] <mask> <0x41> <0xE4> <0xe4> ▁ ## ##a < /s> don't l’été 's $& $1 \\n \\ ^ ]]"
)
_SIGNS = (
    "ﬁ ſ İ ı ΣΣ \u212b \u0958 2024 ٣ Ⅷ ½ · … ، 。 ー 々 \u1100\u1161\u11a8 a\u0345 😀 🇩🇪 👍🏽 "
    "👩\u200d🔬 👨\u200d👩\u200d👧 ☂\ufe0f ☂\ufe0e A\ufe0f 7\ufe0f\u20e3 7\ufe0f 文\ufe00 葛\U000e0100 "
    "🏴\U000e0067\U000e0062\U000e0065\U000e007f"
)
_UNSEEN = (
    "\t\n\r\v\f\0\x1c\x1f\x7f\x80\x85\xa0\xad\u034f\u1680\u180e\u2003\u200b\u200c\u200d\u200e\u2028\u2029\u202e\u202f"
    "\u205f\u2060\u2066\u3000\ufeff\ufffc\ufffd\ufffe\uffff\U000e0001\U000e0041\U0010ffff"
)
SNAGS = [*_SPELLED.split(), *_SIGNS.split(), *_UNSEEN, " ", "  ", "\r\n", "\u0301", "e\u0301", "\u0323\u0301"]
# First and last code point of what is drawn from, one as likely as another.
_BLOCKS = [
    *[(0x20, 0x7E), (0x20, 0x7E), (0xA0, 0x24F), (0x250, 0x36F), (0x370, 0x52F), (0x590, 0x8FF)],
    *[(0x900, 0x109F), (0x10A0, 0x1FFF), (0x2000, 0x2BFF), (0x3000, 0x33FF), (0x4E00, 0x9FFF)],
    *[(0xA000, 0xABFF), (0xAC00, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x1FFFF), (0x1F000, 0x1FAFF)],
    *[(0x20000, 0x3FFFF), (0xE0000, 0xE01EF), (0, 0x10FFFF)],
]


def odd_texts(count: int, seed: int, left_out: Collection[int] = ()) -> list[str]:
    """Strings of all planes, marks, spaces, and pieces of real texts, without some code points."""
    drawn = random.Random(seed)

    def character() -> str:
        while True:
            code = drawn.randint(*drawn.choice(_BLOCKS))
            if not 0xD800 <= code < 0xE000 and code not in left_out:
                return chr(code)

    def part() -> str:
        match drawn.randrange(5):
            case 0:
                return drawn.choice(SNAGS) * drawn.choice((1, 1, 2))
            case 1:
                text = drawn.choice(REAL)
                start = drawn.randrange(len(text))
                return text[start : start + drawn.randrange(12)]
            case 2:
                return " "
            case _:
                return "".join(character() for _ in range(drawn.randint(1, 4)))

    return ["".join(part() for _ in range(drawn.randrange(12))) for _ in range(count)]
