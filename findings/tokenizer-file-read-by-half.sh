#!/usr/bin/env bash
# transformers and tokenizers cut the same text differently by the same tokenizer.json: with a model's tokenizer class
# named beside it, the file's normalizer does not count, its post-processor does, and a flag for the latter is ignored.
#
# Versions:  transformers 5.23.0, tokenizers 0.23.3, Python 3.11.
# Guess:     tokenizer.json is the whole pipeline, so AutoTokenizer gives the tokens that tokenizers' own
#            Tokenizer.from_file gives; a flag of tokenizer_config.json such as add_bos_token changes it where it is said.
# Seen:      a file that lower-cases gives "the" by tokenizers and "The" by AutoTokenizer if tokenizer_class is
#            GPT2Tokenizer, and "the" again if it is TokenizersBackend. BOS comes in front exactly where the file's
#            post-processor puts it, by either class, whether add_bos_token is true or false. Without tokenizer.json,
#            from vocab.json and merges.txt, add_bos_token decides.
# Why:       since version 5 the class of a model builds its pipeline anew from flags; of the file it takes vocabulary,
#            merges, added tokens and post-processor.
# Changes:   the script fails once a line of what it prints is another.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --no-compile transformers==5.23.0 tokenizers==0.23.3 huggingface-hub==2.4.0

cat > "$folder/tokens.py" <<'PYTHON'
import json
import sys
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer

folder = Path(sys.argv[1])
words = ["<s>", "T", "h", "e", "t", "th", "the", "Th", "The"]
ids = {word: number for number, word in enumerate(words)}
merges = [("t", "h"), ("th", "e"), ("T", "h"), ("Th", "e")]


def by_transformers(name, add_bos):
    said = {"tokenizer_class": name, "add_bos_token": add_bos, "bos_token": "<s>", "eos_token": "<s>", "unk_token": "<s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    loaded = AutoTokenizer.from_pretrained(folder)
    return " ".join(loaded.convert_ids_to_tokens(loaded("The").input_ids))


for opens in (False, True):
    file = Tokenizer(models.BPE(ids, merges))
    file.normalizer = normalizers.Lowercase()
    file.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    file.decoder = decoders.ByteLevel()
    file.add_special_tokens(["<s>"])
    if opens:
        file.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 0)])
    file.save(str(folder / "tokenizer.json"))
    read = " ".join(Tokenizer.from_file(str(folder / "tokenizer.json")).encode("The").tokens)
    print(f"file {'with' if opens else 'without'} BOS: tokenizers: {read}", end="")
    for name in ("GPT2Tokenizer", "TokenizersBackend"):
        print(f"; {name}: {by_transformers(name, False)}, told to add it: {by_transformers(name, True)}", end="")
    print()

(folder / "tokenizer.json").unlink()
(folder / "vocab.json").write_text(json.dumps(ids))
(folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in merges))
print(f"vocab.json: {by_transformers('GPT2Tokenizer', False)}, told to add it: {by_transformers('GPT2Tokenizer', True)}")
PYTHON

mkdir "$folder/model"
seen=$("$folder/env/bin/python" "$folder/tokens.py" "$folder/model" 2> "$folder/errors") || { cat "$folder/errors" >&2; exit 1; }
echo "$seen"
expected="file without BOS: tokenizers: the; GPT2Tokenizer: The, told to add it: The; TokenizersBackend: the, told to add it: the
file with BOS: tokenizers: <s> the; GPT2Tokenizer: <s> The, told to add it: <s> The; TokenizersBackend: <s> the, told to add it: <s> the
vocab.json: The, told to add it: <s> The"
[ "$seen" = "$expected" ] || { echo "This is no longer so." >&2; exit 1; }
