// What Python hands over, and a search: its hypotheses, and what all threads read and write their share of.
//
// N rows, a token each · B sentences · S length of all sources · M model dimension
// V vocabulary · O outputs of a product
// pack.py and library.py declare the same structs and fill them.

#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <numeric>
#include <thread>
#include <vector>

#include "product.h"

struct Norm {
    const float *gain, *shift;  // (M); null where there is no norm
    double epsilon;
};

struct Attention {
    Linear input, output;  // input: to queries, keys and values; or to queries of the memory's
    Norm norm;
    int64_t heads, dim;
    const float *turn;  // (longest,turned) cosines, then sines; null without rotary positions
    int64_t turned;     // components of a head
};

struct Layer {
    Attention own, cross;  // to its own sequence, and to the memory
    Linear memory;         // to the keys and values that `cross` reads
    Linear enter, leave;
    Norm norm;  // of the feed-forward network
};

struct Stack {
    const Layer *layers;
    int64_t depth;
    const float *embedding, *position;  // (V,M) and (longest,M)
    double scale;                       // of the embedding
    Norm last;                          // where there is one, norms stand before branches; else behind
};

struct Model {
    Stack encoder, decoder;
    Linear output;
    int64_t d_model, vocabulary, start, end;
    int64_t widest;  // components of the widest row but that of the logits
};

struct Greedy {  // the longest of its B sentences has `stride` tokens
    const float *penalty;    // (V) 0, or minus infinity for what never comes
    const int64_t *longest;  // (B)
    int64_t stride;
    int64_t *tokens;           // (B,stride)
    float *log_probabilities;  // (B,stride)
    int64_t *written;          // (B) of these; -1 where logits are not numbers
};

namespace {

// Threads wait for each other. They spin, as a share takes microseconds; then they offer their core, as the one
// that is late may need it; and they sleep if it takes long. Sleeping sooner is several times as slow where the
// system has put two on one core: as one of them always sleeps, it sees no reason to move the other to a free one.
struct Barrier {
    std::atomic<int> members{0};  // 0 until it is known how many there are
    alignas(64) std::atomic<int> arrived{0};
    alignas(64) std::atomic<int> round{0};

    void wait() {
        const int mine = round;
        if (++arrived == members) {
            arrived = 0;
            ++round;
            round.notify_all();
        }
        const auto over = [&] { return round.load(std::memory_order_acquire) != mine; };
        for (int looks = 0; looks < 1000; ++looks)
            if (over()) return;
        for (int offers = 0; offers < 2000; ++offers) {
            std::this_thread::yield();
            if (over()) return;
        }
        round.wait(mine);
    }
};

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
    std::vector<int64_t> last{};  // (N) the token that each row is fed
    std::vector<float> choice{};  // (N) its log-probability
    Barrier barrier{};
    std::vector<float> queries{}, context{}, branch{}, hidden{}, logits{};
    std::vector<std::vector<float>> memory{};              // a layer each: rows of keys and values (S,O)
    std::vector<std::vector<std::vector<float>>> cache{};  // a step and a layer each: queries, too (N,O)

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
        for (auto *buffer : {&queries, &context, &branch, &hidden})
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
    }

    void select(const std::vector<int64_t> &chosen) {
        std::vector<Row> kept;
        std::vector<int64_t> fed;
        for (const int64_t n : chosen) kept.push_back(rows[n]), fed.push_back(last[n]);
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
            if (last[n] >= 0 && last[n] != model.end && position + 1 < greedy.longest[s]) living.push_back(n);
        }
        if (living.size() < rows.size()) select(living);
    }
};

}  // namespace
