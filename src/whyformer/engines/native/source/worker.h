// What a thread does in a search: all layers of all rows, and its share of each product and of the heads.
//
// N rows, a token each · B sentences · S length of all sources · M model dimension · D head dimension
// V vocabulary · I inputs and O outputs of a product

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "attention.h"
#include "beam.h"
#include "arithmetic/lanes.h"
#include "arithmetic/product.h"
#include "search.h"

namespace {

void normalise(const Norm &norm, int64_t size, const float *x, float *y) {
    const float mean = sum(x, size) / float(size);
    for (int64_t i = 0; i < size; ++i) y[i] = x[i] - mean;
    const float inverse = 1.0f / std::sqrt(dot(y, y, size) / float(size) + float(norm.epsilon));
    for (int64_t i = 0; i < size; ++i) y[i] = y[i] * inverse * norm.gain[i] + norm.shift[i];
}

// Unit mean square over the components of a head, then a gain.
void normalise_head(const float *gain, double epsilon, int64_t dim, float *x) {
    const float inverse = 1.0f / std::sqrt(dot(x, x, dim) / float(dim) + float(epsilon));
    for (int64_t d = 0; d < dim; ++d) x[d] = x[d] * inverse * gain[d];
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

// 1 / (1 + e^-x), from the exponential of what is not positive.
inline float sigmoid(float x) {
    const float power = exponential(x < 0.0f ? x : -x);
    return (x < 0.0f ? power : 1.0f) / (1.0f + power);
}

template <class Type> struct Worker {  // one thread
    const int64_t index;
    Search &search;
    const Model &model;
    const Stack *stack = nullptr;  // the one that runs
    int64_t rows = 0;              // in it
    Packed<Type> packed;
    std::vector<int64_t> positions{};  // (N)
    Numbers x{}, normal{};  // (N,M) the residual path, and normalised
    Numbers weights{};      // of one query, and the keys that it reads
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
        const float *place = stack->position + position * model.d_model, scale = float(stack->scale);
        const int64_t at = token * model.d_model;
        float *y = &x[row * model.d_model];
        positions[row] = position;
        if (stack->embedding.scale == nullptr) {
            const float *vector = static_cast<const float *>(stack->embedding.rows) + at;
            for (int64_t i = 0; i < model.d_model; ++i) y[i] = vector[i] * scale + place[i];
        } else {
            const int8_t *vector = static_cast<const int8_t *>(stack->embedding.rows) + at;
            const float unit = stack->embedding.scale[token] * scale;
            for (int64_t i = 0; i < model.d_model; ++i) y[i] = float(vector[i]) * unit + place[i];
        }
    }

    // What a branch reads.
    const float *branch_input(const Norm &norm) {
        if (stack->last.gain == nullptr) return x.data();
        for (int64_t at = 0; at < rows * model.d_model; at += model.d_model)
            normalise(norm, model.d_model, &x[at], &normal[at]);
        return normal.data();
    }

    // A branch's last product, added to the residual path.
    void leave(const Linear &linear, const float *input, int64_t stride, const BranchNorms &norms) {
        product(linear, input, stride, search.branch.data());
        add_branch(linear.outputs, norms);
    }

    // What a branch has made, in rows of `stride`, added to the residual path.
    void add_branch(int64_t stride, const BranchNorms &norms) {
        for (int64_t row = 0; row < rows; ++row) {
            const float *branch = &search.branch[row * stride];
            float *residual = &x[row * model.d_model];
            if (norms.leaving.gain != nullptr) {
                float *left = &normal[row * model.d_model];  // of this thread alone, as the branch is not
                normalise(norms.leaving, model.d_model, branch, left), branch = left;
            }
            for (int64_t i = 0; i < model.d_model; ++i) residual[i] += branch[i];
            if (stack->last.gain == nullptr) normalise(norms.norm, model.d_model, residual, residual);
        }
    }

    // What is done to a head's query (D), and to the key and value behind it where the memory has not made them.
    void prepare(const Attention &attention, Place place, int64_t depth, int64_t row, int64_t h, float *query) {
        const int64_t dim = attention.dim, width = attention.heads * dim;
        const HeadNorm &norm = attention.head_norm;
        float *key = place == CROSS ? nullptr : query + width;
        if (norm.query != nullptr) {
            normalise_head(norm.query, norm.epsilon, dim, query);
            if (key != nullptr) normalise_head(norm.key, norm.epsilon, dim, key);
        }
        if (attention.turn != nullptr) {
            const float *angle = attention.turn + positions[row] * attention.turned;
            turn(query, angle, attention.turned);
            turn(key, angle, attention.turned);
        }
        if (key == nullptr) return;
        float *value = key + width, *first = &search.values[row * width + h * dim];
        if (depth == 0) std::copy_n(value, dim, first);
        else if (attention.first_value != 0.0)
            for (int64_t d = 0; d < dim; ++d) value[d] += float(attention.first_value) * first[d];
    }

    // Writes the queries, and what else `attention.input` makes of the rows, to `query`; then each row reads
    // what `see` lets it, from a certain component of the keys.
    template <class See>
    void read(const Attention &attention, Place place, int64_t depth, float *query, See see) {
        const int64_t dim = attention.dim, width = attention.heads * dim, stride = attention.input.outputs;
        const int64_t head = share(attention.heads, index), heads = share(attention.heads, index + 1) - head;
        product(attention.input, branch_input(attention.norms.norm), model.d_model, query);
        for (int64_t row = 0; row < rows; ++row)  // all keys and values, before one is read
            for (int64_t h = head; h < head + heads; ++h)
                prepare(attention, place, depth, row, h, query + row * stride + h * dim);
        Lens *const lens = search.lens;
        const int64_t part = lens == nullptr ? 0 : lens->part(place, depth);
        for (int64_t row = 0; row < rows; ++row) {
            seen.clear(), see(row, head * dim);
            const int64_t keys = seen.size();
            const Span span = lens == nullptr ? Span{0, keys} : lens->span(place, positions[row], keys);
            weights.resize(heads * room(span.count));
            float *context = &search.context[row * width + head * dim];
            attend(query + row * stride + head * dim, seen.data() + span.first, span.count, width, heads, dim,
                   weights.data(), context);
            if (lens != nullptr) {
                if (row == 0) lens->begin(part, rows, keys);
                lens->look(part, row, span, keys, weights.data(), context);
            }
            if (attention.gated == 0) continue;
            const float *gate = query + row * stride + (place == CROSS ? 1 : 3) * width + head * dim;
            for (int64_t i = 0; i < heads * dim; ++i) context[i] *= sigmoid(gate[i]);
        }
        search.barrier.wait();
        leave(attention.output, search.context.data(), width, attention.norms);
    }

    // Keys and values in rows of `stride`, those of one sentence.
    void see_sentence(int64_t sentence, const float *key, int64_t stride) {
        for (int64_t k = search.first[sentence]; k < search.first[sentence + 1]; ++k)
            seen.push_back(key + k * stride);
    }

    // The recurrence of Kim et al. 2019, section 3.1, in the place of attention: where gates were, states stay, which the
    // next step finds by the paths of its rows.
    void recur(const Attention &recurrence, int64_t depth) {
        const int64_t size = model.d_model, stride = recurrence.input.outputs;
        const int64_t first = share(size, index), end = share(size, index + 1);
        float *made = search.cache.back()[depth].data();
        product(recurrence.input, branch_input(recurrence.norms.norm), size, made);
        for (int64_t row = 0; row < rows; ++row) {
            const std::vector<int64_t> &path = search.rows[row].path;
            const int64_t before = int64_t(path.size()) - 2;
            const float *past = before < 0 ? nullptr : &search.cache[before][depth][path[before] * stride];
            float *state = made + row * stride, *fresh = state + size, *branch = &search.branch[row * size];
            for (int64_t i = first; i < end; ++i) {
                const float keep = sigmoid(state[i]);
                state[i] = keep * (past == nullptr ? 0.0f : past[i]) + (1.0f - keep) * fresh[i];
                branch[i] = state[i] < 0.0f ? 0.0f : state[i];
            }
        }
        search.barrier.wait();
        add_branch(size, recurrence.norms);
    }

    void feed_forward(const Layer &layer) {
        product(layer.enter, branch_input(layer.norms.norm), model.d_model, search.hidden.data());
        leave(layer.leave, search.hidden.data(), layer.enter.outputs, layer.norms);
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
            read(own, ENCODER, depth, made, [&](int64_t row, int64_t from) {
                see_sentence(sentence[row], key + from, own.input.outputs);
            });
            feed_forward(stack->layers[depth]);
        }
        const float *memory = branch_input(stack->last);
        for (int64_t depth = 0; depth < model.decoder.depth; ++depth) {
            const Layer &layer = model.decoder.layers[depth];
            float *made = search.memory[depth].data();
            product(layer.memory, memory, model.d_model, made);
            const HeadNorm &norm = layer.cross.head_norm;
            if (norm.key == nullptr) continue;
            const int64_t dim = layer.cross.dim, heads = layer.cross.heads;
            for (int64_t row = 0; row < rows; ++row)
                for (int64_t h = share(heads, index); h < share(heads, index + 1); ++h)
                    normalise_head(norm.key, norm.epsilon, dim, made + row * layer.memory.outputs + h * dim);
        }
    }

