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
#include <type_traits>
#include <utility>
#include <vector>

namespace {

constexpr int64_t LANES = 16;  // numbers of 32 bits in a vector

// Two vectors as one. GCC knows vectors that are longer than the processor's, but keeps them in memory, and compares them
// number by number.
template <class Half> struct Pair {
    Half low, high;

    Pair &operator+=(const Pair &other) { return *this = *this + other; }
    Pair &operator-=(const Pair &other) { return *this = *this - other; }
};
template <class Half> Pair(Half, Half) -> Pair<Half>;

template <class Vector> struct Lane {
    using Type = std::remove_cvref_t<decltype(Vector{}[0])>;
};
template <class Half> struct Lane<Pair<Half>> : Lane<Half> {};

#define PAIRED(OP)                                                                                           \
    template <class Half> inline auto operator OP(const Pair<Half> &x, const Pair<Half> &y) {                \
        return Pair{x.low OP y.low, x.high OP y.high};                                                       \
    }                                                                                                        \
    template <class Half> inline auto operator OP(const Pair<Half> &x, typename Lane<Half>::Type y) {        \
        return Pair{x.low OP y, x.high OP y};                                                                \
    }                                                                                                        \
    template <class Half> inline auto operator OP(typename Lane<Half>::Type x, const Pair<Half> &y) {        \
        return Pair{x OP y.low, x OP y.high};                                                                \
    }
PAIRED(+) PAIRED(-) PAIRED(*) PAIRED(&) PAIRED(|) PAIRED(<<) PAIRED(>>) PAIRED(<) PAIRED(>) PAIRED(>=) PAIRED(==)
#undef PAIRED

template <class Half> inline Pair<Half> operator-(const Pair<Half> &x) { return {-x.low, -x.high}; }

// Vectors of GCC and Clang, which turn them into what the processor has.
#if defined(__AVX512F__) || defined(__wasm__)
typedef int32_t Ints __attribute__((vector_size(4 * LANES)));
typedef float Floats __attribute__((vector_size(4 * LANES)));
constexpr Ints LANE{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif defined(__AVX2__)
typedef int32_t HalfInts __attribute__((vector_size(2 * LANES)));
typedef float HalfFloats __attribute__((vector_size(2 * LANES)));
using Ints = Pair<HalfInts>;
using Floats = Pair<HalfFloats>;
constexpr Ints LANE{{0, 1, 2, 3, 4, 5, 6, 7}, {8, 9, 10, 11, 12, 13, 14, 15}};
#else
typedef int32_t QuarterInts __attribute__((vector_size(LANES)));
typedef float QuarterFloats __attribute__((vector_size(LANES)));
using Ints = Pair<Pair<QuarterInts>>;
using Floats = Pair<Pair<QuarterFloats>>;
constexpr Ints LANE{{{0, 1, 2, 3}, {4, 5, 6, 7}}, {{8, 9, 10, 11}, {12, 13, 14, 15}}};
#endif
typedef uint8_t Bytes __attribute__((vector_size(LANES)));

// Of each two numbers the first where a comparison holds, else the second.
template <class Mask, class Vector> inline Vector select(const Mask &holds, const Vector &yes, const Vector &no) {
    return holds ? yes : no;
}
template <class Mask, class Half> inline Pair<Half> select(const Pair<Mask> &holds, const Pair<Half> &yes, const Pair<Half> &no) {
    return {select(holds.low, yes.low, no.low), select(holds.high, yes.high, no.high)};
}

// Numbers of one type made those of another, which cuts off what is less than 1.
template <class To, class From> inline To convert(const From &x) { return __builtin_convertvector(x, To); }
template <class To, class Half> inline To convert(const Pair<Half> &x) {
    return {convert<decltype(To::low)>(x.low), convert<decltype(To::high)>(x.high)};
}

// Both halves of a vector.
template <int FIRST, class Vector, int... AT> inline auto part(const Vector &x, std::integer_sequence<int, AT...>) {
    return __builtin_shufflevector(x, x, (FIRST + AT)...);
}
template <class Vector> inline auto halves(const Vector &x) {
    constexpr int HALF = sizeof(Vector) / sizeof(x[0]) / 2;
    using Places = std::make_integer_sequence<int, HALF>;
    return Pair{part<0>(x, Places{}), part<HALF>(x, Places{})};
}
template <class Half> inline const Pair<Half> &halves(const Pair<Half> &x) { return x; }

template <class Type> constexpr bool IS_PAIR = false;
template <class Half> constexpr bool IS_PAIR<Pair<Half>> = true;

// What lies at an address, wherever that is: a vector, or the bits of another type. Halves are read one by one, as GCC
// copies what is no vector by the way of the stack.
template <class Type> inline Type load(const void *address) {
    if constexpr (IS_PAIR<Type>) {
        using Half = decltype(Type::low);
        return {load<Half>(address), load<Half>(static_cast<const char *>(address) + sizeof(Half))};
    } else {
        Type value;
        std::memcpy(&value, address, sizeof value);
        return value;
    }
}

// Writes to an address.
template <class Type> inline void store(void *address, const Type &value) { std::memcpy(address, &value, sizeof value); }
template <class Half> inline void store(void *address, const Pair<Half> &value) {
    store(address, value.low);
    store(static_cast<char *>(address) + sizeof(Half), value.high);
}

// The bits of one type as those of another.
template <class To, class From> inline To cast(const From &from) { return load<To>(&from); }
template <class To, class Half> inline To cast(const Pair<Half> &from) {
    return {cast<decltype(To::low)>(from.low), cast<decltype(To::high)>(from.high)};
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
    float numbers[LANES]{};
    std::memcpy(numbers, x, count * sizeof(float));
    return load<Floats>(numbers);
}

// Those from the place `at` on of `size` numbers, and zeros behind the last.
inline Floats load_until(const float *x, int64_t at, int64_t size) {
    return at + LANES <= size ? load<Floats>(x + at) : load_some(x + at, size - at);
}

// Writes those from the place `at` on of `size` numbers.
inline void store_until(float *x, int64_t at, int64_t size, const Floats &value) {
    if (at + LANES <= size) return store(x + at, value);
    float numbers[LANES];
    store(numbers, value);
    std::memcpy(x + at, numbers, (size - at) * sizeof(float));
}

// What `join` makes of both halves, and of both halves of that, until four are left.
template <class Vector, class Join> inline auto joined(const Vector &x, Join join) {
    const auto [low, high] = halves(x);
    if constexpr (sizeof low == LANES) return join(low, high);
    else return joined(join(low, high), join);
}

inline float total(const Floats &sums) {
    const auto four = joined(sums, [](const auto &x, const auto &y) { return x + y; });
    return (four[0] + four[2]) + (four[1] + four[3]);
}

// Of two vectors, their pieces of `SIZE` numbers, each with its halves added up.
template <int SIZE, int BEHIND, class Vector, int... AT>
inline Vector pieces(const Vector &x, const Vector &y, std::integer_sequence<int, AT...>) {
    return __builtin_shufflevector(x, y, (AT / (SIZE / 2) * SIZE + AT % (SIZE / 2) + BEHIND)...);
}
template <int SIZE, class Vector> inline Vector fold(const Vector &x, const Vector &y) {
    using Places = std::make_integer_sequence<int, sizeof(Vector) / sizeof(float)>;
    return pieces<SIZE, 0>(x, y, Places{}) + pieces<SIZE, SIZE / 2>(x, y, Places{});
}
template <int SIZE, class Half> inline Pair<Half> fold(const Pair<Half> &x, const Pair<Half> &y) {
    if constexpr (SIZE == sizeof x / sizeof(float)) return {x.low + x.high, y.low + y.high};
    else return {fold<SIZE>(x.low, x.high), fold<SIZE>(y.low, y.high)};
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
    const auto four = joined(holds & ((Ints{} + 1) << LANE), [](const auto &x, const auto &y) { return x | y; });
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
template <class Vector> inline Vector larger(const Vector &x, const Vector &y) { return select(y > x, y, x); }

// The smaller of each two; the second where the first is not a number.
template <class Vector> inline Vector smaller(const Vector &x, const Vector &y) { return select(x < y, x, y); }

// The largest in a vector of numbers.
inline float largest(const Floats &x) {
    const auto four = joined(x, [](const auto &x, const auto &y) { return larger(x, y); });
    return std::max(std::max(four[0], four[2]), std::max(four[1], four[3]));
}

constexpr float ROUNDING = 12582912.0f;  // 1.5 · 2^23: added, it leaves no room for what is less than 1

// e^x for x <= 0, to 3e-7 near 0, of one number or of a vector; the library's takes one at a time. It is 2^whole · 2^rest
// with a rest of at most a half, whose power is a polynomial with the least greatest error. NaN stays NaN.
template <class Number, class Whole> inline Number exponential_of(Number x) {
    const Number power = select(x < -87.0f, Number{} - 87.0f, x) * 1.44269504f, shifted = power + ROUNDING;
    const Number f = power - (shifted - ROUNDING);
    const Number rest = 1.0f + f * (0.693147004f + f * (0.240222424f + f * (0.0555073358f + f * (0.00967151299f + f * 0.00132647273f))));
    const Whole bits = (cast<Whole>(shifted) << 23) + (127 << 23);  // of 2^whole, as the exponent of a float
    return cast<Number>(bits) * rest;
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
