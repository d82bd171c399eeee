#!/usr/bin/env bash
# torch's Muon computes in bf16 whatever its weights are: on a CPU, and for fp64.
#
# Versions:  torch 2.13.0 (CPU), Python 3.11.
# Guess:     an optimizer computes in the type of the weights that it is given, as Adam and SGD do; so that steps of
#            fp32 matrices have the digits of fp32, and where bf16 products are slow they are not asked for.
# Seen:      every number of a step by torch.optim.Muon is one of bf16 times the rate, for fp32 and for fp64 matrices alike;
#            singular values of that step are between 0.6 and 1.3 where one would expect 1. Adam's steps of the same
#            gradients are numbers of the matrices' own type.
# So:        a test that wants Muon's steps to some digits has about two; and on a processor whose bf16 products are slower
#            than fp32 ones they are paid for in every step.
# Changes:   the script fails once a line of what it prints is another.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6 2>/dev/null

cat > "$folder/steps.py" <<'PYTHON'
import torch


def step(kind: str, dtype: torch.dtype) -> torch.Tensor:
    """What one step with rate 1 takes from a matrix of zeros."""
    torch.manual_seed(0)
    matrix = torch.nn.Parameter(torch.zeros(32, 32, dtype=dtype))
    matrix.grad = torch.randn(32, 32, dtype=torch.float64).to(dtype)
    if kind == "Muon":
        optimizer = torch.optim.Muon([matrix], lr=1.0, weight_decay=0.0)
    else:
        optimizer = torch.optim.Adam([matrix], lr=1.0, betas=(0.9, 0.5), eps=1.0)
    optimizer.step()
    return -matrix.detach()


for dtype in (torch.float32, torch.float64):
    for kind in ("Adam", "Muon"):
        taken = step(kind, dtype)
        rounded = bool((taken.to(torch.bfloat16).to(dtype) == taken).all())
        print(f"{kind}, {dtype}: {'numbers of bf16' if rounded else 'numbers of its own type'}")
singular = torch.linalg.svdvals(step("Muon", torch.float64))
print("singular values within 0.6 and 1.3:", bool(((singular > 0.6) & (singular < 1.3)).all()))
print("all within 0.01 of 1:", bool(((singular - 1.0).abs() < 0.01).all()))
PYTHON

seen=$("$folder/env/bin/python" "$folder/steps.py")
echo "$seen"
expected='Adam, torch.float32: numbers of its own type
Muon, torch.float32: numbers of bf16
Adam, torch.float64: numbers of its own type
Muon, torch.float64: numbers of bf16
singular values within 0.6 and 1.3: True
all within 0.01 of 1: False'
[ "$seen" = "$expected" ] || { echo "this has changed" >&2; exit 1; }
