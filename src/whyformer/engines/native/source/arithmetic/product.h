// Products of rows with weights that are read once, in their order: int8 or fp32.
//
// N rows, a token each · I inputs and O outputs of a product

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "lanes.h"

#ifdef __wasm_simd128__
#include <wasm_simd128.h>
#endif
#ifdef __SSE2__
#include <immintrin.h>
#endif
#if defined(__AVX512VNNI__) && !defined(WHYFORMER_PORTABLE)
#define WHYFORMER_VNNI
#elif defined(__SSE2__) && (defined(__AVX512BW__) || !defined(__AVX512F__)) && !defined(WHYFORMER_PORTABLE)
#define WHYFORMER_PAIRS  // products of 16 bits, added up two by two
#endif

struct Linear {          // f(x Wᵀ + b). O is a multiple of PANEL, filled up with zeros.
    const void *weight;  // in panels, int8 or float
    const float *start;  // (O) what sums begin with, as int32 or float: it takes back what `pack` adds
    const float *scale;  // (O) what 1 is worth in each row of W
    const float *bias;   // (O)
    int64_t inputs, outputs, activation;
};

namespace {

enum Activation : int64_t { NONE, RELU, GELU };

#ifdef __AVX2__
constexpr int IN_REGISTER = 8;  // numbers of 32 bits
#else
constexpr int IN_REGISTER = 4;
#endif
constexpr int64_t VECTORS = 2;  // sums side by side: one alone would wait for its own last addition
constexpr int64_t PANEL = LANES * VECTORS;

#ifdef WHYFORMER_PAIRS
// Adds the products of four inputs, 16 bits each in `word`, to sums: first and third, second and fourth. What an instruction
// for signed and unsigned bytes adds up would not always fit 16 bits.
template <class Vector> inline Vector add_pairs(const Vector &sum, const uint64_t *word, const Vector &cell) {
    typedef int16_t Shorts __attribute__((vector_size(sizeof(Vector))));
    const Shorts odd = (Shorts)cell >> 8, even = (Shorts)(cell << 8) >> 8;
    const auto with = [](const Shorts &weights, int32_t inputs) {
        if constexpr (sizeof(Vector) == 64) return (Vector)_mm512_madd_epi16((__m512i)weights, _mm512_set1_epi32(inputs));
        else if constexpr (sizeof(Vector) == 32) return (Vector)_mm256_madd_epi16((__m256i)weights, _mm256_set1_epi32(inputs));
        else return (Vector)_mm_madd_epi16((__m128i)weights, _mm_set1_epi32(inputs));
    };
    return sum + with(even, load<int32_t>(word)) + with(odd, load<int32_t>(reinterpret_cast<const int32_t *>(word) + 1));
}
template <class Half> inline Pair<Half> add_pairs(const Pair<Half> &sum, const uint64_t *word, const Pair<Half> &cell) {
    return {add_pairs(sum.low, word, cell.low), add_pairs(sum.high, word, cell.high)};
}
#endif

#ifdef __FMA__
template <class Vector> inline Vector add_fused(const Vector &sum, float word, const Vector &cell) {
    if constexpr (sizeof(Vector) == 64) return (Vector)_mm512_fmadd_ps(_mm512_set1_ps(word), (__m512)cell, (__m512)sum);
    else if constexpr (sizeof(Vector) == 32) return (Vector)_mm256_fmadd_ps(_mm256_set1_ps(word), (__m256)cell, (__m256)sum);
    else return (Vector)_mm_fmadd_ps(_mm_set1_ps(word), (__m128)cell, (__m128)sum);
}
template <class Half> inline Pair<Half> add_fused(const Pair<Half> &sum, float word, const Pair<Half> &cell) {
    return {add_fused(sum.low, word, cell.low), add_fused(sum.high, word, cell.high)};
}
#endif

#ifndef WHYFORMER_PAIRS
// Numbers from 0 to 255 as bytes.
inline Bytes narrowed(const Ints &x) {
#if defined(__AVX512F__) || defined(__wasm__)
    return convert<Bytes>(x);
#else
    Bytes bytes;
    int32_t number[LANES];
    store(number, x);
    for (int64_t lane = 0; lane < LANES; ++lane) bytes[lane] = uint8_t(number[lane]);
    return bytes;
#endif
}
#endif

// A word is what of a row is multiplied at once: four integers, or a float. A cell, of 32 bits for each of sixteen outputs,
// holds what such a word is multiplied with: four signed bytes, or a float.
//
// Where a processor has sixteen registers, the sums of FITTING rows and sixteen outputs stay in them, beside what is added.
struct Int8 {
#ifdef WHYFORMER_PAIRS
    using Word = uint64_t;  // first, third, second and fourth
#else
    using Word = uint32_t;
#endif
    using Cell = Ints;
    static constexpr int64_t IN_WORD = 4;
    static constexpr int FITTING = IN_REGISTER / 2;