    // Logits of what follows, from `input` (N,M): of all tokens, or those of a sentence's list for its rows.
    void score(const float *input, float *logits) {
        if (search.lists.empty()) return product(model.output, input, model.d_model, logits);
        for (int64_t row = 0, next; row < rows; row = next) {
            const int64_t sentence = search.rows[row].sentence;
            for (next = row + 1; next < rows && search.rows[next].sentence == sentence;) ++next;
            const Linear linear = search.lists[sentence].linear();
            const int64_t panels = linear.outputs / PANEL;
            packed.fill(input + row * model.d_model, model.d_model, next - row, linear.inputs);
            multiply(linear, packed, share(panels, index), share(panels, index + 1), logits + search.place[row]);
        }
        search.barrier.wait();
    }

    // Logits of what follows the last tokens, after `Search::grow`; each row's begin at its `Search::place`.
    void step(float *logits) {
        enter(model.decoder, search.rows.size());
        for (int64_t row = 0; row < rows; ++row) embed(row, search.last[row], search.cache.size() - 1);
        for (int64_t depth = 0; depth < stack->depth; ++depth) {
            const Layer &layer = stack->layers[depth];
            const int64_t width = layer.own.heads * layer.own.dim, stride = layer.own.input.outputs;
            if (width == 0)
                recur(layer.own, depth);
            else
                read(layer.own, DECODER, depth, search.cache.back()[depth].data(), [&](int64_t row, int64_t from) {
                    const std::vector<int64_t> &path = search.rows[row].path;
                    for (size_t at = 0; at < path.size(); ++at)
                        seen.push_back(search.cache[at][depth].data() + path[at] * stride + width + from);
                });
            const float *memory = search.memory[depth].data();
            read(layer.cross, CROSS, depth, search.queries.data(), [&](int64_t row, int64_t from) {
                see_sentence(search.rows[row].sentence, memory + from, layer.memory.outputs);
            });
            feed_forward(layer);
        }
        score(branch_input(stack->last), logits);
    }

