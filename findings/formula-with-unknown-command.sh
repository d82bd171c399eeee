#!/usr/bin/env bash
# latex2mathml takes a command that it does not know for a word, and shows it.
#
# Versions:  latex2mathml 3.81.1, Python 3.11.
# Guess:     a converter refuses a command that it cannot set, as TeX does ("Undefined control sequence"), so that a test which
#            converts every formula of a book finds the misspelt ones.
# Seen:      `\sqart{x}` and `\operatornam{Var}` raise nothing: they become the identifiers <mi>\sqart</mi>, <mi>\operatornam</mi>,
#            which a reader sees with their backslash. A brace that is never closed is taken for closed.
# Cure:      look for a backslash in the result, and refuse it yourself.
# Changes:   the script fails once unknown commands are refused, or a known one is not set.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --no-compile latex2mathml==3.81.1

cat > "$folder/formulas.py" <<'PYTHON'
from latex2mathml.converter import convert

for formula in (r"\sqrt{x}", r"\sqart{x}", r"\operatornam{Var}(x)", r"\frac{a}{b"):
    try:
        made = convert(formula)
        seen = "shown as a word" if "\\" in made else "set"
    except Exception as error:
        seen = f"refused ({type(error).__name__})"
    print(formula, seen)
PYTHON

seen=$("$folder/env/bin/python" "$folder/formulas.py")
echo "$seen"
expected='\sqrt{x} set
\sqart{x} shown as a word
\operatornam{Var}(x) shown as a word
\frac{a}{b set'
[ "$seen" = "$expected" ] || { echo "This is no longer so." >&2; exit 1; }
