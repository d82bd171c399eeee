"""Whether this checkout trains to the bits that another commit trains to, and reads its runs alike.

    python benchmarks/same_as_before.py COMMIT [--keep FOLDER]

Both train `reverse` to the end, 100 steps of `demo`, and some steps of every other task, one thread each;
lines of metrics (times left out) and weights must be the same. Then both use the other commit's runs: what
they print must be the same.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from safetensors.numpy import load_file

HERE = Path(__file__).parents[1]
TIMES = ("seconds", "tokens_per_second", "sentences_per_second")
WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]

SMALL = ["training.epochs=null", "training.steps=12", "training.validation.every=6", "training.log_every=2"]
TRAININGS = {
    "reverse": ["reverse"],
    "demo": ["demo", "training.epochs=null", "training.steps=100", "training.log_every=10"],
    "lstm": ["reverse", "model={kind: recurrent, d_model: 32, layers: 1}", *SMALL],
    "gpt": ["gpt-tiny", "data.train=[{text}]", "data.valid=0.2", "tokenizer.vocabulary=330", *SMALL],
    "bert": [
        "bert-tiny",
        "data={train: [{text}], valid: 0.2}",
        "tokenizer.vocabulary=120",
        *SMALL,
    ],
    "elmo": ["elmo-tiny", "data.train=[{text}]", "data.valid=0.2", "tokenizer.vocabulary=20", *SMALL],
    "mood": ["{mood}"],
    "head": ["{mood}", "model.update=head"],
}
USES = [
    ["translate", "{runs}/reverse", "--file", "{digits}", "--scores", "--beam", "3", "--n-best", "2"],
    ["translate", "{runs}/lstm", "1 2 3 4", "--scores"],
    ["translate", "{runs}/demo", "Sunday, November 8, 1998", "--scores", "--json"],
    ["translate", "{runs}/demo", "Sunday, November 8, 1998", "--precision", "int8"],
    ["evaluate", "{runs}/reverse", "--json"],
    ["evaluate", "{runs}/bert", "--on", "valid", "--json"],
    ["evaluate", "{runs}/gpt", "--json"],
    ["evaluate", "{runs}/elmo", "--json"],
    ["evaluate", "{runs}/mood", "--json"],
    ["generate", "{runs}/gpt", "one two", "--sample", "--seed", "3", "--tokens", "20"],
    ["fill", "{runs}/bert", "one [MASK] three", "--json"],
    ["embed", "{runs}/bert", "{lines}", "--to", "-"],
    ["embed", "{runs}/elmo", "{lines}", "--to", "-"],
    ["classify", "{runs}/mood", "{lines}"],
    ["inspect", "{runs}/reverse"],
]


def main() -> None:
    """Read the arguments, train, use, compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("commit")
    parser.add_argument("--keep", type=Path, help="folder to work in, which stays")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.keep or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        other = folder / "checkout"
        if not other.exists():
            _git("worktree", "add", "--force", "--detach", str(other), arguments.commit)
        try:
            faults = compared(folder, other)
        finally:
            if arguments.keep is None:
                _git("worktree", "remove", "--force", str(other))
    print("\n".join(faults) or "everything is the same")
    raise SystemExit(bool(faults))


def compared(folder: Path, other: Path) -> list[str]:
    """What is not the same, a line each."""
    texts = written(folder)
    faults: list[str] = []
    for name, training in TRAININGS.items():
        found: list[list[str]] = []
        for arm, checkout in (("before", other), ("after", HERE)):
            runs = folder / arm
            if not (runs / name / "done").exists():
                told = [_filled(part, {**texts, "runs": runs}) for part in training]
                _whyformer(checkout, ["train", *told, "--run", str(runs / name), "--overwrite"], texts, runs)
                (runs / name / "done").touch()
            found.append(fingerprint(runs / name))
        same = found[0] == found[1]
        print(f"{name:8} {len(found[0])} lines of metrics and tensors: {'same' if same else 'OTHER'}")
        faults += [] if same else [f"training {name} differs"]
    for use in USES:
        told = [_filled(part, {**texts, "runs": folder / "before"}) for part in use]
        outputs = [_timeless(_whyformer(checkout, told, texts, folder)) for checkout in (other, HERE)]
        same = outputs[0] == outputs[1]
        print(f"{' '.join(use[:2])}: {'same' if same else 'OTHER'}, {len(outputs[0])} characters")
        faults += (
            [] if same else [f"whyformer {' '.join(told)} prints\n{outputs[1]}\ninstead of\n{outputs[0]}"]
        )
    return faults


def fingerprint(run: Path) -> list[str]:
    """The lines of the metrics without times, and a digest of every tensor."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    kept = [json.dumps({name: value for name, value in line.items() if name not in TIMES}) for line in lines]
    tensors = load_file(run / "model.safetensors")
    # By their numbers alone: a tensor may have been renamed.
    numbers = sorted(hashlib.sha256(tensor.tobytes()).hexdigest() for tensor in tensors.values())
    return [*kept, *numbers]


def written(folder: Path) -> dict[str, Path]:
    """Texts to train on and to use runs on, by what calls name them."""
    text, mood = folder / "counting.txt", folder / "mood.yaml"
    starts = [(start, start + length) for start in range(6) for length in (3, 4, 5)]
    documents = [" ".join(WORDS[a:b]) + ".\n" + " ".join(WORDS[a + 1 : b + 2]) + "." for a, b in starts * 4]
    text.write_text("\n\n".join(documents), encoding="utf-8")
    moods = (f"{mood}\t{word} {word}\n" for mood in ("low", "high") for word in WORDS)
    (folder / "mood.tsv").write_text("".join(moods), encoding="utf-8")
    mood.write_text(
        f"task: classification\nstart: {folder}/before/bert\n"
        f"data: {{train: [{folder}/mood.tsv], valid: 0.2}}\ntraining: {{steps: 12, log_every: 2}}\n",
        encoding="utf-8",
    )
    lines, digits = folder / "lines.txt", folder / "digits.txt"
    lines.write_text("one two three\nnine\n", encoding="utf-8")
    digits.write_text("1 2 3\n7 7 1 0 5\n9\n", encoding="utf-8")
    return {"text": text, "mood": mood, "lines": lines, "digits": digits}


def _filled(part: str, names: dict[str, Path]) -> str:
    for name, path in names.items():
        part = part.replace(f"{{{name}}}", str(path))
    return part


def _timeless(output: str) -> str:
    """What was printed, without times in JSON."""
    lines = (line for line in output.splitlines() if not any(f'"{name}"' in line for name in TIMES))
    return "\n".join(lines)


def _whyformer(checkout: Path, call: list[str], texts: dict[str, Path], folder: Path) -> str:
    program = "from whyformer.cli.main import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program, *call],
        env=environment,
        cwd=texts["text"].parent,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{checkout}: whyformer {' '.join(call)} failed:\n{done.stderr}")
    return done.stdout


def _git(*call: str) -> None:
    subprocess.run(["git", "-C", str(HERE), *call], check=True, capture_output=True)


if __name__ == "__main__":
    main()
