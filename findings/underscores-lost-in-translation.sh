#!/usr/bin/env bash
# Argos Translate, the engine of LibreTranslate, turns every underscore of a translation into a space.
#
# Versions:  argostranslate 1.11.0, argos-translate-lt 1.12.1 (LibreTranslate's own), sentencepiece 0.2.3, Python 3.11.
# Guess:     SentencePiece stands for a space by U+2581, a sign that looks like an underscore and is none, just so that
#            underscores survive; a tokenizer that cuts a text and joins the pieces again gives the text back.
# Seen:      "snake_case file_name" comes back as "snake case file name" from both packages' tokenizer, and whole from
#            SentencePiece, whose pieces they are. So names of files, variables and addresses change in a translation,
#            however well the model copies them.
# Why:       SentencePieceTokenizer.decode in argostranslate/tokenizer.py replaces "_" by " " in what SentencePiece has
#            joined already.
# Changes:   the script fails once an underscore stays.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --no-compile sentencepiece==0.2.3

cat > "$folder/cut.py" <<'PYTHON'
import sys

import sentencepiece
from argostranslate.tokenizer import SentencePieceTokenizer

folder, package = sys.argv[1:]
words = [one + other for one in "abcdefghijklm" for other in "nopqrstuvwxyz"]
lines = [" ".join(words[at : at + 6]) + " snake_case file_name" for at in range(160)]
with open(f"{folder}/lines.txt", "w") as file:
    file.write("\n".join(lines))
sentencepiece.SentencePieceTrainer.train(
    input=f"{folder}/lines.txt", model_prefix=f"{folder}/pieces", vocab_size=120, model_type="bpe", minloglevel=2
)
text = "snake_case file_name"
tokenizer = SentencePieceTokenizer(f"{folder}/pieces.model")
pieces = tokenizer.encode(text)
print(f"{package}: {tokenizer.decode(pieces)}; sentencepiece: {tokenizer.processor.decode(pieces)}")
PYTHON

seen=""
for package in argostranslate==1.11.0 argos-translate-lt==1.12.1; do
    # Only their tokenizer is looked at; what else they need has a gigabyte.
    "$folder/env/bin/pip" install --quiet --no-compile --no-deps --target "$folder/$package" "$package"
    seen+="$(PYTHONPATH="$folder/$package" "$folder/env/bin/python" "$folder/cut.py" "$folder" "$package")
"
done
printf %s "$seen"
expected="argostranslate==1.11.0: snake case file name; sentencepiece: snake_case file_name
argos-translate-lt==1.12.1: snake case file name; sentencepiece: snake_case file_name
"
[ "$seen" = "$expected" ] || { echo "This is no longer so." >&2; exit 1; }
