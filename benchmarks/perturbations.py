"""Odd white space, other forms of characters and what is invisible, in the inputs of a run that translates.

Each input is changed in many random ways that no reader sees, and translated from Python and by the program;
printed is how many translations differ from that of the input as it was. There should be none.

    python benchmarks/perturbations.py runs/demo --rounds 200 --inputs 200
"""

import argparse
import random
import subprocess
import sys
import tempfile
import unicodedata
import warnings
from collections import Counter
from pathlib import Path

WHITE = [chr(code) for code in range(0x3001) if chr(code).isspace() and chr(code) != "\n"]
# What is dropped between Latin letters or ideographs; joiners of Arabic, Indic scripts and emoji stay.
INVISIBLE = [
    *"\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e",
    *"\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\ufe0e\ufe0f\ufeff",
]


def perturbed(text: str, drawn: random.Random) -> str:
    """``text`` as it may come from a web page or a table: it looks the same, or has spaces too many."""
    changed = unicodedata.normalize(drawn.choice(["NFC", "NFD"]), text)
    parts = drawn.choices(WHITE, k=drawn.randrange(3))
    for character in changed:
        if character == " ":
            parts += drawn.choices([" ", *WHITE], k=drawn.choice([1, 1, 1, 2, 3]))
        else:
            parts.append(character)
        if drawn.random() < 0.05:
            parts.append(drawn.choice(INVISIBLE))
    return "".join([*parts, *drawn.choices(WHITE, k=drawn.randrange(3))])


def by_program(run: Path, texts: list[str]) -> list[str]:
    """The translations by ``whyformer translate``."""
    program = [sys.executable, "-c", "from whyformer.cli.main import main; main()"]
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "in.txt"
        given.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8", newline="\n")
        command = [*program, "translate", str(run), "--file", str(given), "--device", "cpu"]
        shown = subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout
    return shown.split("\n")[:-1]


def main() -> int:
    """Translate, count, print; 1 if any translation differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--rounds", type=int, default=200, help="perturbations of each input")
    parser.add_argument("--inputs", type=int, default=200, help="inputs, from the run's validation set")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    from whyformer.data.corpora.parallel import load_held_out
    from whyformer.runs.load import load_as, read_recipe
    from whyformer.tasks.translation.translator import Translator

    warnings.simplefilter("ignore")
    valid = load_held_out(read_recipe(options.run).data, ["valid"])["valid"]
    inputs = [pair.source for pair in valid[:: max(1, len(valid) // options.inputs)]][: options.inputs]
    drawn = random.Random(options.seed)
    odd = [perturbed(text, drawn) for _ in range(options.rounds) for text in inputs]
    changed = sum(a != b for a, b in zip(odd, inputs * options.rounds, strict=True))
    print(f"{len(inputs)} inputs, {len(odd):,} perturbations, of which {changed:,} differ from the input")
    translator = load_as(Translator, options.run)
    plain = translator.best(inputs)
    told = {"Python": translator.best(odd), "the program": by_program(options.run, odd)}
    wrong = Counter[str]()
    for name, translations in told.items():
        for text, found, expected in zip(odd, translations, plain * options.rounds, strict=True):
            if found != expected:
                wrong[name] += 1
                if wrong[name] <= 5:
                    print(f"  {text!r} gives {found!r}, not {expected!r}")
        print(f"{name}: {wrong[name]:,} translations changed")
    return int(wrong.total() > 0)


if __name__ == "__main__":
    sys.exit(main())
