#!/usr/bin/env bash
# What a missing text is in a batch of Ray Data depends on the rows that happen to be beside it.
#
# Versions:  ray 2.60.0 (Ray Data), pyarrow 26.0.1, pandas 3.1.1, Python 3.11.
# Guess:     a missing text of a column of texts is None in each batch, whichever rows a block has, as it is one in the Arrow
#            tables that blocks are.
# Seen:      beside a text it is None. In a block of missing texts alone, with the default batches, it is the float32 nan: the
#            type of a column is found anew for each block, and one without a type becomes numbers. So `text is None` and
#            `text or ""` are right on one number of blocks and wrong on another, and str() makes a word of it, "nan".
# Cure:      batch_format="pyarrow": None in both.
# Changes:   the script fails once both blocks give the same by default, or differ as tables.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --no-compile 'ray[data]==2.60.0' pyarrow==26.0.1 pandas==3.1.1 numpy==2.4.6

cat > "$folder/missing.py" <<'PYTHON'
import ray
import ray.data

ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
ray.data.DataContext.get_current().enable_progress_bars = False


def look(batch):
    return {"kind": [type(text.as_py() if hasattr(text, "as_py") else text).__name__ for text in batch["text"]]}


rows = [{"text": text} for text in ("a", None, None, None)]
for form in ("default", "pyarrow"):
    for blocks in (1, 2):
        data = ray.data.from_items(rows, override_num_blocks=blocks)
        kinds = sorted(row["kind"] for row in data.map_batches(look, batch_format=form).take_all())
        print(f"{form}, blocks {blocks}:", *kinds)
PYTHON

seen=$(RAY_USAGE_STATS_ENABLED=0 "$folder/env/bin/python" "$folder/missing.py" 2>"$folder/errors" || cat "$folder/errors")
echo "$seen"
expected="default, blocks 1: NoneType NoneType NoneType str
default, blocks 2: NoneType float32 float32 str
pyarrow, blocks 1: NoneType NoneType NoneType str
pyarrow, blocks 2: NoneType NoneType NoneType str"
[ "$seen" = "$expected" ] || { echo "This is no longer so." >&2; exit 1; }
