#!/usr/bin/env bash
# torch's fp32 power of a number depends on how many numbers stand behind it in the tensor.
#
# Versions:  torch 2.13.0 (CPU), Python 3.11, x86-64; kernels for AVX2, which any later processor runs, too.
# Guess:     a function of each number gives the same bits wherever the number stands, as exp and log do: what is left
#            over behind the last whole vector is computed as a vector filled up.
# Seen:      of 600 numbers raised to 0.6, more than half have another last bit alone than among the others, and two of
#            three beginnings of the tensor have another number than the whole; exp and log have none. Powers in fp64,
#            rounded to fp32, have none either.
# So:        a penalty by length that is taken from a table of lengths differs by the longest sentence of the batch, and
#            a score with it, though every product of the search is the same.
# Changes:   the script fails once a line of what it prints is another.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6 2>/dev/null

cat > "$folder/places.py" <<'PYTHON'
import torch

torch.set_num_threads(1)
numbers = (5 + torch.arange(600)) / 6
functions = {
    "power": lambda x: x**0.6,
    "exponential": lambda x: (x / 10).exp(),
    "logarithm": torch.log,
    "power in fp64": lambda x: (x.double() ** 0.6).float(),
}
for name, function in functions.items():
    whole = function(numbers)
    alone = sum(bool(function(number) != value) for number, value in zip(numbers, whole))
    shorter = sum(bool((function(numbers[:n]) != whole[:n]).any()) for n in range(1, 600))
    print(f"{name}: alone {'some' if alone else 'none'}, at a beginning {'some' if shorter else 'none'} of another value")
    print(f"  {alone} of 600, {shorter} of 599", flush=True)
PYTHON

found=$(ATEN_CPU_CAPABILITY=avx2 "$folder/env/bin/python" "$folder/places.py")
echo "$found"
expected='power: alone some, at a beginning some of another value
exponential: alone none, at a beginning none of another value
logarithm: alone none, at a beginning none of another value
power in fp64: alone none, at a beginning none of another value'
[ "$(grep -v '^ ' <<< "$found")" = "$expected" ]
