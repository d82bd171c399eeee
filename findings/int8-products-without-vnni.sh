#!/usr/bin/env bash
# torch's int8 matrix product is wrong, without a word, on x86 processors that have no VNNI.
#
# Versions:  torch 2.13.0 (CPU, x86-64, with its own oneDNN), Python 3.11.
# Guess:     torch._int_mm multiplies int8 by int8 into int32, so every sum is exact on any processor, only slower on
#            an old one: 64 products of 127 by 127 are 1,032,256, far within 32 bits.
# Seen:      with oneDNN held to AVX2, as it is on a processor that ends there, the sum of 64 products of 127 by 127
#            comes out as 8,160, and all 4,096 sums of a random matrix (64 × 512, from -127 to 127) differ from the
#            exact ones; -127 by 127 is right. Nothing warns or fails. With VNNI all of them are exact.
# Why:       without VNNI two neighbouring products (signed inputs moved to unsigned ones) are added in 16 bits, where
#            the largest do not fit and are cut off. Libraries that quantise for such processors use 7 bits for that
#            reason; this product takes 8.
# Changes:   the script fails once sums under AVX2 are exact.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6

cat > "$folder/sums.py" <<'PYTHON'
import torch

most = torch.full((4, 64), 127, dtype=torch.int8)
drawn = torch.randint(-127, 128, (64, 512), generator=torch.Generator().manual_seed(0)).to(torch.int8)
exact = drawn.long() @ drawn.long().T
wrong = int((torch._int_mm(drawn, drawn.T).long() != exact).sum())
print(int(torch._int_mm(most, most.T)[0, 0]), int(torch._int_mm(-most, most.T)[0, 0]), wrong)
PYTHON

seen=$(ONEDNN_MAX_CPU_ISA=AVX2 "$folder/env/bin/python" "$folder/sums.py")
echo "held to AVX2:      127 by 127, -127 by 127, wrong of 4096 random sums: $seen"
if grep -qE "avx512_vnni|avx_vnni" /proc/cpuinfo; then
    echo "all that is here:  127 by 127, -127 by 127, wrong of 4096 random sums: $("$folder/env/bin/python" "$folder/sums.py")"
fi
[ "$seen" = "8160 -1032256 4096" ] || { echo "This is no longer so." >&2; exit 1; }
