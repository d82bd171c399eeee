// Softmax of rows of logits under a penalty, in their place, and its gradient.

#pragma once

#include <vector>

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
        std::vector<float> powers(size + LANES);  // of one row, and behind it what adds nothing
        for (int64_t row = first; row < last; ++row) {
            const int64_t batch = row / (all.heads * all.queries), query = row % all.queries;
            const Type *x = logits + row * size;
            const Type *less = penalty ? penalty + batch * all.by_batch + query * all.by_query : nullptr;
            Type *y = weights + row * size;
            Floats most = Floats{} - INFINITY;
            by_vectors(size, [&](int64_t at, auto count) {
                Floats next = load(x + at, count);
                if (less) next = rounded(next + load(less + at, count), Type{});
                next = behind(next, count, -INFINITY);
                store(&powers[at], next);
                most = next > most ? next : most;
            });
            const float maximum = largest(most);
            Floats sums{};
            for (int64_t at = 0; at < size; at += LANES) {
                const Floats power = exponential(load(&powers[at]) - maximum);
                store(&powers[at], power);
                sums += power;
            }
            const float scale = 1.0f / total(sums);
            by_vectors(size, [&](int64_t at, auto count) { store(y + at, load(&powers[at]) * scale, count); });
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
            by_vectors(size, [&](int64_t at, auto count) {
                sums += load(weights + start + at, count) * load(gradient + start + at, count);
            });
            const float mean = total(sums);
            by_vectors(size, [&](int64_t at, auto count) {
                const Floats weight = load(weights + start + at, count);
                store(to_logits + start + at, weight * (load(gradient + start + at, count) - mean), count);
            });
        }
    });
}

}  // namespace
