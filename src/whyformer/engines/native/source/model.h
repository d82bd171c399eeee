// A model's weights, as they are handed over.
//
// M model dimension · V vocabulary
// library.py declares the same structs, and pack.py fills them; for a browser, webassembly/source does.

#pragma once

#include <cstdint>

#include "arithmetic/product.h"

struct Norm {
    const float *gain, *shift;  // (M); null where there is no norm
    double epsilon;
};

struct BranchNorms {
    Norm norm;     // of what it reads where the stack has a last norm; else of the residual path behind it
    Norm leaving;  // of what it has made: Kim et al. 2025
};

struct HeadNorm {  // of queries and keys: Henry et al. 2020
    const float *query, *key;  // (D) gains, the query's with the factor of the score; null where there is no norm
    double epsilon;
};

struct Attention {  // or a recurrence in its place
    Linear input, output;  // input: to queries, keys and values; to queries of the memory's; then, before the sigmoid, to
                           // the gate where there is one. Of a recurrence, which has no output, to what gates keep,
                           // before the sigmoid, and to what is new
    BranchNorms norms;
    int64_t heads, dim;  // both 0 of a recurrence
    const float *turn;  // (longest,turned) cosines, then sines; null without rotary positions
    int64_t turned;     // components of a head
    HeadNorm head_norm;
    int64_t gated;       // whether there is a gate: Qiu et al. 2025
    double first_value;  // weight of the first layer's values beside these: Zhou et al. 2024
};

struct Layer {
    Attention own, cross;  // to its own sequence, and to the memory
    Linear memory;         // to the keys and values that `cross` reads
    Linear enter, leave;
    BranchNorms norms;  // of the feed-forward network
};

struct Table {            // a vector for each token
    const void *rows;     // (V,M) float, or int8 where there is a
    const float *scale;   // (V) what 1 is worth in each row
};

struct Stack {
    const Layer *layers;
    int64_t depth;
    Table embedding;
    const float *position;  // (longest,M)
    double scale;                       // of the embedding
    Norm last;                          // where there is one, norms stand before branches; else behind
};

struct Model {
    Stack encoder, decoder;
    Linear output;
    int64_t d_model, vocabulary, start, end;
    int64_t widest;  // components of the widest row but that of the logits
};
