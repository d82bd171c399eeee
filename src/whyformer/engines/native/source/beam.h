// Beam search: the best few hypotheses of each sentence live on. What `decoding/search.py` does with tensors, a
// sentence at a time; what it would refuse is left to it.
//
// N rows, a live hypothesis each · B sentences · W width of the beam · H hypotheses that a sentence gets at most
// V vocabulary
// library.py declares the same `Beam` and fills it.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "ranking.h"
#include "search.h"

struct Beam {  // the longest of its B sentences has `stride` tokens
    const Penalties penalties;
    const int64_t *longest;       // (B)
    const float *length_penalty;  // (stride+1) what a log-probability is divided by, by the number of tokens
    int64_t stride, width, best;  // W and H
    int64_t enough;               // finished hypotheses with which a search is over, 0 where their number says nothing
    int64_t *tokens;              // (B,H,stride)
    float *log_probabilities;     // (B,H,stride)
    int64_t *written;             // (B,H) of these, 0 where there is none; -1 where a search has to say what is wrong
    float *score, *total;         // (B,H)
    Wanted wanted;
};

namespace {

struct Written {            // a token of a hypothesis; those that begin alike share their first
    int64_t before, token;  // before: the place of the one before it, -1 of the first
    float log_probability;
};

struct Prefix {
    float total = 0.0f;  // its log-probability
    int64_t last = -1;   // the place of its last token
};

struct Finished {
    Prefix prefix;
    int64_t length;
    float score;
};

struct Candidate {
    int64_t row, token;  // what extends which hypothesis
    float log_probability, total;
};

// The hypotheses of a search, alive and finished.
struct Beams {
    const Beam &beam;
    Search &search;
    std::vector<Prefix> prefixes;                 // (N)
    std::vector<Written> written{};               // tokens of all hypotheses
    std::vector<Ranking> best{};                  // (N) likeliest places of each row
    std::vector<std::vector<Finished>> finished;  // (B) best first
    std::vector<int64_t> ended;                   // (B) how many have finished, those that are not kept as well
    int64_t length = 0;                           // tokens of whatever ends in this step

    Beams(const Beam &beam, Search &search)
        : beam(beam), search(search), prefixes(search.rows.size()), finished(search.rows.size()), ended(search.rows.size()) {}

    // Room for the next token of each row.
    void grow() {
        search.grow();
        search.logits.resize(search.place.back());
        best.resize(search.rows.size());
        ++length;
    }

    // Finishes and extends the hypotheses of each sentence, once `best` says what may follow its rows.
    void advance() {
        std::vector<int64_t> parents, fed;
        std::vector<Prefix> grown;
        for (int64_t row = 0, next; row < int64_t(search.rows.size()); row = next) {
            const int64_t s = search.rows[row].sentence;
            for (next = row + 1; next < int64_t(search.rows.size()) && search.rows[next].sentence == s;) ++next;
            for (const Candidate &living : extend(s, row, next)) {
                parents.push_back(living.row), fed.push_back(living.token);
                grown.push_back(grow(living));
            }
        }
        search.select(parents);
        search.last.swap(fed), prefixes.swap(grown);
    }

    void write() const {
        for (int64_t s = 0; s < int64_t(finished.size()); ++s)
            for (int64_t h = 0; h < int64_t(finished[s].size()); ++h) {
                const auto &[prefix, length, score] = finished[s][h];
                const int64_t at = s * beam.best + h;
                for (int64_t n = length - 1, token = prefix.last; n >= 0; --n, token = written[token].before) {
                    beam.tokens[at * beam.stride + n] = written[token].token;
                    beam.log_probabilities[at * beam.stride + n] = written[token].log_probability;
                }
                if (beam.written[at] == 0) beam.written[at] = length;
                beam.score[at] = score, beam.total[at] = prefix.total;
            }
    }

private:
    // Those that live on of sentence s, which has some rows; none where it is over, or nobody waits for it.
    std::vector<Candidate> extend(int64_t s, int64_t first, int64_t end) {
        for (int64_t row = first; row < end; ++row)
            if (best[row].is_broken) return give_up(s);
        std::vector<Candidate> living;
        living.reserve(2 * beam.width);
        std::vector<size_t> taken(end - first);
        // A row has one that ends, so that of twice as many enough live on.
        for (int64_t at = 0; at < 2 * beam.width; ++at) {
            const Candidate next = likeliest_of(s, first, taken);
            if (next.row < 0) break;
            if (next.token != search.model.end)
                living.push_back(next);
            else if (at < beam.width)
                finish(s, next), ++ended[s];
        }
        living.resize(std::min(int64_t(living.size()), beam.width));
        const bool is_over = length == beam.longest[s] || is_decided(s, living);
        if (is_over && finished[s].empty()) {
            if (living.empty()) return give_up(s);
            for (const Candidate &each : living) finish(s, each);
        }
        if (is_over || !beam.wanted[s]) living.clear();
        return living;
    }

    // The likeliest of what has not been `taken` of some rows, of equal ones that of the first; no row where all is. As
    // what may follow a row is in order, one of theirs is next.
    Candidate likeliest_of(int64_t s, int64_t first, std::vector<size_t> &taken) const {
        Candidate found{-1, -1, 0.0f, -INFINITY};
        for (size_t n = 0; n < taken.size(); ++n) {
            const std::vector<Ranked> &each = best[first + n].found;
            if (taken[n] == each.size()) continue;
            const auto &[place, value] = each[taken[n]];
            const float total = prefixes[first + n].total + value;
            if (found.row < 0 || total > found.total) found = {first + int64_t(n), place, value, total};
        }
        if (found.row < 0) return found;
        ++taken[found.row - first], found.token = token(s, found.token);
        return found;
    }

    // Whether nothing of what lives can become better than all that is finished (`Scorer.bound` says why), or need not.
    bool is_decided(int64_t s, const std::vector<Candidate> &living) const {
        if (living.empty() || (beam.enough > 0 && ended[s] >= beam.enough)) return true;
        if (int64_t(finished[s].size()) < beam.best) return false;
        return finished[s].back().score >= living[0].total / beam.length_penalty[beam.longest[s]];
    }

    // Of equal scores those stay that came first.
    void finish(int64_t s, const Candidate &candidate) {
        auto &kept = finished[s];
        const float score = candidate.total / beam.length_penalty[length];
        const auto place = std::find_if(kept.begin(), kept.end(), [&](auto &each) { return each.score < score; });
        if (place - kept.begin() == beam.best) return;
        kept.insert(place, {grow(candidate), length, score});
        if (int64_t(kept.size()) > beam.best) kept.pop_back();
    }

    std::vector<Candidate> give_up(int64_t s) {
        beam.written[s * beam.best] = -1;
        return {};
    }

    Prefix grow(const Candidate &by) {
        written.push_back({prefixes[by.row].last, by.token, by.log_probability});
        return {by.total, int64_t(written.size()) - 1};
    }

    int64_t token(int64_t s, int64_t place) const { return search.lists.empty() ? place : search.lists[s].ids[place]; }
};

}  // namespace
