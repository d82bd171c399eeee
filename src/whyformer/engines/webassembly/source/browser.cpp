// The engine in a browser: one model, sentences one at a time, and their attention to be seen.
//
// N rows, a hypothesis each · S source length · V vocabulary
// All numbers that cross the border have 32 bits, as JavaScript's have; it sees this memory.

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "model_file.h"
#include "worker.h"

#define EXPORTED(name) extern "C" __attribute__((export_name(#name)))

namespace {

std::unique_ptr<Loaded> loaded;
std::unique_ptr<Lens> lens;
std::vector<int32_t> facts;

void tell_facts() {
    const Model &model = loaded->model;
    facts.clear();
    for (const int64_t fact : {int64_t(VERSION), model.d_model, int64_t(loaded->source_vocabulary), model.vocabulary,
                               int64_t(loaded->longest), model.start, model.end, model.encoder.depth,
                               model.decoder.depth})
        facts.push_back(int32_t(fact));
    for (int64_t part = 0; part < lens->parts(); ++part) facts.push_back(int32_t(lens->attention(part).heads));
}

template <class Task> void run(Search &search, Task task) { run_together<Worker<Int8>>(search, 1, task); }

}  // namespace

EXPORTED(whyformer_alloc) void *whyformer_alloc(uint32_t bytes) { return std::malloc(bytes); }

EXPORTED(whyformer_free) void whyformer_free(void *memory) { std::free(memory); }

// Takes a model in place of the last one; `Opened` tells how it went.
EXPORTED(whyformer_open) int32_t whyformer_open(const uint8_t *bytes, uint32_t size) {
    auto next = std::make_unique<Loaded>();
    const Opened opened = open_model(bytes, size, *next);
    if (opened != READY) return opened;
    lens.reset();
    loaded = std::move(next);
    lens = std::make_unique<Lens>(loaded->model);
    tell_facts();
    return READY;
}

// Version, sizes, marks and depths, then the heads of each part of `Lens`.
EXPORTED(whyformer_facts) const int32_t *whyformer_facts() { return facts.data(); }

EXPORTED(whyformer_ranges) int32_t *whyformer_ranges() { return lens->ranges.data(); }

EXPORTED(whyformer_ablated) uint8_t *whyformer_ablated() { return lens->ablated.data(); }

// Reads a sentence, its end mark too; one hypothesis, which has nothing yet. Null where it does not fit the model.
EXPORTED(whyformer_read) Search *whyformer_read(const int32_t *ids, int32_t count, int32_t watches) {
    if (loaded == nullptr || count < 1 || count > loaded->longest) return nullptr;
    const std::vector<int64_t> source(ids, ids + count);
    for (const int64_t id : source)
        if (id < 0 || id >= loaded->source_vocabulary) return nullptr;
    const int64_t length = count;
    auto *search = new Search(loaded->model, source.data(), &length, 1);
    lens->watches = watches != 0;
    search->lens = lens.get();
    run(*search, [](auto &worker) { worker.encode(); });
    return search;
}

// Feeds each hypothesis its last token; 1 where logits are no numbers, 2 where there is no such token or no place.
EXPORTED(whyformer_step) int32_t whyformer_step(Search *search, const int32_t *last, int32_t rows) {
    const Model &model = search->model;
    if (rows != int32_t(search->rows.size()) || int64_t(search->cache.size()) >= loaded->longest) return 2;
    for (int32_t row = 0; row < rows; ++row)
        if (last[row] < 0 || last[row] >= model.vocabulary) return 2;
    search->last.assign(last, last + rows);
    search->grow();
    search->logits.resize(rows * model.output.outputs);
    run(*search, [search](auto &worker) { worker.step(search->logits.data()); });
    for (int64_t row = 0; row < rows; ++row)
        for (int64_t v = 0; v < model.vocabulary; ++v)
            if (!(search->logits[row * model.output.outputs + v] < INFINITY)) return 1;
    return 0;
}

// Keeps, reorders or repeats hypotheses.
EXPORTED(whyformer_select) void whyformer_select(Search *search, const int32_t *rows, int32_t count) {
    search->select({rows, rows + count});
}

// The `count` likeliest tokens of each row that are not `forbidden`, of equal ones the first, and their
// log-probabilities among all: both (N,count), the likeliest first. Where there are fewer, ids are -1.
EXPORTED(whyformer_best) void whyformer_best(const Search *search, const int32_t *forbidden, int32_t forbidden_count, int32_t count,
                             int32_t *ids, float *log_probabilities) {
    const int64_t vocabulary = search->model.vocabulary, stride = search->model.output.outputs;
    std::vector<float> penalty(vocabulary);
    for (int32_t n = 0; n < forbidden_count; ++n)
        if (forbidden[n] >= 0 && forbidden[n] < vocabulary) penalty[forbidden[n]] = -INFINITY;
    Ranking ranking;
    for (size_t row = 0; row < search->rows.size(); ++row, ids += count, log_probabilities += count) {
        ranking.fill(&search->logits[row * stride], penalty.data(), vocabulary, count);
        const auto &found = ranking.found;
        for (size_t n = 0; n < size_t(count); ++n) {
            ids[n] = n < found.size() ? int32_t(found[n].place) : -1;
            log_probabilities[n] = n < found.size() ? found[n].value : -INFINITY;
        }
    }
}

EXPORTED(whyformer_logits) const float *whyformer_logits(const Search *search) { return search->logits.data(); }

// Logits from one row to the next.
EXPORTED(whyformer_stride) int32_t whyformer_stride() { return int32_t(loaded->model.output.outputs); }

// Attention weights of its last pass, (rows, heads, keys); null where nobody watched.
EXPORTED(whyformer_attention) const float *whyformer_attention(const Search *search, int32_t place, int32_t layer) {
    const std::vector<float> &seen = search->lens->weights[search->lens->part(Place(place), layer)];
    return seen.empty() ? nullptr : seen.data();
}

EXPORTED(whyformer_forget) void whyformer_forget(Search *search) { delete search; }

// What `build.py` has told the compiler: by these bytes it finds that the sources are still the same.
EXPORTED(whyformer_fingerprint) const char *whyformer_fingerprint() { return WHYFORMER_FINGERPRINT; }
