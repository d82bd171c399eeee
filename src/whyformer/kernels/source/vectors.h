// As many numbers side by side as the processor has in a vector, of memory in fp32 or bf16; all arithmetic is fp32.

#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#if defined(__AVX__)
#include <immintrin.h>
#endif
#if defined(__AVX512BW__) && defined(__AVX512VL__)
#define MASKS  // a load or store of some lanes is one instruction, where a copy of so many bytes is a call
#endif

namespace {

// Vectors of GCC and Clang. Longer ones than the processor has would work, but number by number in places.
#if defined(__AVX512F__)
constexpr int64_t LANES = 16;
#elif defined(__AVX__)
constexpr int64_t LANES = 8;
#else
constexpr int64_t LANES = 4;
#endif

typedef float Floats __attribute__((vector_size(4 * LANES)));
typedef int32_t Ints __attribute__((vector_size(4 * LANES)));
typedef uint32_t Words __attribute__((vector_size(4 * LANES)));
typedef uint16_t Halves __attribute__((vector_size(2 * LANES)));
typedef int16_t Shorts __attribute__((vector_size(2 * LANES)));

#if defined(__AVX512F__)
constexpr Ints LANE = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif defined(__AVX__)
constexpr Ints LANE = {0, 1, 2, 3, 4, 5, 6, 7};
#else
constexpr Ints LANE = {0, 1, 2, 3};
#endif

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

// Only the first `count` lanes.
#if defined(MASKS)
inline __mmask16 first(int64_t count) { return __mmask16((1u << count) - 1); }
#elif defined(__AVX__) && !defined(__AVX512F__)
#define WORD_MASKS  // the same for numbers of 32 bits alone
inline __m256i first(int64_t count) { return cast<__m256i>(LANE < int32_t(count)); }
#endif

// The first `count` of a vector's numbers of memory, and zeros.
inline Floats load(const float *x, int64_t count = LANES) {
    Floats value{};
    if (count == LANES) {
        std::memcpy(&value, x, sizeof value);
    } else {
#if defined(MASKS)
        value = cast<Floats>(_mm512_maskz_loadu_ps(first(count), x));
#elif defined(WORD_MASKS)
        value = cast<Floats>(_mm256_maskload_ps(x, first(count)));
#else
        std::memcpy(&value, x, count * sizeof *x);
#endif
    }
    return value;
}

inline Floats load(const Bf16 *x, int64_t count = LANES) {
    Halves value{};
    if (count == LANES) {
        std::memcpy(&value, x, sizeof value);
    } else {
#if defined(MASKS)
        value = cast<Halves>(_mm256_maskz_loadu_epi16(first(count), x));
#else
        std::memcpy(&value, x, count * sizeof *x);
#endif
    }
    return cast<Floats>(__builtin_convertvector(value, Words) << 16);
}

inline void store(float *x, const Floats &value, int64_t count = LANES) {
    if (count == LANES) {
        std::memcpy(x, &value, sizeof value);
    } else {
#if defined(MASKS)
        _mm512_mask_storeu_ps(x, first(count), cast<__m512>(value));
#elif defined(WORD_MASKS)
        _mm256_maskstore_ps(x, first(count), cast<__m256>(value));
#else
        std::memcpy(x, &value, count * sizeof *x);
#endif
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
#if defined(MASKS)
        _mm256_mask_storeu_epi16(x, first(count), cast<__m256i>(halves));
#else
        std::memcpy(x, &halves, count * sizeof *x);
#endif
    }
}

// What memory keeps of the numbers.
inline Floats rounded(const Floats &value, float) { return value; }

inline Floats rounded(const Floats &value, Bf16) {
    return cast<Floats>(__builtin_convertvector(nearest(value), Words) << 16);
}

// All lanes joined half to half, until one is left.
template <class Join> inline float joined(const Floats &all, const Join &join) {
#if defined(__AVX512F__)
    const auto eight = join(__builtin_shufflevector(all, all, 0, 1, 2, 3, 4, 5, 6, 7),
                            __builtin_shufflevector(all, all, 8, 9, 10, 11, 12, 13, 14, 15));
#else
    const auto &eight = all;
#endif
#if defined(__AVX__)
    const auto four = join(__builtin_shufflevector(eight, eight, 0, 1, 2, 3), __builtin_shufflevector(eight, eight, 4, 5, 6, 7));
#else
    const auto &four = eight;
#endif
    return join(join(four[0], four[1]), join(four[2], four[3]));
}

inline float total(const Floats &sums) {
    return joined(sums, [](auto one, auto other) { return one + other; });
}

// The largest lane; those that are not a number do not count.
inline float largest(const Floats &values) {
    const Floats real = values == values ? values : Floats{} - INFINITY;
    return joined(real, [](auto one, auto other) { return one > other ? one : other; });
}

// The first `count` numbers, and a filling in the place of the others.
inline Floats behind(const Floats &value, int64_t count, float filling) {
    return count == LANES ? value : LANE < int32_t(count) ? value : Floats{} + filling;
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

// Calls `task(at, count)` for all of `size` numbers, a vector at a time: the compiler knows the count of all but the last.
template <class Task> inline void by_vectors(int64_t size, const Task &task) {
    int64_t at = 0;
    for (; at + LANES <= size; at += LANES) task(at, std::integral_constant<int64_t, LANES>{});
    if (at < size) task(at, size - at);
}

}  // namespace
