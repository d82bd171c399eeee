// Unit mean square of rows, then a gain, forward and backward.

#pragma once

#include <algorithm>
#include <vector>

#include "threads.h"
#include "vectors.h"

namespace {

struct RootMeanSquare {
    const float *gain;      // (M)
    float *scale;           // (N): one through the root
    int64_t rows, columns;  // N, M
    float epsilon;
};

// y = gain · x / sqrt(mean square of x + epsilon).
template <class Type> void rms_norm(const RootMeanSquare &all, const Type *x, Type *y, int64_t threads) {
    const int64_t size = all.columns;
    share(all.rows, threads, [&](int64_t first, int64_t last) {
        for (int64_t row = first; row < last; ++row) {
            const int64_t start = row * size;
            Floats squares{};
            by_vectors(size, [&](int64_t at, auto count) {
                const Floats next = load(x + start + at, count);
                squares += next * next;
            });
            const float scale = all.scale[row] = 1.0f / std::sqrt(total(squares) / size + all.epsilon);
            by_vectors(size, [&](int64_t at, auto count) {
                store(y + start + at, load(x + start + at, count) * scale * load(all.gain + at, count), count);
            });
        }
    });
}

// Gradients of x and (M) of the gain, from that of y.
template <class Type>
void rms_norm_gradient(const RootMeanSquare &all, const Type *x, const Type *gradient, Type *to_x, float *to_gain,
                       int64_t threads) {
    const int64_t size = all.columns, width = (size + LANES - 1) / LANES * LANES;
    std::vector<float> parts(PARTS * width, 0.0f);
    share(PARTS, threads, [&](int64_t from, int64_t to) {
        for (int64_t part = from; part < to; ++part) {
            float *own = parts.data() + part * width;
            for (int64_t row = all.rows * part / PARTS; row < all.rows * (part + 1) / PARTS; ++row) {
                const int64_t start = row * size;
                const float scale = all.scale[row];
                Floats along{};
                by_vectors(size, [&](int64_t at, auto count) {
                    const Floats normal = load(x + start + at, count) * scale;
                    const Floats given = load(gradient + start + at, count) * normal;
                    store(own + at, load(own + at) + given);
                    along += given * load(all.gain + at, count);
                });
                const float mean = total(along) / size;
                by_vectors(size, [&](int64_t at, auto count) {
                    const Floats weighed = load(gradient + start + at, count) * load(all.gain + at, count);
                    const Floats normal = load(x + start + at, count) * scale;
                    store(to_x + start + at, (weighed - normal * mean) * scale, count);
                });
            }
        }
    });
    std::fill(to_gain, to_gain + size, 0.0f);
    for (int64_t part = 0; part < PARTS; ++part)
        for (int64_t at = 0; at < size; ++at) to_gain[at] += parts[part * width + at];
}

}  // namespace
