// Translation of sentences by a Transformer, without padding, int8 or fp32.
//
// N rows, a token each · B sentences · S length of all sources · M model dimension · D head dimension
// V vocabulary · I inputs and O outputs of a product
//
// For each token a base model reads 27 million weights, so time goes into reading them, into multiplying
// with them, and into all that is no product. Hence
//   - weights are single bytes, in the order in which they are read (`multiply_tile`), and each is read once
//     for eight rows;
//   - a row's keys and values stay where they were written: a hypothesis that grows from another takes over
//     the numbers of its rows, not the rows;
//   - every thread runs all steps and takes its share of each product and of the heads. They meet at a
//     barrier, which takes about 0.1 µs, and do what is cheap (residuals, norms) each for itself: to wait for
//     another's result would take longer than to repeat it;
//   - threads live for one call. To start one takes 0.03 ms, and none is left to be stopped.
// pack.py refuses what this file need not think of.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <system_error>
#include <thread>
#include <vector>

#include "product.h"
#include "search.h"

namespace {

// e^x for x <= 0, as 2^whole · e^f with a small f; the library's takes one number at a time. NaN stays NaN.
inline float exponential(float x) {
    const float power = (x < -87.0f ? -87.0f : x) * 1.44269504f, whole = std::nearbyint(power);
    const float f = (power - whole) * 0.69314718f;
    const float rest = f * f * f * (1 / 6.0f + f * (1 / 24.0f + f * (1 / 120.0f + f * (1 / 720.0f))));
    const int32_t bits = (int32_t(whole > -126.0f ? whole : -126.0f) + 127) << 23;
    return load<float>(&bits) * (1.0f + f + 0.5f * f * f + rest);
}

void normalise(const Norm &norm, int64_t size, const float *x, float *y) {
    float mean = 0.0f, variance = 0.0f;
    for (int64_t i = 0; i < size; ++i) mean += x[i];
    mean /= float(size);
    for (int64_t i = 0; i < size; ++i) variance += (x[i] - mean) * (x[i] - mean);
    const float inverse = 1.0f / std::sqrt(variance / float(size) + float(norm.epsilon));
    for (int64_t i = 0; i < size; ++i) y[i] = (x[i] - mean) * inverse * norm.gain[i] + norm.shift[i];
}

// Components i and i + R/2 of the first R turn together: Su et al. 2021, equation 15.
void turn(float *x, const float *angle, int64_t turned) {
    const int64_t half = turned / 2;
    for (int64_t i = 0; i < half; ++i) {
        const float first = x[i], second = x[i + half], cosine = angle[i], sine = angle[i + half];
        x[i] = first * cosine - second * sine;
        x[i + half] = second * cosine + first * sine;
    }
}

// Some heads (H) of one query (H,D), which comes scaled: Vaswani et al. 2017, equation 1. `seen` points at
// their keys, and a value lies `width` behind its key; each is read once, as memory has them one by one.
void attend(const float *query, const std::vector<const float *> &seen, int64_t width, int64_t heads,
            int64_t dim, float *weights, float *context) {
    const int64_t length = seen.size();
    for (int64_t k = 0; k < length; ++k)
        for (int64_t h = 0; h < heads; ++h) {
            float score = 0.0f;
            for (int64_t d = h * dim; d < (h + 1) * dim; ++d) score += query[d] * seen[k][d];
            weights[h * length + k] = score;
        }
    for (float *w = weights; w < weights + heads * length; w += length) {
        float total = 0.0f, largest = -INFINITY;
        for (int64_t k = 0; k < length; ++k) largest = std::max(largest, w[k]);
        for (int64_t k = 0; k < length; ++k) total += w[k] = exponential(w[k] - largest);
        for (int64_t k = 0; k < length; ++k) w[k] /= total;
    }
    std::fill(context, context + heads * dim, 0.0f);
    for (int64_t k = 0; k < length; ++k)
        for (int64_t h = 0; h < heads; ++h) {
            const float weight = weights[h * length + k];
            for (int64_t d = h * dim; d < (h + 1) * dim; ++d) context[d] += weight * seen[k][width + d];
        }
}

// The likeliest token that `penalty` (V) does not forbid, of equal ones the first, and its log-probability
// among all; -1 where the logits (V) are not numbers.
int64_t likeliest(const float *logits, const float *penalty, int64_t vocabulary, float &log_probability) {
    int64_t token = -1;
    float largest = -INFINITY, best = -INFINITY, total = 0.0f;
    for (int64_t v = 0; v < vocabulary; ++v) {
        if (!(logits[v] < INFINITY)) return -1;
        largest = std::max(largest, logits[v]);
        if (logits[v] + penalty[v] > best) best = logits[token = v];
    }
    for (int64_t v = 0; v < vocabulary; ++v) total += exponential(logits[v] - largest);
    log_probability = best - largest - std::log(total);
    return token;
}

template <class Type> struct Worker {  // one thread
    const int64_t index;
    Search &search;
    const Model &model;
    const Stack *stack = nullptr;  // the one that runs
    int64_t rows = 0;              // in it
    Packed<Type> packed;
    std::vector<int64_t> positions{};  // (N)
    std::vector<float> x{}, normal{};  // (N,M) the residual path, and normalised
    std::vector<float> weights{};      // of one query, and the keys that it reads
    std::vector<const float *> seen{};

    Worker(Search &search, int64_t index) : index(index), search(search), model(search.model) {}

    int64_t share(int64_t count, int64_t whose) const { return count * whose / search.barrier.members; }

    void enter(const Stack &entered, int64_t count) {
        stack = &entered, rows = count;
        x.resize(rows * model.d_model), normal.resize(x.size()), positions.resize(rows);
    }

    void product(const Linear &linear, const float *input, int64_t stride, float *y) {
        const int64_t panels = linear.outputs / PANEL;
        packed.fill(input, stride, rows, linear.inputs);
        multiply(linear, packed, share(panels, index), share(panels, index + 1), y);
        search.barrier.wait();
    }

    void embed(int64_t row, int64_t token, int64_t position) {
        const float *vector = stack->embedding + token * model.d_model, scale = float(stack->scale);
        const float *place = stack->position + position * model.d_model;
        positions[row] = position;
        for (int64_t i = 0; i < model.d_model; ++i) x[row * model.d_model + i] = vector[i] * scale + place[i];
    }

    // What a branch reads.
    const float *branch_input(const Norm &norm) {
        if (stack->last.gain == nullptr) return x.data();
        for (int64_t at = 0; at < rows * model.d_model; at += model.d_model)
            normalise(norm, model.d_model, &x[at], &normal[at]);
        return normal.data();
    }

    // A branch's last product, added to the residual path.
    void leave(const Linear &linear, const float *input, int64_t stride, const Norm &norm) {
        product(linear, input, stride, search.branch.data());
        for (int64_t row = 0; row < rows; ++row) {
            const float *branch = &search.branch[row * linear.outputs];
            float *residual = &x[row * model.d_model];
            for (int64_t i = 0; i < model.d_model; ++i) residual[i] += branch[i];
            if (stack->last.gain == nullptr) normalise(norm, model.d_model, residual, residual);
        }
    }

    // Writes the queries, and what else `attention.input` makes of the rows, to `query`; then each row reads
    // what `see` lets it, from a certain component of the keys.
    template <class See> void read(const Attention &attention, float *query, See see) {
        const int64_t dim = attention.dim, width = attention.heads * dim, stride = attention.input.outputs;
        const int64_t head = share(attention.heads, index), heads = share(attention.heads, index + 1) - head;
        product(attention.input, branch_input(attention.norm), model.d_model, query);
        if (attention.turn != nullptr)  // all keys, before one is read
            for (int64_t row = 0; row < rows; ++row)
                for (int64_t h = head; h < head + heads; ++h) {
                    const float *angle = attention.turn + positions[row] * attention.turned;
                    turn(query + row * stride + h * dim, angle, attention.turned);
                    turn(query + row * stride + width + h * dim, angle, attention.turned);
                }
        for (int64_t row = 0; row < rows; ++row) {
            seen.clear(), see(row, head * dim);
            weights.resize(heads * seen.size());
            attend(query + row * stride + head * dim, seen, width, heads, dim, weights.data(),
                   &search.context[row * width + head * dim]);
        }
        search.barrier.wait();
        leave(attention.output, search.context.data(), width, attention.norm);
    }

    // Keys and values in rows of `stride`, those of one sentence.
    void see_sentence(int64_t sentence, const float *key, int64_t stride) {
        for (int64_t k = search.first[sentence]; k < search.first[sentence + 1]; ++k)
            seen.push_back(key + k * stride);
    }

    void feed_forward(const Layer &layer) {
        product(layer.enter, branch_input(layer.norm), model.d_model, search.hidden.data());
        leave(layer.leave, search.hidden.data(), layer.enter.outputs, layer.norm);
    }

    void encode() {
        enter(model.encoder, search.source.size());
        std::vector<int64_t> sentence;
        for (int64_t s = 0; s + 1 < int64_t(search.first.size()); ++s) sentence.resize(search.first[s + 1], s);
        for (int64_t row = 0; row < rows; ++row)
            embed(row, search.source[row], row - search.first[sentence[row]]);
        for (int64_t depth = 0; depth < stack->depth; ++depth) {
            const Attention &own = stack->layers[depth].own;
            float *made = search.queries.data(), *key = made + own.heads * own.dim;
            read(own, made, [&](int64_t row, int64_t from) {
                see_sentence(sentence[row], key + from, own.input.outputs);
            });
            feed_forward(stack->layers[depth]);
        }
        const float *memory = branch_input(stack->last);
        for (int64_t depth = 0; depth < model.decoder.depth; ++depth)
            product(model.decoder.layers[depth].memory, memory, model.d_model, search.memory[depth].data());
    }

    // Logits (N,O) of what follows the last tokens, after `Search::grow`.
    void step(float *logits) {
        enter(model.decoder, search.rows.size());
        for (int64_t row = 0; row < rows; ++row) embed(row, search.last[row], search.cache.size() - 1);
        for (int64_t depth = 0; depth < stack->depth; ++depth) {
            const Layer &layer = stack->layers[depth];
            const int64_t width = layer.own.heads * layer.own.dim, stride = layer.own.input.outputs;
            read(layer.own, search.cache.back()[depth].data(), [&](int64_t row, int64_t from) {
                const std::vector<int64_t> &path = search.rows[row].path;
                for (size_t at = 0; at < path.size(); ++at)
                    seen.push_back(search.cache[at][depth].data() + path[at] * stride + width + from);
            });
            const float *memory = search.memory[depth].data();
            read(layer.cross, search.queries.data(), [&](int64_t row, int64_t from) {
                see_sentence(search.rows[row].sentence, memory + from, layer.memory.outputs);
            });
            feed_forward(layer);
        }
        product(model.output, branch_input(stack->last), model.d_model, logits);
    }

    void write(const Greedy &greedy) {
        while (search.rows.size() > 0) {
            alone([&] {
                search.grow();
                search.choice.resize(search.rows.size());
                search.logits.resize(search.rows.size() * model.output.outputs);
            });
            step(search.logits.data());
            for (int64_t row = share(rows, index); row < share(rows, index + 1); ++row)
                search.last[row] = likeliest(&search.logits[row * model.output.outputs], greedy.penalty,
                                             model.vocabulary, search.choice[row]);
            alone([&] { search.record(greedy); });
        }
    }

    // What one does while the others wait.
    template <class Task> void alone(Task task) {
        search.barrier.wait();
        if (index == 0) task();
        search.barrier.wait();
    }
};

// A worker for each thread, the first in this one; fewer if the system gives no more threads.
template <class Type, class Task> void run_together(Search &search, int64_t threads, Task task) {
    std::vector<Worker<Type>> workers;
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

template <class Task> void run(Search &search, bool int8, int64_t threads, Task task) {
    int8 ? run_together<Int8>(search, threads, task) : run_together<Fp32>(search, threads, task);
}

}  // namespace

// ---- What Python calls ----

// Reads B sentences (S tokens, one behind the other); a hypothesis each, which has nothing yet.
extern "C" Search *whyformer_read(const Model *model, bool int8, const int64_t *source,
                                  const int64_t *lengths, int64_t sentences, int64_t threads) {
    auto *search = new Search(*model, source, lengths, sentences);
    run(*search, int8, threads, [](auto &worker) { worker.encode(); });
    return search;
}

// Feeds each hypothesis its last token (N); logits (N,O) of the next.
extern "C" void whyformer_step(Search *search, bool int8, const int64_t *last, int64_t threads,
                               float *logits) {
    search->last.assign(last, last + search->rows.size());
    search->grow();
    run(*search, int8, threads, [logits](auto &worker) { worker.step(logits); });
}

// Keeps, reorders or repeats hypotheses.
extern "C" void whyformer_select(Search *search, const int64_t *rows, int64_t count) {
    search->select({rows, rows + count});
}

// Lets each hypothesis grow to its end, greedily.
extern "C" void whyformer_write(Search *search, bool int8, const Greedy *greedy, int64_t threads) {
    run(*search, int8, threads, [greedy](auto &worker) { worker.write(*greedy); });
}

extern "C" void whyformer_forget(Search *search) { delete search; }

// One int8 product y (N,O) of x (N,I), so that its integers can be seen.
extern "C" void whyformer_multiply(const Linear *linear, const float *x, int64_t rows, float *y) {
    Packed<Int8> packed;
    packed.fill(x, linear->inputs, rows, linear->inputs);
    multiply(*linear, packed, 0, linear->outputs / PANEL, y);
}

// What `build.py` has told the compiler: a library of other sources would read structs wrongly.
extern "C" int64_t whyformer_fingerprint() { return WHYFORMER_FINGERPRINT; }

// Whether this processor has what the compiler was told to use.
extern "C" bool whyformer_runs_here() {
#if defined(__AVX512VNNI__)
    return __builtin_cpu_supports("avx512vnni");
#elif defined(__AVX2__)
    return __builtin_cpu_supports("avx2");
#else
    return true;
#endif
}
