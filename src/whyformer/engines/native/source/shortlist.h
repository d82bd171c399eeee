// A sentence's list of tokens, and the part of the output product that gives their logits.
//
// K tokens of a list · V vocabulary · I inputs and O outputs of a product

#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "arithmetic/product.h"

struct Lists {             // those of B sentences; library.py declares the same struct
    const int64_t *ids;      // (B,stride)
    const int64_t *lengths;  // (B)
    int64_t stride;
};

namespace {

// Outputs of a product as one of their own, in the same layout: so a row of a sentence is multiplied with
// what its list has and nothing else, and no sentence's result depends on another's list. It is copied once
// a sentence, and read at every step.
struct Excerpt {
    struct alignas(64) Line {  // as processors read
        uint32_t words[LANES];
    };
    std::vector<int64_t> ids;
    std::vector<Line> weight;
    Numbers start, scale, bias;  // what `start` holds is 32 bits of either type
    Numbers late{}, early{};     // penalties of its tokens: see `Penalties`

    Excerpt(const Linear &whole, int64_t words, const int64_t *chosen, int64_t count)
        : ids(chosen, chosen + count), weight(filled(count) * words / LANES), start(filled(count), 0.0f), scale(filled(count), 0.0f),
          bias(filled(count), 0.0f), inputs(whole.inputs), activation(whole.activation) {
        const auto *from = static_cast<const uint32_t *>(whole.weight);
        uint32_t *to = weight.data()->words;
        for (int64_t o = 0; o < count; ++o) {
            const int64_t id = ids[o];
            const uint32_t *source = from + id / PANEL * words * PANEL + id % PANEL;
            uint32_t *target = to + o / PANEL * words * PANEL + o % PANEL;
            for (int64_t k = 0; k < words * PANEL; k += PANEL) target[k] = source[k];
            std::memcpy(&start[o], whole.start + id, sizeof(float));  // no float: its bits may be an integer's
            scale[o] = whole.scale[id], bias[o] = whole.bias[id];
        }
    }

    int64_t size() const { return ids.size(); }

    // Takes over the penalties (V) of its tokens.
    void penalise(const float *all_late, const float *all_early) {
        late.clear(), early.clear();
        for (const int64_t id : ids) late.push_back(all_late[id]), early.push_back(all_early[id]);
    }

    Linear linear() const {
        return {weight.data(), start.data(), scale.data(), bias.data(), inputs, int64_t(scale.size()), activation};
    }

private:
    int64_t inputs, activation;

    static int64_t filled(int64_t count) { return (count + PANEL - 1) / PANEL * PANEL; }
};

}  // namespace
