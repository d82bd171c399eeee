#!/usr/bin/env bash
# In tokenizers a merge that BPE-dropout leaves out gets further chances from candidates that are out of date.
#
# Versions:  tokenizers 0.23.3, Python 3.11.
# Guess:     models.BPE(dropout=p) is BPE-dropout as published (Provilkov, Emelianenko and Voita 2020, algorithm 1): in each
#            round every possible merge is left out with probability p, the first learned of the rest is applied, and the word
#            is finished where none is left. Counted out by hand: with p = 0.5 and the merges a+b, ab+c, b+c "abc" becomes one
#            piece in 0.25 of all cases; with p = 0.1 a word of eight letters with seven merges that make it whole, and three
#            that overlap with those, in 0.784.
# Seen:      0.31 and 0.998. Candidates stand in a queue; those left out come back whenever one is taken that stays, also where
#            that one is of symbols which have been merged otherwise since, and does nothing else. "abc" has one such second
#            chance: 0.25 + 0.5 * 0.5 * 0.5 * 0.5 = 0.3125.
# So:        a rate from the paper cuts far fewer words anew than there. (Draws cannot be seeded either.)
# Changes:   the script fails once a line of what it prints is another.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --no-compile tokenizers==0.23.3 2>/dev/null

cat > "$folder/words.py" <<'PYTHON'
from functools import cache

from tokenizers import Tokenizer, models

TIMES = 1_000


def by_the_paper(word, merges, rate):
    """Probability that algorithm 1 makes one piece of the word."""
    ranks = {pair: rank for rank, pair in enumerate(merges)}

    @cache
    def whole(symbols):
        if len(symbols) == 1:
            return 1.0
        pairs = [(ranks.get(pair), place) for place, pair in enumerate(zip(symbols, symbols[1:]))]
        found, lost = 0.0, 1.0
        for _, place in sorted(each for each in pairs if each[0] is not None):
            after = (*symbols[:place], symbols[place] + symbols[place + 1], *symbols[place + 2 :])
            found += lost * (1 - rate) * whole(after)
            lost *= rate
        return found

    return whole(tuple(word))


def by_the_library(word, merges, rate):
    pieces = dict.fromkeys([*word, *(left + right for left, right in merges)])
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, dropout=rate))
    rows = (row for _ in range(TIMES) for row in tokenizer.encode_batch([word] * 1_000))
    return sum(len(row.ids) == 1 for row in rows) / TIMES / 1_000


def tell(word, merges, rate):
    paper, library = by_the_paper(word, merges, rate), by_the_library(word, merges, rate)
    print(f"{word}: one piece in {paper:.3f} of all cases by the paper, {library:.2f} by the library")


tell("abc", [("a", "b"), ("ab", "c"), ("b", "c")], 0.5)
word = "abcdefgh"
tree = [(word[i : i + n], word[i + n : i + 2 * n]) for n in (1, 2, 4) for i in range(0, 8, 2 * n)]
# Learned last, and out of date as soon as their letters are merged otherwise.
tell(word, [*tree, *((word[i], word[i + 1]) for i in (1, 3, 5))], 0.1)
PYTHON

seen=$("$folder/env/bin/python" "$folder/words.py")
echo "$seen"
expected='abc: one piece in 0.250 of all cases by the paper, 0.31 by the library
abcdefgh: one piece in 0.784 of all cases by the paper, 1.00 by the library'
[ "$seen" = "$expected" ] || { echo "this has changed" >&2; exit 1; }
