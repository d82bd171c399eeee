// What Python calls. Tensors lie row by row without gaps, in fp32 or bf16; statistics are fp32.

#include "cross_entropy.h"

namespace {

// Calls `task` with a pointer to numbers of the type that memory holds.
template <class Task> void typed(void *memory, bool bf16, const Task &task) {
    bf16 ? task(static_cast<Bf16 *>(memory)) : task(static_cast<float *>(memory));
}

}  // namespace

extern "C" void whyformer_cross_entropy(bool bf16, void *logits, const int64_t *gold, float *normaliser,
                                        float *right, int64_t rows, int64_t columns, int64_t padding,
                                        float share, float top, int64_t threads) {
    const CrossEntropy all{gold, normaliser, right, rows, columns, padding, share, top};
    typed(logits, bf16, [&](auto *x) { cross_entropy(all, x, threads); });
}

extern "C" int64_t whyformer_fingerprint() { return WHYFORMER_FINGERPRINT; }

// Whether this processor has what the compiler was told to use.
extern "C" bool whyformer_runs_here() {
#if defined(__AVX512BF16__)
    return __builtin_cpu_supports("avx512bf16");
#elif defined(__AVX512F__)
    return __builtin_cpu_supports("avx512f");
#elif defined(__AVX2__)
    return __builtin_cpu_supports("avx2");
#else
    return true;
#endif
}
