// Softmax of rows of logits under a penalty, in their place, and its gradient.

#pragma once

#include <algorithm>

#include "threads.h"
#include "vectors.h"

namespace {

// Logits (B,H,Q,K); the penalty is (B,1,Q,K), whose strides in numbers are 0 where its size is 1.
struct Softmax {
    int64_t batch, heads, queries, keys;
    int64_t by_batch, by_query;
};

template <class Type>
void softmax(const Softmax &all, const Type *logits, const Type *penalty, Type *weights, int64_t threads) {
    const int64_t size = all.keys;
    share(all.batch * all.heads * all.queries, threads, [&](int64_t first, int64_t last) {
        for (int64_t row = first; row < last; ++row) {
            const int64_t batch = row / (all.heads * all.queries), query = row % all.queries;
            const Type *x = logits + row * size;
            const Type *less = penalty ? penalty + batch * all.by_batch + query * all.by_query : nullptr;
            Type *y = weights + row * size;
            const auto at_place = [&](int64_t at, int64_t count) {
                Floats value = load(x + at, count);
                if (less) value = rounded(value + load(less + at, count), Type{});
                return count == LANES ? value : behind(value, count, -INFINITY);
            };
            Floats most = Floats{} - INFINITY;
            for (int64_t at = 0; at < size; at += LANES) {
                const Floats next = at_place(at, std::min(LANES, size - at));
                most = next > most ? next : most;
            }
            const float maximum = largest(most);
            Floats sums{};
            for (int64_t at = 0; at < size; at += LANES)
                sums += exponential(at_place(at, std::min(LANES, size - at)) - maximum);
            const float scale = 1.0f / total(sums);
            for (int64_t at = 0; at < size; at += LANES) {
                const int64_t count = std::min(LANES, size - at);
                store(y + at, exponential(at_place(at, count) - maximum) * scale, count);
            }
        }
    });
}

// Gradient of the logits from the weights and their gradient.
template <class Type>
void softmax_gradient(const Type *weights, const Type *gradient, Type *to_logits, int64_t rows, int64_t size,
                      int64_t threads) {
    share(rows, threads, [&](int64_t first, int64_t last) {
        for (int64_t row = first; row < last; ++row) {
            const int64_t start = row * size;
            Floats sums{};
            for (int64_t at = 0; at < size; at += LANES) {
                const int64_t count = std::min(LANES, size - at);
                sums += load(weights + start + at, count) * load(gradient + start + at, count);
            }
            const float mean = total(sums);
            for (int64_t at = 0; at < size; at += LANES) {
                const int64_t count = std::min(LANES, size - at);
                const Floats weight = load(weights + start + at, count);
                store(to_logits + start + at, weight * (load(gradient + start + at, count) - mean), count);
            }
        }
    });
}

}  // namespace
