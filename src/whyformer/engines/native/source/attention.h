// Attention of one query to its keys; watched, or broken on purpose, where somebody looks.
//
// H heads · D head dimension

#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "arithmetic/lanes.h"
#include "model.h"

namespace {

// Weights of a head lie in whole vectors: the room that those of so many keys take.
inline int64_t room(int64_t keys) { return (keys + LANES - 1) / LANES * LANES; }

// Scores of one head of a query (D) with its keys; minus infinity in the room behind them. `DIM` is D, or 0 where the
// compiler does not know it.
template <int64_t DIM>
void score_keys(const float *query, const float *const *seen, int64_t keys, int64_t offset, int64_t any, float *scores) {
    const int64_t dim = DIM == 0 ? any : DIM;
    for (int64_t from = 0; from < keys; from += LANES) {
        const int64_t count = std::min(keys - from, LANES);
        Floats products[LANES]{};
        for (int64_t k = 0; k < count; ++k) {
            const float *key = seen[from + k] + offset;
            Floats sums = load_until(query, 0, dim) * load_until(key, 0, dim);
            for (int64_t d = LANES; d < dim; d += LANES) sums += load_until(query, d, dim) * load_until(key, d, dim);
            products[k] = sums;
        }
        const Floats all = select(LANE < int32_t(count), totals(products), Floats{} - INFINITY);
        store(scores + from, all);
    }
}

// Makes weights of scores, which fill `room(keys)`; 0 behind the last key.
inline void softmax(float *weights, int64_t keys) {
    Floats greatest = Floats{} - INFINITY, sums{};
    for (int64_t k = 0; k < keys; k += LANES) greatest = larger(greatest, load<Floats>(weights + k));
    const float most = largest(greatest);
    for (int64_t k = 0; k < keys; k += LANES) {
        const Floats power = exponential(load<Floats>(weights + k) - most);
        const Floats kept = select(LANE < int32_t(keys - k), power, Floats{});
        store(weights + k, kept);
        sums += kept;
    }
    const float all = total(sums);
    for (int64_t k = 0; k < room(keys); ++k) weights[k] /= all;
}

// The sum of values, which lie `offset` behind what `seen` points at, each times its weight.
template <int64_t DIM>
void mix_values(const float *weights, const float *const *seen, int64_t keys, int64_t offset, int64_t any, float *context) {
    constexpr int64_t SIDE_BY_SIDE = DIM % (4 * LANES) == 0 && DIM > 0 ? 4 : DIM % (2 * LANES) == 0 && DIM > 0 ? 2 : 1;
    const int64_t dim = DIM == 0 ? any : DIM;
    for (int64_t d = 0; d < dim; d += SIDE_BY_SIDE * LANES) {
        Floats sums[SIDE_BY_SIDE]{};
        for (int64_t k = 0; k < keys; ++k)
            for (int64_t v = 0; v < SIDE_BY_SIDE; ++v)
                sums[v] += weights[k] * load_until(seen[k] + offset, d + v * LANES, dim);
        for (int64_t v = 0; v < SIDE_BY_SIDE; ++v) store_until(context, d + v * LANES, dim, sums[v]);
    }
}

template <int64_t DIM>
void attend_by(const float *query, const float *const *seen, int64_t keys, int64_t width, int64_t heads, int64_t any,
               float *weights, float *context) {
    // All heads do the same before one goes on, so that what waits for a sum in one has another's beside it.
    const int64_t dim = DIM == 0 ? any : DIM;
    for (int64_t h = 0; h < heads; ++h)
        score_keys<DIM>(query + h * dim, seen, keys, h * dim, dim, weights + h * room(keys));
    for (int64_t h = 0; h < heads; ++h) softmax(weights + h * room(keys), keys);
    for (int64_t h = 0; h < heads; ++h)
        mix_values<DIM>(weights + h * room(keys), seen, keys, width + h * dim, dim, context + h * dim);
}

// Some heads (H) of one query (H,D), which comes scaled: Vaswani et al. 2017, equation 1. `seen` points at
// their keys, and a value lies `width` behind its key. Weights are (H,room).
inline void attend(const float *query, const float *const *seen, int64_t keys, int64_t width, int64_t heads, int64_t dim,
                   float *weights, float *context) {
    const auto by = dim == 16 ? attend_by<16> : dim == 32 ? attend_by<32> : dim == 64 ? attend_by<64> : attend_by<0>;
    by(query, seen, keys, width, heads, dim, weights, context);
}

// Where attention is: in the encoder; in the decoder, to itself; in the decoder, to the memory.
enum Place : int64_t { ENCODER, DECODER, CROSS };

// Which of its keys a query sees: those from `first` on.
struct Span {
    int64_t first, count;
};

// Attention that is watched, or broken on purpose. A search without a lens does not pay for it; one with a lens has one thread.
struct Lens {
    const Model &model;
    bool watches = true;
    std::array<int32_t, 6> ranges{-1, -1, -1, -1, -1, -1};  // how far a query of each place sees back, and ahead; -1: no bound
    std::vector<uint8_t> ablated{};                         // a head each, of `part` after `part`: its output is zero
    std::vector<std::vector<float>> weights{};              // a part each, as of the last pass: (rows, heads, keys)
    std::vector<int64_t> first_head{0};                     // (parts+1)

    explicit Lens(const Model &model) : model(model) {
        for (int64_t at = 0; at < parts(); ++at) first_head.push_back(first_head[at] + attention(at).heads);
        ablated.resize(first_head.back());
        weights.resize(parts());
    }

    // Parts are the attentions of all layers: the encoder's, the decoder's to itself, then those to the memory.
    int64_t parts() const { return model.encoder.depth + 2 * model.decoder.depth; }

    int64_t part(Place place, int64_t depth) const {
        return place == ENCODER ? depth : model.encoder.depth + (place - 1) * model.decoder.depth + depth;
    }

    const Attention &attention(int64_t part) const {
        const int64_t behind = part - model.encoder.depth, depth = model.decoder.depth;
        if (behind < 0) return model.encoder.layers[part].own;
        return behind < depth ? model.decoder.layers[behind].own : model.decoder.layers[behind - depth].cross;
    }

    Span span(Place place, int64_t position, int64_t keys) const {
        const int64_t back = ranges[2 * place], ahead = ranges[2 * place + 1];
        const int64_t first = back < 0 ? 0 : std::min(keys, std::max(int64_t(0), position - back));
        const int64_t end = ahead < 0 ? keys : std::min(keys, position + ahead + 1);
        return {first, std::max(int64_t(0), end - first)};
    }

    void begin(int64_t part, int64_t rows, int64_t keys) {
        if (watches) weights[part].assign(rows * attention(part).heads * keys, 0.0f);
    }

    // Keeps what one row's heads have seen (H, room of the span) of all `keys`, and silences those that are ablated.
    void look(int64_t part, int64_t row, Span span, int64_t keys, const float *seen, float *context) {
        const int64_t heads = attention(part).heads, dim = attention(part).dim;
        for (int64_t h = 0; h < heads; ++h) {
            if (watches)
                std::copy_n(seen + h * room(span.count), span.count, &weights[part][(row * heads + h) * keys] + span.first);
            if (ablated[first_head[part] + h]) std::fill_n(context + h * dim, dim, 0.0f);
        }
    }
};

}  // namespace