    static Ints add_product(const Ints &sum, const Word *word, const Ints &cell) {
#if defined(WHYFORMER_VNNI)
        return (Ints)_mm512_dpbusd_epi32((__m512i)sum, _mm512_set1_epi32(int(*word)), (__m512i)cell);
#elif defined(WHYFORMER_PAIRS)
        return add_pairs(sum, word, cell);
#else
        Ints added = sum;
        for (int shift = 0; shift < 32; shift += 8)
            added += ((cell << (24 - shift)) >> 24) * int32_t(*word >> shift & 255);
        return added;
#endif
    }

    // The size of the largest of `x`. The bits of positive floats, read as integers, are in their order, infinity and
    // NaN above all others: so it is found fast, and is NaN if any of `x` is.
    static float largest(const float *x, int64_t inputs) {
        uint32_t bits = 0;
        for (int64_t i = 0; i < inputs; ++i) bits = std::max(bits, load<uint32_t>(x + i) & 0x7fffffffu);
        return load<float>(&bits);
    }

    // Rounds `x` to integers from -127 to 127, adds 128, as the instruction wants unsigned bytes, and returns
    // what 1 is worth.
    static float pack(const float *x, int64_t inputs, float largest, Word *words) {
        const float inverse = largest == 0.0f ? 0.0f : 127.0f / largest;
        for (int64_t i = 0; i < inputs; i += LANES) {
            const Floats level = load_until(x, i, inputs) * inverse + ROUNDING;
            const Floats capped = smaller(larger(level - ROUNDING, Floats{} - 127.0f), Floats{} + 127.0f);
            write(convert<Ints>(capped) + 128, std::min(LANES, inputs - i), words + i / IN_WORD);
        }
        return largest / 127.0f;
    }

private:
    // The first `count` of some levels as words.
    static void write(const Ints &levels, int64_t count, Word *words) {
#ifdef WHYFORMER_PAIRS
        alignas(16) int32_t level[LANES];
        Word made[LANES / IN_WORD];
        store(level, levels);
        for (int64_t i = 0; i < LANES; i += 8) {
            const auto at = [&](int64_t place) { return _mm_load_si128(reinterpret_cast<const __m128i *>(level + place)); };
            const __m128i eight = _mm_packs_epi32(at(i), at(i + 4));
            constexpr int SECOND_AND_THIRD_SWAPPED = 0 | 2 << 2 | 1 << 4 | 3 << 6;
            const __m128i four = _mm_shufflelo_epi16(eight, SECOND_AND_THIRD_SWAPPED);
            _mm_storeu_si128(reinterpret_cast<__m128i *>(made + i / IN_WORD), _mm_shufflehi_epi16(four, SECOND_AND_THIRD_SWAPPED));
        }
        std::memcpy(words, made, (count + IN_WORD - 1) / IN_WORD * sizeof(Word));
#else
        const Bytes bytes = narrowed(levels);
        if (count == LANES) std::memcpy(words, &bytes, LANES);
        else std::memcpy(words, &bytes, count);
#endif
    }
};

struct Fp32 {
    using Word = float;
    using Cell = Floats;
    static constexpr int64_t IN_WORD = 1;
    static constexpr int FITTING = 3 * IN_REGISTER / 4;

