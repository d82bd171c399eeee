// Cross-entropy of rows of logits, and its gradient in their place.

#pragma once

#include <vector>

#include "threads.h"
#include "vectors.h"

namespace {

struct CrossEntropy {
    const int64_t *gold;    // (N), the true tokens
    float *normaliser;      // (N), to be written: logarithm of the sum of exponentials
    float *right;           // (N), to be written: the logit of the true token
    int64_t rows, columns;  // N, V
    int64_t padding;        // the column that counts for nothing
    float share, top;       // of a wrong token and of the true one in the target distribution
};

template <class Type> void cross_entropy_row(const CrossEntropy &all, Type *x, float *powers, int64_t row) {
    const int64_t size = all.columns, whole = size / LANES * LANES, rest = size - whole;
    all.right[row] = load(x + all.gold[row], 1)[0];
    store(x + all.padding, Floats{} - INFINITY, 1);
    // What lies behind the last number is as little as padding.
    Floats tail = Floats{} - INFINITY;
    for (int64_t lane = 0; lane < rest; ++lane) tail[lane] = load(x + whole + lane, 1)[0];
    Floats most = tail;
    for (int64_t at = 0; at < whole; at += LANES) {
        const Floats next = load(x + at);
        most = next > most ? next : most;
    }
    const float maximum = largest(most);
    const Floats last = exponential(tail - maximum);
    Floats sums = last;
    for (int64_t at = 0; at < whole; at += LANES) {
        const Floats power = exponential(load(x + at) - maximum);
        store(powers + at, power);
        sums += power;
    }
    const float sum = total(sums);
    all.normaliser[row] = maximum + std::log(sum);
    const float scale = 1.0f / sum;
    for (int64_t at = 0; at < whole; at += LANES) store(x + at, load(powers + at) * scale - all.share);
    store(x + whole, last * scale - all.share, rest);
    store(x + all.padding, Floats{}, 1);
    const float probability = std::exp(all.right[row] - maximum) * scale;
    store(x + all.gold[row], Floats{} + (probability - all.top), 1);
}

template <class Type> void cross_entropy(const CrossEntropy &all, Type *logits, int64_t threads) {
    share(all.rows, threads, [&](int64_t first, int64_t last) {
        std::vector<float> powers(all.columns);  // of one row: they stay in the cache
        for (int64_t row = first; row < last; ++row)
            cross_entropy_row(all, logits + row * all.columns, powers.data(), row);
    });
}

}  // namespace
