#!/usr/bin/env bash
# Two saves of the same tensors with the same metadata by safetensors are different files.
#
# Versions:  safetensors 0.8.0, numpy 2.4.6, Python 3.11.
# Guess:     the format is tensors behind a JSON header whose tensors are sorted, so the same content gives the same bytes,
#            and a hash of the file tells whether two trainings ended at the same weights.
# Seen:      tensors stand in one order whatever the order they are given in, but the entries of the metadata come in an
#            order drawn anew at each save: with two entries both orders are seen within 64 saves of one process, and the
#            hashes differ. With one entry, or none, all 64 are the same.
# Cure:      put all that is to be said into one entry, as JSON; or compare tensors instead of files.
# Changes:   the script fails once the entries have an order too.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --no-compile safetensors==0.8.0 numpy==2.4.6

cat > "$folder/order.py" <<'PYTHON'
import hashlib

import numpy as np
from safetensors.numpy import save

tensors = {"b": np.zeros(3, dtype=np.float32), "a": np.ones(2, dtype=np.float32)}
turned = dict(reversed(tensors.items()))


def files(tensors, metadata):
    return {hashlib.sha256(save(tensors, metadata)).hexdigest() for _ in range(64)}


print("tensors turned round:", "same" if files(tensors, None) == files(turned, None) else "different")
print("no metadata:", len(files(tensors, None)))
print("one entry:", len(files(tensors, {"format": "pt"})))
print("two entries:", len(files(tensors, {"format": "pt", "step": "4"})))
PYTHON

seen=$("$folder/env/bin/python" "$folder/order.py")
echo "$seen"
expected="tensors turned round: same
no metadata: 1
one entry: 1
two entries: 2"
[ "$seen" = "$expected" ] || { echo "This is no longer so." >&2; exit 1; }
