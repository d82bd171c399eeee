// Rows shared out over torch's own threads.
//
// torch brings GNU's OpenMP and opens its names to all; asked by name, its threads work here too, and none has to be
// started. Where they are not found, all is done by whoever calls.

#pragma once

#include <algorithm>
#include <cstdint>

extern "C" {
__attribute__((weak)) void GOMP_parallel(void (*)(void *), void *, unsigned, unsigned);
__attribute__((weak)) int omp_get_thread_num(void);
__attribute__((weak)) int omp_get_num_threads(void);
}

namespace {

// Sums over rows are made in so many parts and added in one order, however many threads there are.
constexpr int64_t PARTS = 16;

// Calls `task(first, last)` for shares of `rows`, side by side. Which thread has which share decides nothing.
template <class Task> void share(int64_t rows, int64_t threads, const Task &task) {
    struct Work {
        const Task &task;
        int64_t rows;
    } work{task, rows};
    if (threads < 2 || rows < 2 || !GOMP_parallel || !omp_get_thread_num || !omp_get_num_threads) {
        task(int64_t{0}, rows);
        return;
    }
    GOMP_parallel(
        [](void *given) {
            const Work &work = *static_cast<Work *>(given);
            const int64_t number = omp_get_thread_num(), all = omp_get_num_threads();
            work.task(work.rows * number / all, work.rows * (number + 1) / all);
        },
        &work, unsigned(threads), 0);
}

}  // namespace