    static Floats add_product(const Floats &sum, const Word *word, const Floats &cell) {
#ifdef __FMA__
        return add_fused(sum, *word, cell);
#else
        return sum + *word * cell;
#endif
    }

    static float largest(const float *, int64_t) { return 1.0f; }

    static float pack(const float *x, int64_t inputs, float, Word *words) {
        std::copy(x, x + inputs, words);
        return 1.0f;
    }
};

template <class Type> struct Packed {  // rows, ready for products
    std::vector<typename Type::Word> words;
    std::vector<float> scale;
    int64_t rows = 0, depth = 0;  // depth: words of a row

    void fill(const float *x, int64_t stride, int64_t count, int64_t inputs) {
        rows = count, depth = (inputs + Type::IN_WORD - 1) / Type::IN_WORD;
        words.resize(std::max(words.size(), size_t(rows * depth)));
        scale.resize(rows);
        // All rows are looked at before one is packed, so that none waits for its own largest.
        for (int64_t n = 0; n < rows; ++n) scale[n] = Type::largest(x + n * stride, inputs);
        for (int64_t n = 0; n < rows; ++n) scale[n] = Type::pack(x + n * stride, inputs, scale[n], &words[n * depth]);
    }
};

// Makes of a tile of sums what comes out: outputs from `o` on of rows of `y`, with what 1 is worth in each row of inputs.
template <int ROWS, class Cell>
void finish(const Linear &linear, const Cell (&sums)[ROWS][VECTORS], const float *worth, int64_t o, float *y) {
    const Floats floor = linear.activation == RELU ? Floats{} : Floats{} - INFINITY;
#pragma GCC unroll 2
    for (int v = 0; v < VECTORS; ++v) {
        const Floats scale = load<Floats>(linear.scale + o + v * LANES), bias = load<Floats>(linear.bias + o + v * LANES);
#pragma GCC unroll 8
        for (int r = 0; r < ROWS; ++r) {
            const Floats sum = convert<Floats>(sums[r][v]) * (scale * worth[r]) + bias;
            const Floats out = select(sum < floor, floor, sum);
            store(y + r * linear.outputs + o + v * LANES, out);
        }
    }
    if (linear.activation != GELU) return;
    for (int r = 0; r < ROWS; ++r)
        for (float *x = y + r * linear.outputs + o; x < y + r * linear.outputs + o + PANEL; ++x)
            *x *= 0.5f * (1.0f + error_function(*x * 0.70710678f));
}

// Cells that are asked for before they are needed, 16 KiB. A processor does so by itself while it reads on; but tiles go
// back to the beginning of their panel, and then it does not know that the next one follows. Where a tile reads several
// panels, it is near enough if each is asked for a little ahead.
constexpr int64_t AHEAD = 256;

// Adds the products of rows `n` to n + ROWS with PANELS panels of weights. Each holds VECTORS cells for each word, word after
// word, and SIDE of them are taken from `cell` on: so a weight is read once, in order, for all of these rows.
template <int ROWS, int PANELS, int SIDE, class Type>
inline void add_products(const Packed<Type> &x, int64_t n, const typename Type::Cell *cell,
                         typename Type::Cell (&sum)[PANELS][ROWS][SIDE]) {
    using Cell = typename Type::Cell;
    const int64_t size = x.depth * VECTORS, ahead = PANELS == 1 ? AHEAD : AHEAD / (2 * PANELS);
    const auto *word = &x.words[n * x.depth];
    for (int64_t k = 0; k < x.depth; ++k, cell += VECTORS)
#pragma GCC unroll 8
        for (int p = 0; p < PANELS; ++p)
            for (int v = 0; v < SIDE; ++v) {
                const Cell weight = load<Cell>(cell + p * size + v);
                __builtin_prefetch(cell + p * size + v + ahead);
                for (int r = 0; r < ROWS; ++r)
                    sum[p][r][v] = Type::add_product(sum[p][r][v], &word[r * x.depth + k], weight);
            }
}

#if defined(__AVX512F__) || defined(__wasm__)
// Rows `n` to n + ROWS times PANELS panels.
template <int ROWS, int PANELS, class Type>
void multiply_tile(const Linear &linear, const Packed<Type> &x, int64_t n, int64_t panel, float *y) {
    using Cell = typename Type::Cell;
    Cell sum[PANELS][ROWS][VECTORS];
#pragma GCC unroll 8
    for (int p = 0; p < PANELS; ++p)
#pragma GCC unroll 8
        for (int r = 0; r < ROWS; ++r)
            for (int v = 0; v < VECTORS; ++v) sum[p][r][v] = load<Cell>(linear.start + (panel + p) * PANEL + v * LANES);
    add_products<ROWS, PANELS, VECTORS>(x, n, static_cast<const Cell *>(linear.weight) + panel * x.depth * VECTORS, sum);
#pragma GCC unroll 8
    for (int p = 0; p < PANELS; ++p)
        finish<ROWS>(linear, sum[p], &x.scale[n], (panel + p) * PANEL, y + n * linear.outputs);
}
#else
// The sums of rows `n` to n + ROWS from output `v` times LANES of a panel on.
template <int ROWS, int SIDE, class Type>
inline void sum_some(const Linear &linear, const Packed<Type> &x, int64_t n, int64_t panel, int v, typename Type::Cell (*sums)[VECTORS]) {
    using Cell = typename Type::Cell;
    Cell sum[1][ROWS][SIDE];
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; ++r)
        for (int s = 0; s < SIDE; ++s) sum[0][r][s] = load<Cell>(linear.start + panel * PANEL + (v + s) * LANES);
    add_products<ROWS, 1, SIDE>(x, n, static_cast<const Cell *>(linear.weight) + panel * x.depth * VECTORS + v, sum);
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; ++r)
        for (int s = 0; s < SIDE; ++s) sums[r][v + s] = sum[0][r][s];
}

