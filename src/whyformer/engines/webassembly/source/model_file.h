// A model read from one file, which whyformer.engines.webassembly.model_file has written. Bytes are in Intel's order.
//
// M model dimension · V vocabulary · I inputs and O outputs of a product

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "model.h"

namespace {

constexpr int32_t VERSION = 4;
constexpr char MAGIC[] = "whyformer model\n";  // 16 characters, then version, size and checksum of the rest

enum Opened : int32_t { READY, NO_MODEL, OTHER_VERSION, DAMAGED };
enum Positions : int32_t { TABLE, COMPUTED, SHARED };

// What model_file.py has written, piece by piece. What does not fit leaves zeros, and `sound` false.
struct File {
    const uint8_t *at, *end;
    bool sound = true;

    bool has(uint64_t bytes) {
        if (bytes > uint64_t(end - at)) sound = false;
        return sound;
    }

    template <class Type> void fill(Type *to, uint64_t count) {
        if (!has(count * sizeof(Type))) return;
        std::memcpy(to, at, count * sizeof(Type));
        at += count * sizeof(Type);
    }

    int32_t number(int32_t least, int32_t most) {
        int32_t value = 0;
        fill(&value, 1);
        if (value < least || value > most) sound = false;
        return sound ? value : least;
    }

    double real() {
        double value = 0.0;
        fill(&value, 1);
        return value;
    }
};

// The polynomial of zlib's crc32, by half bytes.
uint32_t checksum(const uint8_t *bytes, size_t count) {
    uint32_t table[16];
    for (uint32_t n = 0; n < 16; ++n) {
        table[n] = n;
        for (int bit = 0; bit < 4; ++bit) table[n] = table[n] & 1 ? table[n] >> 1 ^ 0xedb88320u : table[n] >> 1;
    }
    uint32_t sum = ~0u;
    for (const uint8_t *at = bytes; at < bytes + count; ++at)
        for (const uint32_t half : {*at & 15u, *at >> 4 & 15u}) sum = sum >> 4 ^ table[(sum ^ half) & 15];
    return ~sum;
}

constexpr int32_t MOST = 1 << 20;  // of each size: none is near, and no product of two leaves 64 bits

struct Loaded {  // a model that owns its weights
    Model model{};
    int32_t longest = 0, source_vocabulary = 0;
    std::vector<std::unique_ptr<uint8_t[]>> kept{};

    template <class Type> Type *room(uint64_t count) {
        kept.emplace_back(new uint8_t[count * sizeof(Type) + 1]());
        return reinterpret_cast<Type *>(kept.back().get());
    }

    template <class Type> const Type *some(File &file, uint64_t count) {
        if (!file.has(count * sizeof(Type))) return room<Type>(0);
        Type *numbers = room<Type>(count);
        file.fill(numbers, count);
        return numbers;
    }

    Norm norm(File &file) {
        const double epsilon = file.real();
        const float *gain = some<float>(file, model.d_model), *shift = some<float>(file, model.d_model);
        return {gain, shift, epsilon};
    }

    BranchNorms branch_norms(File &file) {
        BranchNorms made{norm(file), {}};
        if (file.number(0, 1)) made.leaving = norm(file);
        return made;
    }

    // Rows of whole numbers (O,I) and what 1 is worth in each.
    Table table(File &file, int64_t rows, int64_t width) {
        const int8_t *numbers = some<int8_t>(file, uint64_t(rows) * width);
        return {numbers, some<float>(file, rows)};
    }

    // Puts rows into the order in which products read them: as pack.py does.
    Linear packed(File &file, const Table &table, int64_t inputs, int64_t outputs, int64_t activation) {
        const int64_t filled = (outputs + PANEL - 1) / PANEL * PANEL, words = (inputs + 3) / 4;
        const float *bias = some<float>(file, outputs);
        if (!file.sound) return {};
        int8_t *weight = room<int8_t>(uint64_t(filled) * words * 4);
        int32_t *start = room<int32_t>(filled);
        float *scale = room<float>(filled), *shift = room<float>(filled);
        std::copy_n(table.scale, outputs, scale), std::copy_n(bias, outputs, shift);
        for (int64_t o = 0; o < outputs; ++o) {
            const int8_t *row = static_cast<const int8_t *>(table.rows) + o * inputs;
            for (int64_t i = 0; i < inputs; ++i) {
                weight[((o / PANEL * words + i / 4) * PANEL + o % PANEL) * 4 + i % 4] = row[i];
                start[o] -= 128 * row[i];
            }
        }
        model.widest = std::max({model.widest, inputs, filled});
        return {weight, reinterpret_cast<float *>(start), scale, shift, inputs, filled, activation};
    }

    Linear linear(File &file, int64_t inputs, int64_t outputs, int64_t activation = NONE) {
        const Table rows = table(file, outputs, inputs);
        return packed(file, rows, inputs, outputs, activation);
    }

