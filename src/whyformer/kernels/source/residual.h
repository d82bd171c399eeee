// norm(x + dropout(branch)) of rows, forward and backward.
//
// Random numbers of 16 bits come from outside: below `level` an element is dropped, else it is multiplied by `scale`.
// The gradient decides again by the same numbers, so no mask is made.

#pragma once

#include <algorithm>
#include <vector>

#include "threads.h"
#include "vectors.h"

namespace {

struct Residual {
    const int16_t *random;  // (N,M); null for no dropout
    const float *gain;      // (M)
    float *deviation;       // (2,N): mean, and one through the standard deviation
    int64_t rows, columns;  // N, M
    int32_t level;
    float scale, epsilon;
};

// What dropout multiplies the `count` elements at `at` by.
inline Floats kept(const Residual &all, int64_t at, int64_t count) {
    if (!all.random) return Floats{} + 1.0f;
    Shorts random{};
    std::memcpy(&random, all.random + at, count * sizeof(int16_t));
    return __builtin_convertvector(random, Ints) >= all.level ? Floats{} + all.scale : Floats{};
}

// y = gain · (s - mean) / deviation + shift, where s = x + dropout(branch), which is written to `sum`.
template <class Type>
void residual_norm(const Residual &all, const Type *x, const Type *branch, const float *shift, Type *sum, Type *y,
                   int64_t threads) {
    const int64_t size = all.columns;
    share(all.rows, threads, [&](int64_t first, int64_t last) {
        for (int64_t row = first; row < last; ++row) {
            const int64_t start = row * size;
            Floats totals{};
            by_vectors(size, [&](int64_t at, auto count) {
                const int64_t i = start + at;
                const Floats joined = rounded(load(x + i, count) + load(branch + i, count) * kept(all, i, count), Type{});
                store(sum + i, joined, count);
                totals += joined;
            });
            const float mean = total(totals) / size;
            Floats squares{};
            by_vectors(size, [&](int64_t at, auto count) {
                const Floats off = behind(load(sum + start + at, count) - mean, count, 0.0f);
                squares += off * off;
            });
            const float scale = 1.0f / std::sqrt(total(squares) / size + all.epsilon);
            all.deviation[row] = mean;
            all.deviation[all.rows + row] = scale;
            by_vectors(size, [&](int64_t at, auto count) {
                const Floats normal = (load(sum + start + at, count) - mean) * scale;
                store(y + start + at, normal * load(all.gain + at, count) + load(shift + at, count), count);
            });
        }
    });
}

// Gradients of x, of the branch, and (2,M) of gain and shift, from that of y.
template <class Type>
void residual_norm_gradient(const Residual &all, const Type *sum, const Type *gradient, Type *to_x, Type *to_branch,
                            float *to_norm, int64_t threads) {
    const int64_t size = all.columns, width = (size + LANES - 1) / LANES * LANES;
    std::vector<float> parts(PARTS * 2 * width, 0.0f);
    share(PARTS, threads, [&](int64_t from, int64_t to) {
        for (int64_t part = from; part < to; ++part) {
            float *to_gain = parts.data() + part * 2 * width, *to_shift = to_gain + width;
            for (int64_t row = all.rows * part / PARTS; row < all.rows * (part + 1) / PARTS; ++row) {
                const int64_t start = row * size;
                const float mean = all.deviation[row], scale = all.deviation[all.rows + row];
                Floats plain{}, along{};
                by_vectors(size, [&](int64_t at, auto count) {
                    const Floats normal = (load(sum + start + at, count) - mean) * scale;
                    const Floats given = load(gradient + start + at, count);
                    const Floats weighed = given * load(all.gain + at, count);
                    plain += weighed;
                    along += weighed * normal;
                    store(to_gain + at, load(to_gain + at) + given * normal);
                    store(to_shift + at, load(to_shift + at) + given);
                });
                const float mean_plain = total(plain) / size, mean_along = total(along) / size;
                by_vectors(size, [&](int64_t at, auto count) {
                    const int64_t i = start + at;
                    const Floats normal = (load(sum + i, count) - mean) * scale;
                    const Floats weighed = load(gradient + i, count) * load(all.gain + at, count);
                    const Floats made = rounded((weighed - mean_plain - normal * mean_along) * scale, Type{});
                    store(to_x + i, made, count);
                    if (to_branch) store(to_branch + i, made * kept(all, i, count), count);
                });
            }
        }
    });
    std::fill(to_norm, to_norm + 2 * size, 0.0f);
    for (int64_t part = 0; part < PARTS; ++part)
        for (int64_t which = 0; which < 2; ++which)
            for (int64_t at = 0; at < size; ++at)
                to_norm[which * size + at] += parts[(part * 2 + which) * width + at];
}

}  // namespace
