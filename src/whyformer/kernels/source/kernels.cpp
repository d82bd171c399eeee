// What Python calls. Tensors lie row by row without gaps, in fp32 or bf16; statistics are fp32.

#include "cross_entropy.h"
#include "random.h"
#include "rectifier.h"
#include "residual.h"
#include "rms.h"
#include "softmax.h"

namespace {

// Calls `task` with a pointer to numbers of the type that memory holds.
template <class Task> void typed(void *memory, bool bf16, const Task &task) {
    bf16 ? task(static_cast<Bf16 *>(memory)) : task(static_cast<float *>(memory));
}

// The same with the type of `like`.
template <class Type> const Type *as(const void *memory, Type *) { return static_cast<const Type *>(memory); }
template <class Type> Type *as(void *memory, Type *) { return static_cast<Type *>(memory); }

}  // namespace

extern "C" void whyformer_cross_entropy(bool bf16, void *logits, const int64_t *gold, float *normaliser,
                                        float *right, int64_t rows, int64_t columns, int64_t padding,
                                        float share, float top, int64_t threads) {
    const CrossEntropy all{gold, normaliser, right, rows, columns, padding, share, top};
    typed(logits, bf16, [&](auto *x) { cross_entropy(all, x, threads); });
}

extern "C" void whyformer_residual_norm(bool bf16, const Residual *all, const void *x, const void *branch,
                                        const float *shift, void *sum, void *y, int64_t threads) {
    typed(y, bf16, [&](auto *y) {
        residual_norm(*all, as(x, y), as(branch, y), shift, as(sum, y), y, threads);
    });
}

extern "C" void whyformer_residual_norm_gradient(bool bf16, const Residual *all, const void *sum,
                                                 const void *gradient, void *to_x, void *to_branch,
                                                 float *to_norm, int64_t threads) {
    typed(to_x, bf16, [&](auto *to_x) {
        residual_norm_gradient(*all, as(sum, to_x), as(gradient, to_x), to_x, as(to_branch, to_x), to_norm, threads);
    });
}

extern "C" void whyformer_random_words(uint64_t seed, uint64_t *words, int64_t count, int64_t threads) {
    random_words(seed, words, count, threads);
}

extern "C" void whyformer_rectify(bool bf16, const Residual *all, void *x, int64_t threads) {
    typed(x, bf16, [&](auto *x) { rectify(*all, x, threads); });
}

extern "C" void whyformer_rectify_gradient(bool bf16, const Residual *all, const void *y, const void *gradient,
                                           void *to_x, int64_t threads) {
    typed(to_x, bf16, [&](auto *to_x) {
        rectify_gradient(*all, as(y, to_x), as(gradient, to_x), to_x, threads);
    });
}

extern "C" void whyformer_rms_norm(bool bf16, const RootMeanSquare *all, const void *x, void *y, int64_t threads) {
    typed(y, bf16, [&](auto *y) { rms_norm(*all, as(x, y), y, threads); });
}

extern "C" void whyformer_rms_norm_gradient(bool bf16, const RootMeanSquare *all, const void *x, const void *gradient,
                                            void *to_x, float *to_gain, int64_t threads) {
    typed(to_x, bf16, [&](auto *to_x) {
        rms_norm_gradient(*all, as(x, to_x), as(gradient, to_x), to_x, to_gain, threads);
    });
}

extern "C" void whyformer_softmax(bool bf16, const Softmax *all, const void *logits, const void *penalty,
                                  void *weights, int64_t threads) {
    typed(weights, bf16, [&](auto *y) { softmax(*all, as(logits, y), as(penalty, y), y, threads); });
}

extern "C" void whyformer_softmax_gradient(bool bf16, const void *weights, const void *gradient,
                                           void *to_logits, int64_t rows, int64_t columns, int64_t threads) {
    typed(to_logits, bf16, [&](auto *to_logits) {
        softmax_gradient(as(weights, to_logits), as(gradient, to_logits), to_logits, rows, columns, threads);
    });
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
