// max(x, 0) after dropout of each number, in place, and its gradient.
//
// What is left tells where the gradient passes: a number was above zero and was kept, or it is zero now. So neither
// the numbers before nor a mask are needed any more.

#pragma once

#include "residual.h"
#include "threads.h"
#include "vectors.h"

namespace {

// The scale is taken in the type of `x`, as a mask has it.
template <class Type> void rectify(const Residual &all, Type *x, int64_t threads) {
    Residual typed = all;
    typed.scale = rounded(Floats{} + all.scale, Type{})[0];
    share(all.rows, threads, [&](int64_t first, int64_t last) {
        const int64_t start = first * all.columns;
        by_vectors((last - first) * all.columns, [&](int64_t at, auto count) {
            const int64_t i = start + at;
            const Floats value = load(x + i, count);
            // What is not a number stays none.
            store(x + i, (value <= 0.0f ? Floats{} : value) * kept(typed, i, count), count);
        });
    });
}

// The gradient of x from that of y = rectify(x), whose random numbers are not looked at.
template <class Type>
void rectify_gradient(const Residual &all, const Type *y, const Type *gradient, Type *to_x, int64_t threads) {
    const float scale = rounded(Floats{} + all.scale, Type{})[0];
    share(all.rows, threads, [&](int64_t first, int64_t last) {
        const int64_t start = first * all.columns;
        by_vectors((last - first) * all.columns, [&](int64_t at, auto count) {
            const int64_t i = start + at;
            const Floats given = load(gradient + i, count) * scale;
            store(to_x + i, load(y + i, count) <= 0.0f ? Floats{} : given, count);
        });
    });
}

}  // namespace
