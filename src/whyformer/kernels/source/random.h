// Random words of 64 bits: those that SplitMix64 (Steele, Lea and Flood 2014) gives from a seed, each by its place alone.

#pragma once

#include "threads.h"

namespace {

constexpr uint64_t GOLDEN = 0x9e3779b97f4a7c15u;

inline uint64_t mixed(uint64_t bits) {
    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9u;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebu;
    return bits ^ (bits >> 31);
}

inline void random_words(uint64_t seed, uint64_t *words, int64_t count, int64_t threads) {
    share(count, threads, [&](int64_t first, int64_t last) {
        for (int64_t i = first; i < last; ++i) words[i] = mixed(seed + uint64_t(i + 1) * GOLDEN);
    });
}

}  // namespace