// Rows `n` to n + ROWS times PANELS panels, by parts whose sums stay in registers.
template <int ROWS, int PANELS, class Type>
void multiply_tile(const Linear &linear, const Packed<Type> &x, int64_t n, int64_t panel, float *y) {
    constexpr int FITTING = Type::FITTING, SIDE = ROWS * VECTORS <= FITTING ? VECTORS : 1, REST = ROWS % FITTING;
    for (int p = 0; p < PANELS; ++p) {
        typename Type::Cell sums[ROWS][VECTORS];
        for (int v = 0; v < VECTORS; v += SIDE) {
            for (int r = 0; r + FITTING <= ROWS; r += FITTING) sum_some<FITTING, 1>(linear, x, n + r, panel + p, v, sums + r);
            if constexpr (REST > 0) sum_some<REST, SIDE>(linear, x, n + ROWS - REST, panel + p, v, sums + ROWS - REST);
        }
        finish<ROWS>(linear, sums, &x.scale[n], (panel + p) * PANEL, y + n * linear.outputs);
    }
}
#endif

#ifdef __wasm_simd128__
// The same in int8 for vectors of four numbers, by the instruction that adds up two products of 16 bits. Four outputs
// at a time, so that sums stay in registers; each has two halves, which come together at the end.
template <int ROWS>
void multiply_panel(const Linear &linear, const Packed<Int8> &x, int64_t n, int64_t panel, float *y) {
    const auto *weights = static_cast<const uint8_t *>(linear.weight) + panel * x.depth * PANEL * 4;
    Ints sums[ROWS][VECTORS];
    for (int64_t o = 0; o < PANEL; o += 4) {
        v128_t low[ROWS], high[ROWS];
        for (int r = 0; r < ROWS; ++r) low[r] = high[r] = wasm_i32x4_const_splat(0);
        for (int64_t k = 0; k < x.depth; ++k) {
            const v128_t cells = wasm_v128_load(weights + (k * PANEL + o) * 4);
            const v128_t first = wasm_i16x8_extend_low_i8x16(cells), second = wasm_i16x8_extend_high_i8x16(cells);
            for (int r = 0; r < ROWS; ++r) {
                const v128_t word = wasm_u16x8_extend_low_u8x16(wasm_v128_load32_splat(&x.words[(n + r) * x.depth + k]));
                low[r] = wasm_i32x4_add(low[r], wasm_i32x4_dot_i16x8(first, word));
                high[r] = wasm_i32x4_add(high[r], wasm_i32x4_dot_i16x8(second, word));
            }
        }
        const v128_t start = wasm_v128_load(linear.start + panel * PANEL + o);
        for (int r = 0; r < ROWS; ++r) {
            const v128_t even = wasm_i32x4_shuffle(low[r], high[r], 0, 2, 4, 6);
            const v128_t odd = wasm_i32x4_shuffle(low[r], high[r], 1, 3, 5, 7);
            wasm_v128_store(reinterpret_cast<int32_t *>(sums[r]) + o, wasm_i32x4_add(start, wasm_i32x4_add(even, odd)));
        }
    }
    finish<ROWS>(linear, sums, &x.scale[n], panel * PANEL, y + n * linear.outputs);
}

