// Greedy translation of one sentence by a Transformer: one call, all cores, int8 or fp32.
//
// N rows, a token each · S source length · M model dimension · D head dimension · V vocabulary
// I inputs and O outputs of a product
//
// For each token a base model reads 27 million weights and uses each once, so time goes into reading them
// and into all that is no product. Hence
//   - weights are single bytes, in the order in which they are read (`multiply_tile`);
//   - every thread runs the whole loop and takes its share of each product and of the heads. They meet at a
//     barrier, which takes about 0.1 µs, and do what is cheap (residuals, norms, the choice of a token) each
//     for itself: to wait for another's result would take longer than to repeat it;
//   - threads live for one sentence. To start one takes 0.03 ms, and none is left to be stopped.
// pack.py declares the same structs, fills them, and refuses what this file need not think of.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <system_error>
#include <thread>
#include <vector>

#include "product.h"

// ---- What Python hands over ----

struct Norm {
    const float *gain, *shift;  // (M); null where there is no norm
    double epsilon;
};

struct Attention {
    Linear input, output;  // input: to queries, keys and values; or to queries of the memory's
    Norm norm;
    int64_t heads, dim;
};

struct Layer {
    Attention own, cross;  // to its own sequence, and to the memory
    Linear memory;         // to the keys and values that `cross` reads
    Linear enter, leave;
    Norm norm;  // of the feed-forward network
};

struct Stack {
    const Layer *layers;
    int64_t depth;
    const float *embedding, *position;  // (V,M) and (longest,M)
    double scale;                       // of the embedding
    Norm last;                          // where there is one, norms stand before branches; else behind
};

struct Model {
    Stack encoder, decoder;
    Linear output;
    int64_t d_model, vocabulary, start, end;
    int64_t widest;  // components of the widest row but that of the logits
};

namespace {

// ---- What is no product ----

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

struct KeyValues {
    const float *key, *value;  // in rows of `stride`
    int64_t stride, length;
};

// One head of one query (D), which comes scaled: Vaswani et al. 2017, equation 1.
void attend(const float *query, const KeyValues &seen, int64_t dim, float *weights, float *context) {
    float largest = -INFINITY, total = 0.0f;
    for (int64_t k = 0; k < seen.length; ++k) {
        float score = 0.0f;
        for (int64_t d = 0; d < dim; ++d) score += query[d] * seen.key[k * seen.stride + d];
        largest = std::max(largest, score);
        weights[k] = score;
    }
    for (int64_t k = 0; k < seen.length; ++k) total += weights[k] = exponential(weights[k] - largest);
    std::fill(context, context + dim, 0.0f);
    for (int64_t k = 0; k < seen.length; ++k)
        for (int64_t d = 0; d < dim; ++d) context[d] += weights[k] / total * seen.value[k * seen.stride + d];
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

// ---- The loop ----

// Threads wait for each other. They spin, as a share takes microseconds, and sleep if it takes long: the one
// that is late may need their core.
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
        for (int looks = 0; looks < 20000; ++looks)
            if (round.load(std::memory_order_acquire) != mine) return;
        round.wait(mine);
    }
};

struct Sentence {  // what is translated, what comes of it, and what all threads read and write their share of
    const Model &model;
    const int64_t *source;  // (S)
    const int64_t length, longest;
    const float *penalty;      // (V) 0, or minus infinity for what never comes
    int64_t *tokens;           // (longest)
    float *log_probabilities;  // (longest)
    int64_t written = 0;       // of these; -1 where logits are not numbers
    Barrier barrier{};
    std::vector<float> rows{}, context{}, branch{}, hidden{}, logits{};
    std::vector<std::vector<float>> cache{}, memory{};  // a layer each

    void reserve() {
        for (auto *buffer : {&rows, &context, &branch, &hidden}) buffer->resize(length * model.widest);
        logits.resize(model.output.outputs);
        for (int64_t depth = 0; depth < model.decoder.depth; ++depth) {
            cache.emplace_back(longest * model.decoder.layers[depth].own.input.outputs);
            memory.emplace_back(length * model.decoder.layers[depth].memory.outputs);
        }
    }
};

