// Sixteen numbers side by side, of memory in fp32 or bf16; all arithmetic is fp32.

#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

namespace {

constexpr int64_t LANES = 16;

// Vectors of GCC and Clang, which turn them into what the processor has.
typedef float Floats __attribute__((vector_size(4 * LANES)));
typedef int32_t Ints __attribute__((vector_size(4 * LANES)));
typedef uint32_t Words __attribute__((vector_size(4 * LANES)));
typedef uint16_t Halves __attribute__((vector_size(2 * LANES)));
typedef int16_t Shorts __attribute__((vector_size(2 * LANES)));

// The upper half of an fp32.
struct Bf16 {
    uint16_t bits;
};

template <class To, class From> inline To cast(const From &from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}

// The first `count` of sixteen numbers of memory, and zeros.
inline Floats load(const float *x, int64_t count = LANES) {
    Floats value{};
    if (count == LANES) {
        std::memcpy(&value, x, sizeof value);
    } else {
        std::memcpy(&value, x, count * sizeof *x);
    }
    return value;
}

inline Floats load(const Bf16 *x, int64_t count = LANES) {
    Halves value{};
    if (count == LANES) {
        std::memcpy(&value, x, sizeof value);
    } else {
        std::memcpy(&value, x, count * sizeof *x);
    }
    return cast<Floats>(__builtin_convertvector(value, Words) << 16);
}

inline void store(float *x, const Floats &value, int64_t count = LANES) {
    if (count == LANES) {
        std::memcpy(x, &value, sizeof value);
    } else {
        std::memcpy(x, &value, count * sizeof *x);
    }
}

// To the nearest bf16, of two the even one; what is not a number stays none.
inline Halves nearest(const Floats &value) {
#if defined(__AVX512BF16__)
    return cast<Halves>(_mm512_cvtneps_pbh(cast<__m512>(value)));
#else
    const Words bits = cast<Words>(value);
    const Words sum = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    return __builtin_convertvector(value == value ? sum : (bits >> 16) | 0x40u, Halves);
#endif
}

inline void store(Bf16 *x, const Floats &value, int64_t count = LANES) {
    const Halves halves = nearest(value);
    if (count == LANES) {
        std::memcpy(x, &halves, sizeof halves);
    } else {
        std::memcpy(x, &halves, count * sizeof *x);
    }
}

// What memory keeps of the numbers.
inline Floats rounded(const Floats &value, float) { return value; }

inline Floats rounded(const Floats &value, Bf16) {
    return cast<Floats>(__builtin_convertvector(nearest(value), Words) << 16);
}

inline float total(const Floats &sums) {
    float sum = 0.0f;
    for (int64_t lane = 0; lane < LANES; ++lane) sum += sums[lane];
    return sum;
}

// The largest lane; those that are not a number do not count.
inline float largest(const Floats &values) {
    float most = -INFINITY;
    for (int64_t lane = 0; lane < LANES; ++lane) most = values[lane] > most ? values[lane] : most;
    return most;
}

// e^x for x <= 0, to an error of 2e-7: 2^whole · e^f with a small f. Not a number stays none; below -87 it is 0.
inline Floats exponential(Floats x) {
    constexpr float SHIFT = 12582912.0f;  // 1.5 · 2^23: what is added to it is rounded to whole numbers
    const auto none = x < -87.0f;
    x = none ? Floats{} : x;
    const Floats whole = (x * 1.44269504f + SHIFT) - SHIFT;
    const Floats f = (x - whole * 0.693359375f) - whole * -2.12194440e-4f;
    Floats series = 1.9875691500e-4f * f + 1.3981999507e-3f;
    series = series * f + 8.3334519073e-3f;
    series = series * f + 4.1665795894e-2f;
    series = series * f + 1.6666665459e-1f;
    series = series * f + 5.0000001201e-1f;
    const Floats power = series * f * f + f + 1.0f;
    const Ints bits = (__builtin_convertvector(whole, Ints) + 127) << 23;
    return none ? Floats{} : power * cast<Floats>(bits);
}

}  // namespace