template <int ROWS, int PANELS>
void multiply_tile(const Linear &linear, const Packed<Int8> &x, int64_t n, int64_t panel, float *y) {
    for (int p = 0; p < PANELS; ++p) multiply_panel<ROWS>(linear, x, n, panel + p, y);
}
#endif

constexpr int64_t TOGETHER = 4;  // panels, at most

// Rows `n` to n + ROWS times some panels. Few rows take several at a time: one sum after the other would wait for itself.
template <int ROWS, class Type>
void multiply_rows(const Linear &linear, const Packed<Type> &x, int64_t n, int64_t panel, int64_t last, float *y) {
    constexpr int SIDE_BY_SIDE = ROWS == 1 ? TOGETHER : ROWS < 4 ? TOGETHER / 2 : 1;
    for (; panel + SIDE_BY_SIDE <= last; panel += SIDE_BY_SIDE) multiply_tile<ROWS, SIDE_BY_SIDE>(linear, x, n, panel, y);
    for (; panel < last; ++panel) multiply_tile<ROWS, 1>(linear, x, n, panel, y);
}

// The panels from `first` to `last` of a product y (N,O).
template <class Type>
void multiply(const Linear &linear, const Packed<Type> &x, int64_t first, int64_t last, float *y) {
    const int64_t rest = x.rows % 8, many = x.rows - rest;
    for (int64_t from = first; from < last; from += TOGETHER) {
        const int64_t end = std::min(from + TOGETHER, last);
        for (int64_t panel = from; panel < end; ++panel)
            for (int64_t n = 0; n < many; n += 8) multiply_tile<8, 1>(linear, x, n, panel, y);
        switch (rest) {
        case 1: multiply_rows<1>(linear, x, many, from, end, y); break;
        case 2: multiply_rows<2>(linear, x, many, from, end, y); break;
        case 3: multiply_rows<3>(linear, x, many, from, end, y); break;
        case 4: multiply_rows<4>(linear, x, many, from, end, y); break;
        case 5: multiply_rows<5>(linear, x, many, from, end, y); break;
        case 6: multiply_rows<6>(linear, x, many, from, end, y); break;
        case 7: multiply_rows<7>(linear, x, many, from, end, y); break;
        }
    }
}

}  // namespace
