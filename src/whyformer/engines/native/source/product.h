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
#if defined(__AVX512VNNI__) && !defined(WHYFORMER_PORTABLE)
#include <immintrin.h>
#define WHYFORMER_VNNI
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

constexpr int64_t VECTORS = 2;  // sums side by side: one alone would wait for its own last addition
constexpr int64_t PANEL = LANES * VECTORS;

// A word is 32 bits of a row: four unsigned bytes, or a float. A cell holds what such a word is multiplied
// with for each of sixteen outputs: four signed bytes, or a float.
struct Int8 {
    using Word = uint32_t;
    using Cell = Ints;
    static constexpr int64_t IN_WORD = 4;

    static Ints add_product(Ints sum, Word word, Ints cell) {
#ifdef WHYFORMER_VNNI
        return (Ints)_mm512_dpbusd_epi32((__m512i)sum, _mm512_set1_epi32(int(word)), (__m512i)cell);
#else
        for (int shift = 0; shift < 32; shift += 8)
            sum += ((cell << (24 - shift)) >> 24) * int32_t(word >> shift & 255);
        return sum;
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
            const Bytes bytes = __builtin_convertvector(__builtin_convertvector(capped, Ints) + 128, Bytes);
            auto *to = reinterpret_cast<uint8_t *>(words) + i;
            if (i + LANES <= inputs) std::memcpy(to, &bytes, LANES);
            else std::memcpy(to, &bytes, inputs - i);
        }
        return largest / 127.0f;
    }
};

struct Fp32 {
    using Word = float;
    using Cell = Floats;
    static constexpr int64_t IN_WORD = 1;

    static Floats add_product(Floats sum, Word word, Floats cell) {
#ifdef WHYFORMER_VNNI
        return (Floats)_mm512_fmadd_ps(_mm512_set1_ps(word), (__m512)cell, (__m512)sum);
#elif defined(__FMA__)
        for (int64_t v = 0; v < LANES; ++v) sum[v] = __builtin_fmaf(word, cell[v], sum[v]);
        return sum;
#else
        return sum + word * cell;
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
            const Floats sum = __builtin_convertvector(sums[r][v], Floats) * (scale * worth[r]) + bias;
            const Floats out = sum < floor ? floor : sum;
            std::memcpy(y + r * linear.outputs + o + v * LANES, &out, sizeof out);
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

// Rows `n` to n + ROWS times PANELS panels of weights. Each holds VECTORS cells for each word, word after word:
// so a weight is read once, in order, for all of these rows.
template <int ROWS, int PANELS, class Type>
void multiply_tile(const Linear &linear, const Packed<Type> &x, int64_t n, int64_t panel, float *y) {
    using Cell = typename Type::Cell;
    const int64_t size = x.depth * VECTORS, ahead = PANELS == 1 ? AHEAD : AHEAD / (2 * PANELS);
    const auto *cell = static_cast<const Cell *>(linear.weight) + panel * size;
    const auto *word = &x.words[n * x.depth];
    Cell sum[PANELS][ROWS][VECTORS];
#pragma GCC unroll 8
    for (int p = 0; p < PANELS; ++p)
#pragma GCC unroll 8
        for (int r = 0; r < ROWS; ++r)
            for (int v = 0; v < VECTORS; ++v) sum[p][r][v] = load<Cell>(linear.start + (panel + p) * PANEL + v * LANES);
    for (int64_t k = 0; k < x.depth; ++k, cell += VECTORS)
#pragma GCC unroll 8
        for (int p = 0; p < PANELS; ++p)
            for (int v = 0; v < VECTORS; ++v) {
                const Cell weight = load<Cell>(cell + p * size + v);
                __builtin_prefetch(cell + p * size + v + ahead);
                for (int r = 0; r < ROWS; ++r)
                    sum[p][r][v] = Type::add_product(sum[p][r][v], word[r * x.depth + k], weight);
            }
#pragma GCC unroll 8
    for (int p = 0; p < PANELS; ++p)
        finish<ROWS>(linear, sum[p], &x.scale[n], (panel + p) * PANEL, y + n * linear.outputs);
}

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
