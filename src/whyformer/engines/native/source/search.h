// A search: its hypotheses, and what all threads read and write their share of.
//
// N rows, a token each · B sentences · S length of all sources · M model dimension
// V vocabulary · O outputs of a product
// library.py declares the same `Greedy` and fills it, and what is in it.

#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "attention.h"
#include "model.h"
#include "shortlist.h"
#include "threads.h"

struct Wanted {            // whether anybody still waits for the translation of a sentence
    const bool *flags;     // which fall while all this runs; null where all are wanted
    const int64_t *place;  // (B) the flag of each sentence

    bool operator[](int64_t s) const {
        return flags == nullptr || __atomic_load_n(flags + place[s], __ATOMIC_RELAXED);
    }
};

struct Penalties {      // 0, or minus infinity for what may not come
    const float *late;  // (V)
    const float *early;  // (V) while the end of a sentence would make it shorter than `shortest`
    int64_t shortest;

    bool is_early(int64_t length) const { return length < shortest; }  // of a token's number
};

struct Greedy {  // the longest of its B sentences has `stride` tokens
    const Penalties penalties;
    const int64_t *longest;  // (B)
    int64_t stride;
    int64_t *tokens;           // (B,stride)
    float *log_probabilities;  // (B,stride)
    int64_t *written;          // (B) of these; -1 where logits are not numbers
    Wanted wanted;
};

namespace {

struct Row {  // a hypothesis
    int64_t sentence;
    std::vector<int64_t> path;  // which row of each step before it was its own
};

// Sentences, the hypotheses of their translations, and what all threads read and write their share of.
struct Search {
    const Model &model;
    const std::vector<int64_t> source;  // (S) one sentence behind the other
    std::vector<int64_t> first{0};      // (B+1) where each begins
    std::vector<Row> rows{};
    std::vector<Excerpt> lists{};  // (B) the tokens of each sentence; none where all are
    std::vector<int64_t> place{};  // (N+1) where the logits of each row's list begin
    std::vector<int64_t> last{};   // (N) the token that each row is fed
    Numbers choice{};  // (N) its log-probability
    Lens *lens = nullptr;
    Barrier barrier{};
    Numbers queries{}, context{}, branch{}, hidden{}, logits{};
    Numbers values{};  // (N,H·D) of the stack's first layer
    std::vector<Numbers> memory{};              // a layer each: rows of keys and values (S,O)
    std::vector<std::vector<Numbers>> cache{};  // a step and a layer each: queries, too (N,O)

    Search(const Model &model, const int64_t *tokens, const int64_t *lengths, int64_t sentences)
        : model(model), source(tokens, tokens + std::accumulate(lengths, lengths + sentences, int64_t(0))) {
        for (int64_t s = 0; s < sentences; ++s) {
            first.push_back(first[s] + lengths[s]);
            rows.push_back({s, {}});
        }
        last.assign(sentences, model.start);
        for (int64_t depth = 0; depth < model.decoder.depth; ++depth)
            memory.emplace_back(source.size() * model.decoder.layers[depth].memory.outputs);
        reserve(source.size());
    }

    void reserve(int64_t count) {
        for (auto *buffer : {&queries, &context, &branch, &hidden, &values})
            if (int64_t(buffer->size()) < count * model.widest) buffer->resize(count * model.widest);
    }

    // Room for the next token of each row.
    void grow() {
        const int64_t count = rows.size();
        reserve(count);
        cache.emplace_back();
        for (int64_t depth = 0; depth < model.decoder.depth; ++depth)
            cache.back().emplace_back(count * model.decoder.layers[depth].own.input.outputs);
        for (int64_t n = 0; n < count; ++n) rows[n].path.push_back(n);
        place.assign(1, 0);
        for (int64_t n = 0; n < count; ++n) place.push_back(place[n] + outputs(n));
    }

    // Logits that there is room for in row n.
    int64_t outputs(int64_t n) const {
        return lists.empty() ? model.output.outputs : lists[rows[n].sentence].linear().outputs;
    }

    // Before hypotheses are written.
    void penalise(const Penalties &penalties) {
        for (Excerpt &list : lists) list.penalise(penalties.late, penalties.early);
    }

    void select(const std::vector<int64_t> &chosen) {
        std::vector<Row> kept;
        std::vector<int64_t> fed;
        kept.reserve(chosen.size()), fed.reserve(chosen.size());
        for (const int64_t n : chosen) {
            fed.push_back(last[n]), kept.push_back({rows[n].sentence, {}});
            kept.back().path.reserve(rows[n].path.size() + 1);  // as it grows by one next
            kept.back().path = rows[n].path;
        }
        rows.swap(kept), last.swap(fed);
    }

    // Writes down what was chosen for each row, and goes on with those that have not ended.
    void record(const Greedy &greedy) {
        std::vector<int64_t> living;
        for (int64_t n = 0; n < int64_t(rows.size()); ++n) {
            const int64_t s = rows[n].sentence, position = rows[n].path.size() - 1;
            greedy.tokens[s * greedy.stride + position] = last[n];
            greedy.log_probabilities[s * greedy.stride + position] = choice[n];
            greedy.written[s] = last[n] < 0 ? -1 : position + 1;
            const bool goes_on = last[n] >= 0 && last[n] != model.end && position + 1 < greedy.longest[s];
            if (goes_on && greedy.wanted[s]) living.push_back(n);
        }
        if (living.size() < rows.size()) select(living);
    }
};

}  // namespace
