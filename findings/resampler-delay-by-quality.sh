#!/usr/bin/env bash
# soxr's stream holds back more sound at a better quality, but not in the order of the qualities.
#
# Versions:  soxr 1.1.0, numpy 2.4.6, Python 3.11.
# Guess:     a better quality has longer filters, so what a running stream keeps to itself grows from LQ over MQ and HQ to
#            VHQ; for live sound one takes the worst quality that is good enough.
# Seen:      from 48,000 to 8,000 Hz, fed sample by sample, the most that is held back is 40 ms (LQ), 75 ms (MQ), 158 ms
#            (HQ) and 154 ms (VHQ): VHQ waits less than HQ, and MQ half of it. It works in blocks, so what is held back
#            goes up and down; nothing in its documents gives the number.
# Changes:   the script fails once a quality holds back another number of milliseconds.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --no-compile soxr==1.1.0 numpy==2.4.6

cat > "$folder/held_back.py" <<'PYTHON'
import numpy as np
import soxr

IN, OUT = 48_000, 8_000
for quality in ("LQ", "MQ", "HQ", "VHQ"):
    stream = soxr.ResampleStream(IN, OUT, 1, dtype="float32", quality=quality)
    one, given, most = np.zeros(1, np.float32), 0, 0
    for fed in range(1, 60_001):
        given += len(stream.resample_chunk(one))
        # Inputs whose output should be there, less those whose output is.
        most = max(most, fed - given * (IN // OUT))
    print(quality, round(1000 * most / IN), "ms")
PYTHON

seen=$("$folder/env/bin/python" "$folder/held_back.py")
echo "$seen"
expected="LQ 40 ms
MQ 75 ms
HQ 158 ms
VHQ 154 ms"
[ "$seen" = "$expected" ] || { echo "This is no longer so." >&2; exit 1; }
