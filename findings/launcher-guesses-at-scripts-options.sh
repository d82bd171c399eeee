#!/usr/bin/env bash
# torchrun leaves a script its options, even those that have the launcher's own names, but not one that looks like the beginning of two of them.
#
# Versions:  torch 2.13.0 (CPU), Python 3.11.
# Guess:     everything behind the script's name belongs to the script.
# Seen:      `--log-dir x` behind the script, an option of the launcher too, reaches the script, and so does `--name x`. `--run x`
#            is refused as ambiguous, since the launcher has `--run-path` and `--run_path`: argparse looks for abbreviations
#            in all arguments before it knows which of them are the script's. Behind a `--` it reaches the script.
# So:        a program with an option --run is started as `torchrun … -- program.py --run x`.
# Changes:   the script fails once a line of what it prints is another.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6 2>/dev/null
cd "$folder"
echo 'import sys; print(" ".join(sys.argv[1:]))' > program.py

run() {
    OMP_NUM_THREADS=1 "$folder/env/bin/torchrun" --nproc-per-node 1 "$@" 2>&1 | grep -E "^--|error:" | tail -1
}

seen=$(
    for option in --log-dir --name --run; do echo "$option: $(run program.py "$option" x)"; done
    echo "-- and --run: $(run -- program.py --run x)"
)
echo "$seen"
expected='--log-dir: --log-dir x
--name: --name x
--run: torchrun: error: ambiguous option: --run could match --run-path, --run_path
-- and --run: --run x'
[ "$seen" = "$expected" ] || { echo "this has changed" >&2; exit 1; }