    // In a decoder, `least` heads: none of a recurrence, whose file has 0 for both numbers and one product.
    Attention attention(File &file, int64_t inputs_of, int32_t least = 1) {
        const int64_t heads = file.number(least, 1024), dim = file.number(heads > 0, heads > 0 ? 1024 : 0), width = heads * dim;
        if (heads == 0) {
            const Linear input = linear(file, model.d_model, 2 * model.d_model);
            return {input, {}, branch_norms(file), 0, 0, nullptr, 0, {}, 0, 0.0};
        }
        const int64_t gated = file.number(0, 1), normed = file.number(0, 1);
        const Linear input = linear(file, model.d_model, (inputs_of + gated) * width);
        const Linear output = linear(file, width, model.d_model);
        Attention made{input, output, branch_norms(file), heads, dim, nullptr, 0, {}, gated, 0.0};
        if (normed) made.head_norm = head_norm(file, dim);
        made.first_value = file.real();
        return made;
    }

    HeadNorm head_norm(File &file, int64_t dim) {
        const double epsilon = file.real();
        const float *query = some<float>(file, dim), *key = some<float>(file, dim);
        return {query, key, epsilon};
    }

    // sin and cos in turn, as position/absolute.py computes them.
    const float *sinusoids() {
        float *made = room<float>(uint64_t(longest) * model.d_model);
        for (int64_t i = 0; i < model.d_model; ++i) {
            const double rate = std::exp(double(i - i % 2) * (-std::log(10000.0) / double(model.d_model)));
            for (int64_t p = 0; p < longest; ++p)
                made[p * model.d_model + i] = float(i % 2 == 0 ? std::sin(double(p) * rate) : std::cos(double(p) * rate));
        }
        return made;
    }

    Stack stack(File &file, int64_t vocabulary, const Stack *encoder) {
        Stack made{};
        made.depth = file.number(1, 256), made.scale = file.real();
        const bool shares = file.number(0, encoder != nullptr);
        made.embedding = shares ? encoder->embedding : table(file, vocabulary, model.d_model);
        switch (file.number(TABLE, encoder == nullptr ? COMPUTED : SHARED)) {
        case TABLE: made.position = some<float>(file, uint64_t(longest) * model.d_model); break;
        case COMPUTED: made.position = sinusoids(); break;
        case SHARED: made.position = encoder->position; break;
        }
        const int64_t turned = file.number(0, 1024);
        const float *turns = turned == 0 ? nullptr : some<float>(file, uint64_t(longest) * turned);
        if (file.number(0, 1)) made.last = norm(file);
        auto *layers = room<Layer>(made.depth);
        for (int64_t depth = 0; depth < made.depth && file.sound; ++depth)
            layers[depth] = layer(file, encoder != nullptr, turns, turned);
        made.layers = layers;
        return made;
    }

    Layer layer(File &file, bool decodes, const float *turns, int64_t turned) {
        Layer made{};
        made.own = attention(file, 3, decodes ? 0 : 1);
        made.own.turn = turns, made.own.turned = turned;
        if (turned > made.own.dim) file.sound = false;
        if (decodes) {
            made.cross = attention(file, 1);
            made.memory = linear(file, model.d_model, 2 * made.cross.heads * made.cross.dim);
        }
        const int64_t hidden = file.number(1, MOST), activation = file.number(NONE, GELU);
        made.enter = linear(file, model.d_model, hidden, activation);
        made.leave = linear(file, hidden, model.d_model);
        made.norms = branch_norms(file);
        return made;
    }

    void read(File &file) {
        model.d_model = file.number(1, 1 << 14), longest = file.number(2, 1 << 16);
        source_vocabulary = file.number(1, MOST), model.vocabulary = file.number(1, MOST);
        model.start = file.number(0, model.vocabulary - 1), model.end = file.number(0, model.vocabulary - 1);
        model.encoder = stack(file, source_vocabulary, nullptr);
        if (!file.sound) return;
        model.decoder = stack(file, model.vocabulary, &model.encoder);
        if (!file.sound) return;
        const int64_t widest = model.widest;  // logits have room of their own
        const bool tied = file.number(0, 1);  // to what the decoder reads
        const Table own = tied ? model.decoder.embedding : table(file, model.vocabulary, model.d_model);
        model.output = packed(file, own, model.d_model, model.vocabulary, NONE);
        model.widest = widest;
        if (file.at != file.end) file.sound = false;
    }
};

// Fills `loaded` from the bytes of a whole file.
Opened open_model(const uint8_t *bytes, size_t size, Loaded &loaded) {
    File file{bytes, bytes + size};
    char magic[sizeof MAGIC - 1] = {};
    file.fill(magic, sizeof magic);
    if (!file.sound || std::memcmp(magic, MAGIC, sizeof magic) != 0) return NO_MODEL;
    if (file.number(INT32_MIN, INT32_MAX) != VERSION) return OTHER_VERSION;
    uint32_t told[2] = {};
    file.fill(told, 2);
    if (!file.sound || told[0] != uint64_t(file.end - file.at) || told[1] != checksum(file.at, told[0])) return DAMAGED;
    loaded.read(file);
    return file.sound ? READY : DAMAGED;
}

}  // namespace
