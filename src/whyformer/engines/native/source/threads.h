// Threads that run all steps together, and wait for each other; a browser's engine has one.

#pragma once

#ifdef __wasm__

namespace {

struct Barrier {
    static constexpr int members = 1;
    void wait() {}
};

template <class Worker, class Search, class Task> void run_together(Search &search, int, Task task) {
    Worker worker(search, 0);
    task(worker);
}

}  // namespace

#else

#include <atomic>
#include <cstdint>
#include <system_error>
#include <thread>
#include <vector>

namespace {

// Threads wait for each other. They spin, as a share takes microseconds; then they offer their core, as the one
// that is late may need it; and they sleep if it takes long. Sleeping sooner is several times as slow where the
// system has put two on one core: as one of them always sleeps, it sees no reason to move the other to a free one.
struct Barrier {
    std::atomic<int> members{0};  // 0 until it is known how many there are
    alignas(64) std::atomic<int> arrived{0};
    alignas(64) std::atomic<int> round{0};

    void wait() {
        const int mine = round;
        if (++arrived == members) {
            arrived = 0;
            ++round;
            round.notify_all();
        }
        const auto over = [&] { return round.load(std::memory_order_acquire) != mine; };
        for (int looks = 0; looks < 1000; ++looks)
            if (over()) return;
        for (int offers = 0; offers < 2000; ++offers) {
            std::this_thread::yield();
            if (over()) return;
        }
        round.wait(mine);
    }
};

// A worker for each thread, the first in this one; fewer if the system gives no more threads.
template <class Worker, class Search, class Task>
void run_together(Search &search, int64_t threads, Task task) {
    std::vector<Worker> workers;
    for (int64_t index = 0; index < threads; ++index) workers.emplace_back(search, index);
    std::vector<std::thread> others;
    search.barrier.members = 0;
    try {
        for (int64_t index = 1; index < threads; ++index)
            others.emplace_back([&worker = workers[index], &task] {
                worker.search.barrier.members.wait(0);
                task(worker);
            });
    } catch (const std::system_error &) {
    }
    search.barrier.members = int(others.size()) + 1;
    search.barrier.members.notify_all();
    task(workers[0]);
    for (std::thread &other : others) other.join();
}

}  // namespace

#endif
