// Attention that is watched, or broken on purpose.

#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "model.h"

namespace {

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

    // Keeps what one row's heads have seen (H, span) of all `keys`, and silences those that are ablated.
    void look(int64_t part, int64_t row, Span span, int64_t keys, const float *seen, float *context) {
        const int64_t heads = attention(part).heads, dim = attention(part).dim;
        for (int64_t h = 0; h < heads; ++h) {
            if (watches)
                std::copy_n(seen + h * span.count, span.count, &weights[part][(row * heads + h) * keys] + span.first);
            if (ablated[first_head[part] + h]) std::fill_n(context + h * dim, dim, 0.0f);
        }
    }
};

}  // namespace
