#!/usr/bin/env bash
# A penalty of -1e9 is refused by masked_fill in half precision, and becomes -inf without a word when it is added.
#
# Versions:  torch 2.13.0 (CPU), Python 3.11.
# Guess:     the two usual ways to mask scores before a softmax, filling with -1e9 and adding -1e9, do the same in any precision;
#            where 1e9 does not fit (fp16 ends at 65,504), both refuse or both give -inf.
# Seen:      fp32 and bf16 agree. In fp16 `masked_fill(mask, -1e9)` raises "value cannot be converted to type c10::Half without
#            overflow", and `scores + mask.to(scores.dtype) * -1e9` gives -inf; a row in which all is masked is then NaN after the softmax, while
#            in fp32 the same row is uniform.
# Cure:      take the lowest number of the dtype, and set rows in which nothing may be seen to zero afterwards.
# Changes:   the script fails once the two do the same in fp16, or no longer do in fp32.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6

cat > "$folder/masks.py" <<'PYTHON'
import torch

hidden = torch.tensor([[False, True], [True, True]])


def filled(scores):
    return scores.masked_fill(hidden, -1e9)


def added(scores):
    return scores + hidden.to(scores.dtype) * -1e9


for dtype in (torch.float32, torch.bfloat16, torch.float16):
    for way in (filled, added):
        try:
            weights = way(torch.zeros(2, 2, dtype=dtype)).softmax(-1)[1]
            seen = "NaN" if weights.isnan().all() else "uniform"
        except RuntimeError as error:
            seen = "refused" if "without overflow" in str(error) else str(error)
        print(str(dtype).removeprefix("torch."), way.__name__, seen)
PYTHON

seen=$("$folder/env/bin/python" "$folder/masks.py")
echo "$seen"
expected="float32 filled uniform
float32 added uniform
bfloat16 filled uniform
bfloat16 added uniform
float16 filled refused
float16 added NaN"
[ "$seen" = "$expected" ] || { echo "This is no longer so." >&2; exit 1; }