template <class Type> struct Worker {  // one thread
    const int64_t index;
    Sentence &sentence;
    const Model &model;
    const Stack *stack = nullptr;  // the one that runs
    int64_t rows = 0;              // in it
    Packed<Type> packed;
    std::vector<float> x, normal, weights;  // (N,M) the residual path, and normalised; those of one query

    Worker(Sentence &sentence, int64_t index)
        : index(index), sentence(sentence), model(sentence.model), packed(sentence.length, model.widest),
          x(sentence.length * model.d_model), normal(x.size()),
          weights(std::max(sentence.length, sentence.longest)) {}

    int64_t share(int64_t count, int64_t whose) const { return count * whose / sentence.barrier.members; }

    void product(const Linear &linear, const float *input, int64_t stride, float *y) {
        const int64_t panels = linear.outputs / PANEL;
        packed.fill(input, stride, rows, linear.inputs);
        multiply(linear, packed, share(panels, index), share(panels, index + 1), y);
        sentence.barrier.wait();
    }

    void embed(int64_t row, int64_t token, int64_t position) {
        const float *vector = stack->embedding + token * model.d_model, scale = float(stack->scale);
        const float *place = stack->position + position * model.d_model;
        for (int64_t i = 0; i < model.d_model; ++i) x[row * model.d_model + i] = vector[i] * scale + place[i];
    }

    // What a branch reads.
    const float *enter(const Norm &norm) {
        if (stack->last.gain == nullptr) return x.data();
        for (int64_t at = 0; at < rows * model.d_model; at += model.d_model)
            normalise(norm, model.d_model, &x[at], &normal[at]);
        return normal.data();
    }

    // A branch's last product, added to the residual path.
    void leave(const Linear &linear, const float *input, int64_t stride, const Norm &norm) {
        product(linear, input, stride, sentence.branch.data());
        for (int64_t row = 0; row < rows; ++row) {
            const float *branch = &sentence.branch[row * linear.outputs];
            float *residual = &x[row * model.d_model];
            for (int64_t i = 0; i < model.d_model; ++i) residual[i] += branch[i];
            if (stack->last.gain == nullptr) normalise(norm, model.d_model, residual, residual);
        }
    }

    // Writes the queries, and what else `attention.input` makes of the rows, to `query`; then they read.
    void read(const Attention &attention, float *query, const KeyValues &seen) {
        const int64_t dim = attention.dim, width = attention.heads * dim, stride = attention.input.outputs;
        product(attention.input, enter(attention.norm), model.d_model, query);
        for (int64_t h = share(attention.heads, index); h < share(attention.heads, index + 1); ++h)
            for (int64_t row = 0; row < rows; ++row)
                attend(query + row * stride + h * dim,
                       {seen.key + h * dim, seen.value + h * dim, seen.stride, seen.length}, dim,
                       weights.data(), &sentence.context[row * width + h * dim]);
        sentence.barrier.wait();
        leave(attention.output, sentence.context.data(), width, attention.norm);
    }

    // `cache` has queries, keys and values of `past` rows, and gets those of the new ones, which see all.
    void read_itself(const Attention &own, float *cache, int64_t past) {
        const int64_t stride = own.input.outputs, width = own.heads * own.dim;
        read(own, cache + past * stride, {cache + width, cache + 2 * width, stride, past + rows});
    }

    void read_memory(const Layer &layer, const float *memory) {
        const int64_t width = layer.cross.heads * layer.cross.dim;
        const int64_t stride = layer.memory.outputs;
        read(layer.cross, sentence.rows.data(), {memory, memory + width, stride, sentence.length});
    }

    void feed_forward(const Layer &layer) {
        product(layer.enter, enter(layer.norm), model.d_model, sentence.hidden.data());
        leave(layer.leave, sentence.hidden.data(), layer.enter.outputs, layer.norm);
    }

    void encode() {
        stack = &model.encoder, rows = sentence.length;
        for (int64_t row = 0; row < rows; ++row) embed(row, sentence.source[row], row);
        for (int64_t depth = 0; depth < stack->depth; ++depth) {
            read_itself(stack->layers[depth].own, sentence.rows.data(), 0);
            feed_forward(stack->layers[depth]);
        }
        const float *memory = enter(stack->last);
        for (int64_t depth = 0; depth < model.decoder.depth; ++depth)
            product(model.decoder.layers[depth].memory, memory, model.d_model, sentence.memory[depth].data());
    }

    void decode() {
        stack = &model.decoder, rows = 1;
        int64_t last = model.start;
        for (int64_t position = 0; position < sentence.longest && last != model.end; ++position) {
            float log_probability = 0.0f;
            last = step(last, position, log_probability);
            if (index == 0) {
                sentence.tokens[position] = last;
                sentence.log_probabilities[position] = log_probability;
                sentence.written = last < 0 ? -1 : position + 1;
            }
            if (last < 0) return;
        }
    }

    int64_t step(int64_t last, int64_t position, float &log_probability) {
        embed(0, last, position);
        for (int64_t depth = 0; depth < stack->depth; ++depth) {
            read_itself(stack->layers[depth].own, sentence.cache[depth].data(), position);
            read_memory(stack->layers[depth], sentence.memory[depth].data());
            feed_forward(stack->layers[depth]);
        }
        product(model.output, enter(stack->last), model.d_model, sentence.logits.data());
        return likeliest(sentence.logits.data(), sentence.penalty, model.vocabulary, log_probability);
    }
};

// A worker for each thread, the first in this one; fewer if the system gives no more threads.
template <class Type> void run_together(Sentence &sentence, int64_t threads) {
    std::vector<Worker<Type>> workers;
    for (int64_t index = 0; index < threads; ++index) workers.emplace_back(sentence, index);
    std::vector<std::thread> others;
    try {
        for (int64_t index = 1; index < threads; ++index)
            others.emplace_back([&worker = workers[index]] {
                worker.sentence.barrier.members.wait(0);
                worker.encode(), worker.decode();
            });
    } catch (const std::system_error &) {
    }
    sentence.barrier.members = int(others.size()) + 1;
    sentence.barrier.members.notify_all();
    workers[0].encode(), workers[0].decode();
    for (std::thread &other : others) other.join();
}

}  // namespace

// ---- What Python calls ----

// Writes at most `longest` tokens with their log-probabilities; how many, or -1: the logits are not numbers.
extern "C" int64_t whyformer_translate(const Model *model, bool int8, const int64_t *source, int64_t length,
                                       int64_t longest, const float *penalty, int64_t threads,
                                       int64_t *tokens, float *log_probabilities) {
    Sentence sentence{*model, source, length, longest, penalty, tokens, log_probabilities};
    sentence.reserve();
    int8 ? run_together<Int8>(sentence, threads) : run_together<Fp32>(sentence, threads);
    return sentence.written;
}

// One int8 product y (N,O) of x (N,I), so that its integers can be seen.
extern "C" void whyformer_multiply(const Linear *linear, const float *x, int64_t rows, float *y) {
    Packed<Int8> packed(rows, linear->inputs);
    packed.fill(x, linear->inputs, rows, linear->inputs);
    multiply(*linear, packed, 0, linear->outputs / PANEL, y);
}

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
