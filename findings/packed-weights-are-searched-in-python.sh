#!/usr/bin/env bash
# torch looks through the arguments of a quantized product in Python before each call, for stand-ins that nobody made.
#
# Versions:  torch 2.13.0 (CPU), Python 3.11.
# Guess:     an operation under torch.ops is called in C++ at once, one as fast as another; so that of an int8 product of
#            one row, made for models that answer one request at a time, next to nothing is spent in Python.
# Seen:      torch.ops.aten.mm enters one function of Python. torch.ops.quantized.linear_dynamic, whose packed weights are a
#            script object, enters nine: each argument is looked at, in case it is the FakeScriptObject of an export. So
#            does torch's own torch.ao.nn.quantized.dynamic.Linear. The operation beneath (`_op`) gives the same numbers
#            and enters none.
# So:        who translates one sentence in int8 calls such a product some seven hundred times, and pays for the search with
#            about a tenth of each; an operation that takes its packed weights for granted is the one beneath.
# Changes:   the script fails once a line of what it prints is another.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6 2>/dev/null

cat > "$folder/calls.py" <<'PYTHON'
import sys
import warnings
from collections import Counter

import torch

warnings.simplefilter("ignore")
torch.backends.quantized.engine = "fbgemm"
weight = torch.quantize_per_tensor(torch.ones(8, 8), 0.01, 0, torch.qint8)
packed = torch.ops.quantized.linear_prepack(weight, torch.zeros(8))
module = torch.ao.nn.quantized.dynamic.Linear(8, 8)
row = torch.ones(1, 8)


def entered(call) -> Counter:
    """Functions of Python that a second call enters, by name; the first may have looked things up."""
    call()
    names = Counter()
    sys.setprofile(lambda frame, event, _: names.update([frame.f_code.co_name]) if event == "call" else None)
    call()
    sys.setprofile(None)
    del names["<lambda>"]
    return names


aten = entered(lambda: torch.ops.aten.mm(row, row.T))
lone = entered(lambda: torch.ops.quantized.linear_dynamic(row, packed, False))
layer = entered(lambda: module(row))
beneath = entered(lambda: torch.ops.quantized.linear_dynamic._op(row, packed, False))
looks = "_contains_fake_script_object"
print("aten.mm:", sum(aten.values()), "function, arguments looked at:", aten[looks])
print("linear_dynamic:", sum(lone.values()), "functions, arguments looked at:", lone[looks])
print("torch's own layer: arguments looked at:", layer[looks])
print("the operation beneath:", sum(beneath.values()), "functions")
same = torch.ops.quantized.linear_dynamic(row, packed, False) == torch.ops.quantized.linear_dynamic._op(row, packed, False)
print("the same numbers:", bool(same.all()))
PYTHON

seen=$("$folder/env/bin/python" "$folder/calls.py")
echo "$seen"
expected='aten.mm: 1 function, arguments looked at: 0
linear_dynamic: 9 functions, arguments looked at: 3
torch'"'"'s own layer: arguments looked at: 3
the operation beneath: 0 functions
the same numbers: True'
[ "$seen" = "$expected" ] || { echo "this has changed" >&2; exit 1; }
