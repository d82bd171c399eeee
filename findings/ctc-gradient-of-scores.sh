#!/usr/bin/env bash
# The gradient of torch's CTC loss is that of its value only where each frame's probabilities sum to one.
#
# Versions:  torch 2.13.0 (CPU), Python 3.11.
# Guess:     `ctc_loss` is a function of its first argument like any other, so its gradient by that argument is what small
#            differences give, whatever numbers stand there.
# Seen:      behind a log_softmax both agree to 1e-9. With 0.3 added to the symbols afterwards, as a delay penalty does, the
#            value is right (each alignment gets 0.3 a frame that it spends in symbols) and the gradient is not: it is off by
#            1.1 where the largest is 0.9, without a word, since it takes for granted that frames are normalised.
# Cure:      normalise the scores once more and add what that took: loss(s) = loss(log_softmax(s)) - sum of log-sum-exp.
# Changes:   the script fails once the two agree there too, or no longer do behind a log_softmax.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6

cat > "$folder/gradient.py" <<'PYTHON'
import torch
from torch.nn import functional as F

torch.manual_seed(0)
scores = torch.randn(5, 1, 3, dtype=torch.float64).log_softmax(-1)


def loss(x):
    return F.ctc_loss(x, torch.tensor([[1, 2]]), torch.tensor([5]), torch.tensor([2]), reduction="sum")


def difference(change):
    x = scores.clone().requires_grad_()
    (found,) = torch.autograd.grad(loss(change(x)), x)
    numeric = torch.zeros_like(scores)
    for index in range(scores.numel()):
        step = torch.zeros_like(scores)
        step.view(-1)[index] = 1e-6
        numeric.view(-1)[index] = (loss(change(scores + step)) - loss(change(scores - step))) / 2e-6
    return float((found - numeric).abs().max())


penalty = torch.tensor([0.0, 0.3, 0.3], dtype=torch.float64)
print("normalised:", "agrees" if difference(lambda x: x.log_softmax(-1)) < 1e-8 else "differs")
print("with 0.3 on symbols:", "agrees" if difference(lambda x: x.log_softmax(-1) + penalty) < 1e-3 else "differs")
cured = lambda x: (x.log_softmax(-1) + penalty).log_softmax(-1)
print("normalised again:", "agrees" if difference(cured) < 1e-8 else "differs")
PYTHON

seen=$("$folder/env/bin/python" "$folder/gradient.py")
echo "$seen"
expected="normalised: agrees
with 0.3 on symbols: differs
normalised again: agrees"
[ "$seen" = "$expected" ] || { echo "This is no longer so." >&2; exit 1; }
