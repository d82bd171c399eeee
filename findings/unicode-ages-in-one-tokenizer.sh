#!/usr/bin/env bash
# Three steps of one tokenizers library know three ages of Unicode: what one takes for an accent, another leaves in place.
#
# Versions:  tokenizers 0.23.3, Python 3.11 (whose own tables are of Unicode 14).
# Guess:     one library has one table of characters, so StripAccents, BertNormalizer with strip_accents, and a regular
#            expression \p{M} take away the same marks; and NFC composes what Python's NFC composes.
# Seen:      of a mark of Unicode 1 all three leave nothing. U+08D4, a mark since Unicode 9 (2016), is taken away by StripAccents
#            and by \p{M}, and stays where BertNormalizer strips accents. U+11935 U+11930 is composed to U+11938 by
#            Python, as it has been since Unicode 13 (2020), and stays two characters by NFC of the library.
# So:        text with younger characters is cut by a BERT tokenizer otherwise than by one with StripAccents, and a second
#            implementation with tables of today differs from both: compare with the library, not with the standard.
# Changes:   the script fails once a line of what it prints is another.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --no-compile tokenizers==0.23.3 huggingface-hub==2.4.0

cat > "$folder/ages.py" <<'PYTHON'
import unicodedata

from tokenizers import Regex, normalizers

steps = {
    "StripAccents": normalizers.StripAccents(),
    "BertNormalizer": normalizers.BertNormalizer(
        clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False
    ),
    "Replace of \\p{M}": normalizers.Replace(Regex(r"\p{M}"), ""),
}
for mark in "\u0301\u08d4":
    assert unicodedata.category(mark) == "Mn"
    for name, step in steps.items():
        left = len(step.normalize_str("a" + mark)) - 1
        print(f"U+{ord(mark):04X} by {name}: {'stays' if left else 'goes'}")

pair = "\U00011935\U00011930"
for name, composed in (
    ("Python", unicodedata.normalize("NFC", pair)),
    ("tokenizers", normalizers.NFC().normalize_str(pair)),
):
    print(f"NFC of U+11935 U+11930 by {name}:", " ".join(f"U+{ord(character):04X}" for character in composed))
PYTHON

seen=$("$folder/env/bin/python" "$folder/ages.py")
echo "$seen"
expected='U+0301 by StripAccents: goes
U+0301 by BertNormalizer: goes
U+0301 by Replace of \p{M}: goes
U+08D4 by StripAccents: goes
U+08D4 by BertNormalizer: stays
U+08D4 by Replace of \p{M}: goes
NFC of U+11935 U+11930 by Python: U+11938
NFC of U+11935 U+11930 by tokenizers: U+11935 U+11930'
[ "$seen" = "$expected" ] || { echo "this has changed" >&2; exit 1; }
