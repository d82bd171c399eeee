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
#include <new>
#include <vector>

namespace {

constexpr int64_t LANES = 16;  // numbers of 32 bits in a vector

// Vectors of GCC and Clang, which turn them into what the processor has.
typedef int32_t Ints __attribute__((vector_size(4 * LANES)));
typedef float Floats __attribute__((vector_size(4 * LANES)));
typedef uint8_t Bytes __attribute__((vector_size(LANES)));

constexpr Ints LANE{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

// What lies at an address, wherever that is: a vector, or the bits of another type.
template <class Type> inline Type load(const void *address) {
    Type value;
    std::memcpy(&value, address, sizeof value);
    return value;
}

// Where a processor reads no vector in two pieces; and without zeros, as everything is written before it is read.
template <class Type> struct Aligned {
    using value_type = Type;
    static constexpr std::align_val_t LINE{4 * LANES};

    Type *allocate(size_t count) { return static_cast<Type *>(::operator new(count * sizeof(Type), LINE)); }
    void deallocate(Type *numbers, size_t) { ::operator delete(numbers, LINE); }
    void construct(Type *number) { ::new (number) Type; }
    bool operator==(const Aligned &) const { return true; }
};

using Numbers = std::vector<float, Aligned<float>>;

// The first `count` numbers of a vector, and zeros.
inline Floats load_some(const float *x, int64_t count) {
    Floats value{};
    std::memcpy(&value, x, count * sizeof(float));
    return value;
}

// Those from the place `at` on of `size` numbers, and zeros behind the last.
inline Floats load_until(const float *x, int64_t at, int64_t size) {
    return at + LANES <= size ? load<Floats>(x + at) : load_some(x + at, size - at);
}

inline float total(const Floats &sums) {
    const auto eight = __builtin_shufflevector(sums, sums, 0, 1, 2, 3, 4, 5, 6, 7) +
                       __builtin_shufflevector(sums, sums, 8, 9, 10, 11, 12, 13, 14, 15);
    const auto four = __builtin_shufflevector(eight, eight, 0, 1, 2, 3) +
                      __builtin_shufflevector(eight, eight, 4, 5, 6, 7);
    return (four[0] + four[2]) + (four[1] + four[3]);
}

// Of two vectors, their pieces of `SIZE` numbers, each with its halves added up.
template <int SIZE> inline Floats fold(const Floats &x, const Floats &y) {
    static_assert(LANES == 16);
    if constexpr (SIZE == 16)
        return __builtin_shufflevector(x, y, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
               __builtin_shufflevector(x, y, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
    else if constexpr (SIZE == 8)
        return __builtin_shufflevector(x, y, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) +
               __builtin_shufflevector(x, y, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
    else if constexpr (SIZE == 4)
        return __builtin_shufflevector(x, y, 0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29) +
               __builtin_shufflevector(x, y, 2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31);
    else
        return __builtin_shufflevector(x, y, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30) +
               __builtin_shufflevector(x, y, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
}

// The totals of sixteen vectors, each as `total` has it, for a fraction of sixteen times its work.
inline Floats totals(const Floats *sums) {
    Floats eights[8], fours[4];
    for (int at = 0; at < 8; ++at) eights[at] = fold<16>(sums[2 * at], sums[2 * at + 1]);
    for (int at = 0; at < 4; ++at) fours[at] = fold<8>(eights[2 * at], eights[2 * at + 1]);
    return fold<2>(fold<4>(fours[0], fours[1]), fold<4>(fours[2], fours[3]));
}

// A bit for each lane in which a comparison holds.
inline uint32_t bits_of(const Ints &holds) {
    const Ints bits = holds & ((Ints{} + 1) << LANE);
    const auto eight = __builtin_shufflevector(bits, bits, 0, 1, 2, 3, 4, 5, 6, 7) |
                       __builtin_shufflevector(bits, bits, 8, 9, 10, 11, 12, 13, 14, 15);
    const auto four = __builtin_shufflevector(eight, eight, 0, 1, 2, 3) | __builtin_shufflevector(eight, eight, 4, 5, 6, 7);
    return uint32_t((four[0] | four[1]) | (four[2] | four[3]));
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

// The larger of each two; the first where the second is not a number.
inline Floats larger(const Floats &x, const Floats &y) { return y > x ? y : x; }

// The smaller of each two; the second where the first is not a number.
inline Floats smaller(const Floats &x, const Floats &y) { return x < y ? x : y; }

// The largest in a vector of numbers.
inline float largest(const Floats &x) {
    const Floats eight = larger(x, __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
    const Floats four = larger(eight, __builtin_shufflevector(eight, eight, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11));
    return std::max(std::max(four[0], four[2]), std::max(four[1], four[3]));
}

constexpr float ROUNDING = 12582912.0f;  // 1.5 · 2^23: added, it leaves no room for what is less than 1

// e^x for x <= 0, to 3e-7 near 0, of one number or of a vector; the library's takes one at a time. It is 2^whole · 2^rest
// with a rest of at most a half, whose power is a polynomial with the least greatest error. NaN stays NaN.
template <class Number, class Whole> inline Number exponential_of(Number x) {
    const Number power = (x < -87.0f ? Number{} - 87.0f : x) * 1.44269504f, shifted = power + ROUNDING;
    const Number f = power - (shifted - ROUNDING);
    const Number rest = 1.0f + f * (0.693147004f + f * (0.240222424f + f * (0.0555073358f + f * (0.00967151299f + f * 0.00132647273f))));
    const Whole bits = (load<Whole>(&shifted) << 23) + (127 << 23);  // of 2^whole, as the exponent of a float
    return load<Number>(&bits) * rest;
}

inline float exponential(float x) { return exponential_of<float, uint32_t>(x); }
inline Floats exponential(const Floats &x) { return exponential_of<Floats, Ints>(x); }

// The error function, to 2e-7: Abramowitz and Stegun 1964, 7.1.26. Libraries differ in its last bits.
inline float error_function(float x) {
    const float size = std::fabs(x), t = 1.0f / (1.0f + 0.3275911f * size);
    const float series = t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
    return std::copysign(1.0f - series * exponential(-size * size), x);
}

}  // namespace
