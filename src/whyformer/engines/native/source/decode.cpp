// Translation of sentences by a Transformer, without padding, int8 or fp32.
//
// N rows, a token each · B sentences · S length of all sources · M model dimension · D head dimension
// V vocabulary · I inputs and O outputs of a product
//
// For each token a base model reads 27 million weights, so time goes into reading them, into multiplying
// with them, and into all that is no product. Hence
//   - weights are single bytes, in the order in which they are read (`multiply_tile`), and each is read once
//     for eight rows;
//   - a row's keys and values stay where they were written: a hypothesis that grows from another takes over
//     the numbers of its rows, not the rows;
//   - every thread runs all steps and takes its share of each product and of the heads. They meet at a
//     barrier, which takes about 0.1 µs, and do what is cheap (residuals, norms) each for itself: to wait for
//     another's result would take longer than to repeat it;
//   - threads live for one call. To start one takes 0.03 ms, and none is left to be stopped.
// pack.py refuses what this file need not think of.

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "worker.h"

namespace {

template <class Task> void run(Search &search, bool int8, int64_t threads, Task task) {
    int8 ? run_together<Worker<Int8>>(search, threads, task) : run_together<Worker<Fp32>>(search, threads, task);
}

}  // namespace

// ---- What Python calls ----

// Reads B sentences (S tokens, one behind the other); a hypothesis each, which has nothing yet. With a `lens`
// there is one sentence, and one thread.
extern "C" Search *whyformer_read(const Model *model, bool int8, const int64_t *source,
                                  const int64_t *lengths, int64_t sentences, int64_t threads, Lens *lens) {
    auto *search = new Search(*model, source, lengths, sentences);
    search->lens = lens;
    run(*search, int8, threads, [](auto &worker) { worker.encode(); });
    return search;
}

// Gives each sentence the tokens that alone may come.
extern "C" void whyformer_list(Search *search, bool int8, const Lists *lists) {
    const Linear &output = search->model.output;
    const int64_t in_word = int8 ? Int8::IN_WORD : Fp32::IN_WORD, words = (output.inputs + in_word - 1) / in_word;
    const int64_t sentences = search->first.size() - 1;
    search->lists.reserve(sentences);
    for (int64_t s = 0; s < sentences; ++s)
        search->lists.emplace_back(output, words, lists->ids + s * lists->stride, lists->lengths[s]);
}

// Feeds each hypothesis its last token (N); logits (N,stride) of the next, of all tokens, or of those in its
// sentence's list and then minus infinity.
extern "C" void whyformer_step(Search *search, bool int8, const int64_t *last, int64_t threads,
                               float *logits, int64_t stride) {
    const int64_t count = search->rows.size();
    search->last.assign(last, last + count);
    search->grow();
    if (search->lists.empty()) return run(*search, int8, threads, [logits](auto &worker) { worker.step(logits); });
    search->logits.resize(search->place.back());
    run(*search, int8, threads, [search](auto &worker) { worker.step(search->logits.data()); });
    for (int64_t n = 0; n < count; ++n) {
        const float *from = &search->logits[search->place[n]];
        const int64_t size = search->lists[search->rows[n].sentence].size();
        std::fill(std::copy(from, from + size, logits + n * stride), logits + (n + 1) * stride, -INFINITY);
    }
}

// Keeps, reorders or repeats hypotheses.
extern "C" void whyformer_select(Search *search, const int64_t *rows, int64_t count) {
    search->select({rows, rows + count});
}

// Lets each hypothesis grow to its end, greedily.
extern "C" void whyformer_write(Search *search, bool int8, const Greedy *greedy, int64_t threads) {
    search->penalise(greedy->penalties);
    run(*search, int8, threads, [greedy](auto &worker) { worker.write(*greedy); });
}

// Lets the best hypotheses of each sentence grow to their end.
extern "C" void whyformer_write_beam(Search *search, bool int8, const Beam *beam, int64_t threads) {
    search->penalise(beam->penalties);
    Beams beams(*beam, *search);
    run(*search, int8, threads, [&beams](auto &worker) { worker.write(beams); });
    beams.write();
}

extern "C" void whyformer_forget(Search *search) { delete search; }

// What sees the attention of a search.
extern "C" Lens *whyformer_lens(const Model *model) { return new Lens(*model); }

extern "C" void whyformer_forget_lens(Lens *lens) { delete lens; }

// Attention weights of the last pass, (rows, heads, keys).
extern "C" const float *whyformer_attention(const Lens *lens, int64_t place, int64_t layer) {
    return lens->weights[lens->part(Place(place), layer)].data();
}

// One int8 product y (N,O) of x (N,I), so that its integers can be seen.
extern "C" void whyformer_multiply(const Linear *linear, const float *x, int64_t rows, float *y) {
    Packed<Int8> packed;
    packed.fill(x, linear->inputs, rows, linear->inputs);
    multiply(*linear, packed, 0, linear->outputs / PANEL, y);
}

// The `count` likeliest places of a row of logits (V) and their log-probabilities, and how many there are; -1 where
// logits are not numbers. So it can be seen.
extern "C" int64_t whyformer_rank(const float *logits, const float *penalty, int64_t vocabulary, int64_t count,
                                  int64_t *places, float *log_probabilities) {
    Ranking ranking;
    ranking.fill(logits, penalty, vocabulary, count);
    for (const auto &[place, value] : ranking.found) *places++ = place, *log_probabilities++ = value;
    return ranking.is_broken ? -1 : int64_t(ranking.found.size());
}

// What `build.py` has told the compiler: a library of other sources would read structs wrongly.
extern "C" int64_t whyformer_fingerprint() { return WHYFORMER_FINGERPRINT; }

// Whether this processor has what the compiler was told to use.
extern "C" bool whyformer_runs_here() {
#if defined(__AVX512VNNI__)
    return __builtin_cpu_supports("avx512vnni");
#elif defined(__AVX2__)
    return __builtin_cpu_supports("avx2");
#else
    return true;
#endif
}
