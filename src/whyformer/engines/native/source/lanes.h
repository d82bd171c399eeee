// Numbers side by side, and sums of them in an order that no compiler changes: on every processor the same bits.
//
// Sums that are free to be reordered differ between processors in their last bit, and what is rounded to whole numbers
// next may then differ by a step, and a translation by a word. So sixteen sums grow side by side, whatever the
// processor has, and are added half to half; and no product is fused with a sum (`build.py` forbids it).

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace {

constexpr int64_t LANES = 16;  // numbers of 32 bits in a vector

// Vectors of GCC and Clang, which turn them into what the processor has.
typedef int32_t Ints __attribute__((vector_size(4 * LANES)));
typedef float Floats __attribute__((vector_size(4 * LANES)));

// What lies at an address, wherever that is: a vector, or the bits of another type.
template <class Type> inline Type load(const void *address) {
    Type value;
    std::memcpy(&value, address, sizeof value);
    return value;
}

// The first `count` numbers of a vector, and zeros.
inline Floats load_some(const float *x, int64_t count) {
    Floats value{};
    std::memcpy(&value, x, count * sizeof(float));
    return value;
}

inline float total(const Floats &sums) {
    const auto eight = __builtin_shufflevector(sums, sums, 0, 1, 2, 3, 4, 5, 6, 7) +
                       __builtin_shufflevector(sums, sums, 8, 9, 10, 11, 12, 13, 14, 15);
    const auto four = __builtin_shufflevector(eight, eight, 0, 1, 2, 3) +
                      __builtin_shufflevector(eight, eight, 4, 5, 6, 7);
    return (four[0] + four[2]) + (four[1] + four[3]);
}

// Whether a comparison holds for any.
inline bool is_any(const Ints &holds) {
    const auto eight = __builtin_shufflevector(holds, holds, 0, 1, 2, 3, 4, 5, 6, 7) |
                       __builtin_shufflevector(holds, holds, 8, 9, 10, 11, 12, 13, 14, 15);
    const auto four = __builtin_shufflevector(eight, eight, 0, 1, 2, 3) | __builtin_shufflevector(eight, eight, 4, 5, 6, 7);
    return (four[0] | four[1] | four[2] | four[3]) != 0;
}

inline float sum(const float *x, int64_t size) {
    Floats sums{};
    int64_t i = 0;
    for (; i + LANES <= size; i += LANES) sums += load<Floats>(x + i);
    if (i < size) sums += load_some(x + i, size - i);
    return total(sums);
}

inline float dot(const float *x, const float *y, int64_t size) {
    Floats sums{};
    int64_t i = 0;
    for (; i + LANES <= size; i += LANES) sums += load<Floats>(x + i) * load<Floats>(y + i);
    if (i < size) sums += load_some(x + i, size - i) * load_some(y + i, size - i);
    return total(sums);
}

// The largest of some numbers; those that are not a number do not count.
inline float maximum(const float *x, int64_t size) {
    Floats largest = Floats{} - INFINITY;
    int64_t i = 0;
    for (; i + LANES <= size; i += LANES) {
        const Floats next = load<Floats>(x + i);
        largest = next > largest ? next : largest;
    }
    float most = -INFINITY;
    for (int64_t lane = 0; lane < LANES; ++lane) most = std::max(most, largest[lane]);
    for (; i < size; ++i) most = std::max(most, x[i]);
    return most;
}

// e^x for x <= 0, as 2^whole · e^f with a small f; the library's takes one number at a time. NaN stays NaN.
inline float exponential(float x) {
    const float power = (x < -87.0f ? -87.0f : x) * 1.44269504f, whole = std::nearbyint(power);
    const float f = (power - whole) * 0.69314718f;
    const float rest = f * f * f * (1 / 6.0f + f * (1 / 24.0f + f * (1 / 120.0f + f * (1 / 720.0f))));
    const int32_t bits = (int32_t(whole > -126.0f ? whole : -126.0f) + 127) << 23;
    return load<float>(&bits) * (1.0f + f + 0.5f * f * f + rest);
}

// The error function, to 2e-7: Abramowitz and Stegun 1964, 7.1.26. Libraries differ in its last bits.
inline float error_function(float x) {
    const float size = std::fabs(x), t = 1.0f / (1.0f + 0.3275911f * size);
    const float series = t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
    return std::copysign(1.0f - series * exponential(-size * size), x);
}

}  // namespace