    // Calls `task` with a row's logits, the penalty of each, and their number: all tokens, or those of its list. A token
    // is the `length`th of its hypothesis.
    template <class Task> void among(int64_t row, const Penalties &penalties, int64_t length, Task task) {
        const float *logits = &search.logits[search.place[row]];
        const bool is_early = penalties.is_early(length);
        if (search.lists.empty()) return task(logits, is_early ? penalties.early : penalties.late, model.vocabulary);
        const Excerpt &list = search.lists[search.rows[row].sentence];
        task(logits, (is_early ? list.early : list.late).data(), list.size());
    }

    // What greedy search writes behind a row.
    int64_t choice(const Greedy &greedy, int64_t row) {
        int64_t chosen = -1;
        among(row, greedy.penalties, search.rows[row].path.size(), [&](const float *logits, const float *forbidden, int64_t count) {
            chosen = likeliest(logits, forbidden, count, search.choice[row]);
        });
        return chosen < 0 || search.lists.empty() ? chosen : search.lists[search.rows[row].sentence].ids[chosen];
    }

    void write(const Greedy &greedy) {
        while (search.rows.size() > 0) {
            alone([&] {
                search.grow();
                search.choice.resize(search.rows.size());
                search.logits.resize(search.place.back());
            });
            step(search.logits.data());
            for (int64_t row = share(rows, index); row < share(rows, index + 1); ++row)
                search.last[row] = choice(greedy, row);
            alone([&] { search.record(greedy); });
        }
    }

    void write(Beams &beams) {
        const Beam &beam = beams.beam;
        while (search.rows.size() > 0) {
            alone([&] { beams.grow(); });
            step(search.logits.data());
            for (int64_t row = share(rows, index); row < share(rows, index + 1); ++row)
                among(row, beam.penalties, beams.length, [&](const float *logits, const float *forbidden, int64_t count) {
                    beams.best[row].fill(logits, forbidden, count, 2 * beam.width);
                });
            alone([&] { beams.advance(); });
        }
    }

    // What one does while the others wait.
    template <class Task> void alone(Task task) {
        search.barrier.wait();
        if (index == 0) task();
        search.barrier.wait();
    }
};

}  // namespace
