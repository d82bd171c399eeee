// The likeliest of what may follow: of equal ones those that stand first, as `decoding/ranking/highest.py` has them.
//
// V vocabulary

#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "arithmetic/lanes.h"

namespace {

// ln of the sum of e^logit, none of which is above `most`: what logits (V) are less as log-probabilities. No number where
// one of them is none, or where all are minus infinity.
inline float normaliser(const float *logits, int64_t vocabulary, float most) {
    Floats sums{};
    int64_t v = 0;
    for (; v + LANES <= vocabulary; v += LANES) sums += exponential(load<Floats>(logits + v) - most);
    if (v < vocabulary) {
        const Floats powers = exponential(load_some(logits + v, vocabulary - v) - most);
        sums += select(LANE < int32_t(vocabulary - v), powers, Floats{});
    }
    return most + std::log(total(sums));
}

// The next of a row's logits (V), and minus infinity behind the last.
inline Floats logits_from(const float *logits, int64_t at, int64_t vocabulary) {
    if (at + LANES <= vocabulary) return load<Floats>(logits + at);
    return select(LANE < int32_t(vocabulary - at), load_some(logits + at, vocabulary - at), Floats{} - INFINITY);
}

// The first place from `from` on where one of the next logits may be as great as `least`: `may` says so of a vector
// that begins at a place. Most are not, so four are looked at together.
template <class May> int64_t next_place(int64_t from, int64_t vocabulary, May may) {
    for (; from + 4 * LANES <= vocabulary; from += 4 * LANES)
        if (bits_of(may(from) | may(from + LANES) | may(from + 2 * LANES) | may(from + 3 * LANES)) != 0) break;
    while (from < vocabulary && bits_of(may(from)) == 0) from += LANES;
    return from;
}

// The greatest of a row's logits (V). Vectors take turns, so that no comparison waits for the one before.
struct Greatest {
    static constexpr int64_t TURNS = 4;
    Floats allowed[TURNS], all[TURNS];  // of those that `penalty` (V) does not forbid, and of all

    Greatest(const float *logits, const float *penalty, int64_t vocabulary) {
        std::fill_n(allowed, TURNS, Floats{} - INFINITY), std::fill_n(all, TURNS, Floats{} - INFINITY);
        int64_t v = 0;
        for (; v + TURNS * LANES <= vocabulary; v += TURNS * LANES)
            for (int64_t turn = 0; turn < TURNS; ++turn) {
                const int64_t at = v + turn * LANES;
                take(turn, load<Floats>(logits + at), load<Floats>(penalty + at));
            }
        for (; v < vocabulary; v += LANES)
            take(0, logits_from(logits, v, vocabulary), load_until(penalty, v, vocabulary));
    }

    float of_allowed() const { return most(allowed); }
    float of_all() const { return most(all); }

private:
    void take(int64_t turn, const Floats &logits, const Floats &penalty) {
        all[turn] = larger(all[turn], logits), allowed[turn] = larger(allowed[turn], logits + penalty);
    }

    static float most(const Floats *each) { return largest(larger(larger(each[0], each[1]), larger(each[2], each[3]))); }
};

// The likeliest token that `penalty` (V) does not forbid, of equal ones the first, and its log-probability
// among all; -1 where the logits (V) are not numbers, or nothing may come.
inline int64_t likeliest(const float *logits, const float *penalty, int64_t vocabulary, float &log_probability) {
    const Greatest greatest(logits, penalty, vocabulary);
    const float most = greatest.of_allowed(), less = normaliser(logits, vocabulary, greatest.of_all());
    if (!(std::fabs(less) < INFINITY) || most == -INFINITY) return -1;
    log_probability = most - less;
    const auto is_most = [&](int64_t at) {
        return logits_from(logits, at, vocabulary) + load_until(penalty, at, vocabulary) == most;
    };
    const int64_t place = next_place(0, vocabulary, is_most);
    return place + std::countr_zero(bits_of(is_most(place)));
}

struct Ranked {
    int64_t place;
    float value;  // log-probability
};

// Those of the places of a row (V) that are likeliest, best first; of equal ones the first in the row.
//
// Most of a vocabulary is far from them. The greatest logits of `Greatest`, a turn and a lane each, are of different
// tokens: so nothing counts that is less than the least of as many of them as are wanted.
struct Ranking {
    bool is_broken = false;  // the logits are not numbers
    std::vector<Ranked> found{};

    // Takes so many of those that `penalty` (V) does not forbid.
    void fill(const float *logits, const float *penalty, int64_t vocabulary, int64_t count) {
        const Greatest greatest(logits, penalty, vocabulary);
        const float less = normaliser(logits, vocabulary, greatest.of_all());
        // By log-probability: two logits that differ may have the same, and then the first counts. What cannot come,
        // and what stands behind the last, is less than any number.
        const float least = std::max(least_of(greatest, count) - less, std::numeric_limits<float>::lowest());
        is_broken = !(std::fabs(less) < INFINITY), found.clear();
        const auto may = [&](int64_t at) { return logits_from(logits, at, vocabulary) - less >= least; };
        int64_t from = is_broken ? vocabulary : next_place(0, vocabulary, may);
        for (; from < vocabulary; from = next_place(from + LANES, vocabulary, may))
            for (uint32_t bits = bits_of(may(from)); bits != 0; bits &= bits - 1) {
                const int64_t v = from + std::countr_zero(bits);
                enter({v, logits[v] - less + penalty[v]}, count);
            }
    }

private:
    // The least of the `count` greatest. Half as many are compared faster, and are enough for few.
    static float least_of(const Greatest &greatest, int64_t count) {
        const Floats *each = greatest.allowed;
        if (count > Greatest::TURNS * LANES) return -INFINITY;
        if (count > Greatest::TURNS / 4 * LANES) return least_of<Greatest::TURNS>(each, count);
        const Floats half[] = {larger(each[0], each[1]), larger(each[2], each[3])};
        return least_of<Greatest::TURNS / 2>(half, count);
    }

    // Counts for each how many are greater, which takes no branch.
    template <int SIZE> static float least_of(const Floats *each, int64_t count) {
        float one[SIZE * LANES];
        for (int v = 0; v < SIZE; ++v) store(one + v * LANES, each[v]);
        Ints greater[SIZE]{};
        for (const float other : one)
            for (int v = 0; v < SIZE; ++v) greater[v] -= each[v] < other;  // a comparison that holds is -1
        Floats least = Floats{} - INFINITY;
        for (int v = 0; v < SIZE; ++v)
            least = larger(least, select(greater[v] < int32_t(count), -each[v], Floats{} - INFINITY));
        return -largest(least);
    }

    // An equal one comes behind those that are there; what is forbidden is none.
    void enter(const Ranked &next, int64_t count) {
        if (next.value == -INFINITY) return;
        found.push_back(next);
        for (int64_t at = found.size() - 1; at > 0 && found[at - 1].value < next.value; --at) std::swap(found[at - 1], found[at]);
        if (int64_t(found.size()) > count) found.pop_back();
    }
};

}  // namespace
