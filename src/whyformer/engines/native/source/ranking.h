// The likeliest of what may follow: of equal ones those that stand first, as `decoding/ranking/highest.py` has them.
//
// V vocabulary

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "lanes.h"

namespace {

// ln of the sum of e^logit: what logits (V) are less as log-probabilities.
inline float normaliser(const float *logits, int64_t vocabulary) {
    const float largest = maximum(logits, vocabulary);
    Floats sums{};
    int64_t v = 0;
    for (Floats next; v + LANES <= vocabulary; v += LANES, sums += next)
        for (int64_t lane = 0; lane < LANES; ++lane) next[lane] = exponential(logits[v + lane] - largest);
    for (int64_t lane = 0; v + lane < vocabulary; ++lane) sums[lane] += exponential(logits[v + lane] - largest);
    return largest + std::log(total(sums));
}

constexpr int64_t BLOCK = 4 * LANES;  // logits that are looked at together

// Whether some of a block of logits, each less `less`, are above the `worst` that counts, or no numbers.
inline bool is_worth(const float *logits, int64_t size, float less, float worst) {
    Ints any{};
    for (int64_t v = 0; v < size; v += LANES) {
        const Floats next = load<Floats>(logits + v);
        any |= (next - less > worst) | ~(next < INFINITY);
    }
    return is_any(any);
}

// The likeliest token that `penalty` (V) does not forbid, of equal ones the first, and its log-probability
// among all; -1 where the logits (V) are not numbers.
inline int64_t likeliest(const float *logits, const float *penalty, int64_t vocabulary, float &log_probability) {
    int64_t token = -1;
    float best = -INFINITY;
    for (int64_t from = 0; from < vocabulary; from += BLOCK) {
        const int64_t end = std::min(from + BLOCK, vocabulary);
        if (end - from == BLOCK && !is_worth(logits + from, BLOCK, 0.0f, best)) continue;
        for (int64_t v = from; v < end; ++v) {
            if (!(logits[v] < INFINITY)) return -1;
            if (logits[v] + penalty[v] > best) best = logits[token = v];
        }
    }
    log_probability = best - normaliser(logits, vocabulary);
    return token;
}

struct Ranked {
    int64_t place;
    float value;  // log-probability
};

// Those of the places of a row (V) that are likeliest, best first.
struct Ranking {
    bool is_broken = false;  // the logits are not numbers
    std::vector<Ranked> found{};

    // Takes so many of those that `penalty` (V) does not forbid.
    void fill(const float *logits, const float *penalty, int64_t vocabulary, int64_t count) {
        const float less = normaliser(logits, vocabulary);
        is_broken = false, found.clear();
        for (int64_t from = 0; from < vocabulary && !is_broken; from += BLOCK) {
            const int64_t end = std::min(from + BLOCK, vocabulary);
            if (end - from == BLOCK && !is_worth(logits + from, BLOCK, less, least(count))) continue;
            for (int64_t part = from; part < end; part += LANES) {
                const int64_t last = std::min(part + LANES, end);
                if (last - part == LANES && !is_worth(logits + part, LANES, less, least(count))) continue;
                for (int64_t v = part; v < last; ++v) {
                    is_broken |= !(logits[v] < INFINITY);
                    enter({v, logits[v] - less + penalty[v]}, count);
                }
            }
        }
        // Where no token can come at all, nothing is a number either.
        is_broken |= !(std::fabs(less) < INFINITY);
    }

private:
    float least(int64_t count) const { return int64_t(found.size()) < count ? -INFINITY : found.back().value; }

    // An equal one comes behind those that are there.
    void enter(const Ranked &next, int64_t count) {
        if (!(next.value > least(count))) return;
        const auto place = std::find_if(found.begin(), found.end(), [&](auto &each) { return each.value < next.value; });
        found.insert(place, next);
        if (int64_t(found.size()) > count) found.pop_back();
    }
};

}  // namespace
