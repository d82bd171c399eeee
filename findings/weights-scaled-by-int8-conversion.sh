#!/usr/bin/env bash
# CTranslate2's model specification scales the caller's own weights when it quantises them, so that a second conversion of
# the same weights is wrong, without a word.
#
# Versions:  ctranslate2 4.8.5, numpy 2.4.6, Python 3.11.
# Guess:     a specification keeps what it makes of the arrays that it is given; whoever filled it still has the weights as
#            they were, and may convert them again in another precision, or go on using the model in memory.
# Seen:      after optimize("int8") each row of the caller's array is multiplied by 127 over its largest value (0.5 has
#            become 127). A second specification filled with the same array stores the same int8 numbers with scales of 1,
#            so its weights are too large by the factor of the first. With "int16" the same happens; with "float16" and
#            without quantisation the array stays as it was. The weight of a torch layer handed over without a copy goes
#            the same way.
# Why:       `_quantize` in ctranslate2/specs/model_spec.py works in place (`value *= scale`) on an array that is not
#            copied before when it has float32 already.
# Changes:   the script fails once the caller's array stays as it was.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --no-compile ctranslate2==4.8.5 numpy==2.4.6

cat > "$folder/convert.py" <<'PYTHON'
import numpy as np
from ctranslate2.specs.common_spec import LinearSpec


def scales(weight, precision):
    spec = LinearSpec()
    spec.weight, spec.bias = weight, np.zeros(2, np.float32)
    spec.validate()
    spec.optimize(quantization=precision)
    scale = getattr(spec.weight_scale, "array", None)
    return "none" if scale is None else np.round(np.atleast_1d(scale), 3).tolist()


for precision in ("float16", "int16", "int8"):
    weight = np.array([[0.5, -0.25], [0.125, 1.0]], np.float32)
    first = scales(weight, precision)
    print(precision, "largest", weight.max(), "scales", first, "again", scales(weight, precision))
PYTHON

seen=$("$folder/env/bin/python" "$folder/convert.py")
echo "$seen"
expected="float16 largest 1.0 scales none again none
int16 largest 1024.0 scales [1024.0] again [1.0]
int8 largest 127.0 scales [254.0, 127.0] again [1.0, 1.0]"
[ "$seen" = "$expected" ] || { echo "This is no longer so." >&2; exit 1; }
