#include "plan/sampler.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <set>

#include "plan/best_first.h"
#include "plan/random.h"
#include "plan/row_passes.h"
#include "testing/testing.h"

namespace mistralrs {
namespace {

std::vector<float> randomRow(int vocab, float spread, uint32_t seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> row(vocab);
  for (float& logit : row) logit = normal(generator);
  return row;
}

int32_t drawAt(const std::vector<float>& row, const Slot& slot, int32_t position, const uint32_t* mask = nullptr) {
  Sampler sampler;
  float logprob;
  return sampler.draw(row.data(), static_cast<int>(row.size()), slot, mask, position, logprob, {});
}

// What may be drawn and how likely, in doubles and by sorting, as the comment of SlotOptions says.
std::map<int32_t, double> expectedShares(const std::vector<float>& row, const SlotOptions& options) {
  const double max = *std::max_element(row.begin(), row.end());
  std::vector<std::pair<double, int32_t>> all;
  double total = 0;
  for (size_t i = 0; i < row.size(); ++i) {
    all.push_back({-std::exp((row[i] - max) / options.temperature), static_cast<int32_t>(i)});
    total -= all.back().first;
  }
  std::sort(all.begin(), all.end());
  std::map<int32_t, double> kept;
  double sum = 0;
  for (const auto& [negative, id] : all) {
    const double p = -negative / total;
    if (options.topK > 0 && static_cast<int>(kept.size()) == options.topK) break;
    if (p < options.minP * -all[0].first / total) break;
    kept[id] = p;
    if ((sum += p) >= options.topP) break;
  }
  for (auto& [id, p] : kept) p /= sum;
  return kept;
}

// Draws many times and compares what came with what should.
void checkShares(const std::vector<float>& row, SlotOptions options, const char* name) {
  constexpr int kDraws = 20000;
  const std::map<int32_t, double> expected = expectedShares(row, options);
  const Slot slot(options);
  std::map<int32_t, int> drawn;
  for (int i = 0; i < kDraws; ++i) ++drawn[drawAt(row, slot, i)];
  double chiSquare = 0;
  int cells = 0;
  for (const auto& [id, count] : drawn)
    if (!expected.contains(id)) testing::fail(__FILE__, __LINE__, format("%s: token %d was drawn, but is filtered out", name, id));
  for (const auto& [id, share] : expected) {
    const double wanted = share * kDraws;
    if (wanted < 10) continue;
    chiSquare += std::pow(drawn[id] - wanted, 2) / wanted;
    ++cells;
  }
  // Mean `cells`, deviation sqrt(2 cells): five deviations for a fixed seed.
  if (chiSquare > cells + 5 * std::sqrt(2.0 * cells + 1))
    testing::fail(__FILE__, __LINE__, format("%s: chi square %.1f over %d tokens", name, chiSquare, cells));
}

}  // namespace

// Known answers of the authors' test file (Random123, kat_vectors).
TEST(philox_known_answers) {
  const auto zero = philox({0, 0, 0, 0}, {0, 0});
  CHECK((zero == std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const uint32_t f = 0xffffffff;
  const auto ones = philox({f, f, f, f}, {f, f});
  CHECK((ones == std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

TEST(uniform_depends_on_seed_choice_and_position) {
  std::set<double> values;
  for (uint64_t seed : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 40})
    for (uint32_t choice : {0, 1})
      for (uint32_t position = 0; position < 100; ++position) values.insert(uniform(seed, choice, position));
  CHECK_EQ(values.size(), 600u);
  CHECK(*values.begin() >= 0 && *values.rbegin() < 1);
}

TEST(masses_are_exponentials) {
  float logits[kRowBlock], masses[kRowBlock];
  for (int i = 0; i < kRowBlock; ++i) logits[i] = -0.7f * static_cast<float>(i);
  blockMasses(logits, 0, 1, masses);
  CHECK_EQ(masses[0], 1.0f);
  for (int i = 0; i < kRowBlock; ++i) {
    const double exact = std::exp(double{logits[i]});
    CHECK_NEAR(masses[i], logits[i] < -88 ? 0 : exact, 3e-7 * exact + 1e-38);
  }
  logits[5] = -INFINITY;
  logits[6] = NAN;
  blockMasses(logits, 0, 1, masses);
  CHECK_EQ(masses[5], 0.0f);
  CHECK(std::isnan(masses[6]));
}

TEST(greedy_takes_the_lowest_id_of_the_best) {
  SlotOptions options;
  options.temperature = 0;
  for (int vocab : {1, 5, 128, 129, 1000}) {
    std::vector<float> row(vocab, -3.0f);
    row[vocab / 2] = row[vocab - 1] = 7;
    CHECK_EQ(drawAt(row, Slot(options), 0), vocab / 2);
  }
}

TEST(logprobs_and_alternatives_match_a_log_softmax) {
  for (int vocab : {3, 127, 1000, 40000}) {
    const std::vector<float> row = randomRow(vocab, 4, vocab);
    double sum = 0;
    for (float logit : row) sum += std::exp(double{logit});
    std::vector<int32_t> order(vocab), ids(20);
    for (int i = 0; i < vocab; ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](int a, int b) { return row[a] != row[b] ? row[a] > row[b] : a < b; });
    std::vector<float> logprobs(20);
    Sampler sampler;
    const int32_t token = vocab / 3;
    CHECK_NEAR(sampler.score(row.data(), vocab, token, {ids, logprobs}), row[token] - std::log(sum), 2e-6);
    for (int i = 0; i < 20; ++i) {
      CHECK_EQ(ids[i], i < vocab ? order[i] : -1);
      CHECK_NEAR(logprobs[i], i < vocab ? row[order[i]] - std::log(sum) : -1, 2e-6);
    }
    // The raw distribution, whatever the options.
    SlotOptions options;
    options.temperature = 0;
    options.biasIds = {token};
    options.biasValues = {1000};
    float logprob;
    CHECK_EQ(sampler.draw(row.data(), vocab, Slot(options), nullptr, 0, logprob, {ids, logprobs}), token);
    CHECK_NEAR(logprob, row[token] - std::log(sum), 2e-6);
    CHECK_EQ(ids[0], order[0]);
  }
}

TEST(what_is_known_of_a_row_changes_no_draw) {
  for (const int vocab : {300, 384}) {
    const std::vector<float> row = randomRow(vocab, 3, 5);
    const int blocks = (vocab + kRowBlock - 1) / kRowBlock;
    std::vector<float> filled(blocks * kRowBlock, -INFINITY), maxima(blocks);
    std::copy(row.begin(), row.end(), filled.begin());
    blockMaxima(filled.data(), blocks, maxima.data());
    std::vector<double> sums(blocks);
    blockSums(filled.data(), blocks, *std::max_element(maxima.begin(), maxima.end()), 1, sums.data());
    const std::vector<float> floats(sums.begin(), sums.end());
    for (const double temperature : {0.0, 0.6, 1.0}) {
      SlotOptions options;
      options.temperature = temperature;
      options.topP = 0.9;
      const Slot slot(options);
      Sampler sampler;
      for (int position = 0; position < 50; ++position) {
        float logprob, knownLogprob;
        int32_t ids[3], knownIds[3];
        float best[3], knownBest[3];
        const int32_t token = sampler.draw(row.data(), vocab, slot, nullptr, position, logprob, {ids, best});
        CHECK_EQ(sampler.draw(row.data(), vocab, slot, nullptr, position, knownLogprob, {knownIds, knownBest}, {maxima, floats}), token);
        CHECK_EQ(knownLogprob, logprob);
        CHECK(std::equal(ids, ids + 3, knownIds) && std::equal(best, best + 3, knownBest));
      }
    }
  }
}

TEST(draws_follow_the_filtered_distribution) {
  SlotOptions base;
  base.seed = 12345;
  for (int vocab : {10, 300, 5000}) {
    const std::vector<float> row = randomRow(vocab, 2, 7);
    const auto check = [&](const char* name, auto change) {
      SlotOptions options = base;
      change(options);
      checkShares(row, options, format("%s, vocab %d", name, vocab).c_str());
    };
    check("plain", [](SlotOptions&) {});
    check("cold", [](SlotOptions& o) { o.temperature = 0.3; });
    check("hot", [](SlotOptions& o) { o.temperature = 3; });
    check("top-k", [](SlotOptions& o) { o.topK = 7; });
    check("top-k above the vocabulary", [](SlotOptions& o) { o.topK = 100000; });
    check("top-p", [](SlotOptions& o) { o.topP = 0.8; });
    check("top-p of a flat distribution", [](SlotOptions& o) { o.topP = 0.9, o.temperature = 8; });
    check("top-p 0", [](SlotOptions& o) { o.topP = 0; });
    check("min-p", [](SlotOptions& o) { o.minP = 0.1; });
    check("all", [](SlotOptions& o) { o.topK = 40, o.topP = 0.9, o.minP = 0.02, o.temperature = 1.3; });
  }
}

TEST(ties_are_kept_by_lowest_id) {
  SlotOptions options;
  options.topK = 3;
  checkShares(std::vector<float>(3000, 0.5f), options, "top-k of equals");
  options.topK = 0;
  options.topP = 0.0105;  // 31.5 tokens: not at the mercy of a rounding
  checkShares(std::vector<float>(3000, 0.5f), options, "top-p of equals");
}

TEST(selection_equals_a_sort) {
  std::mt19937 generator(3);
  for (int values : {2, 50, 1 << 20}) {
    std::vector<Candidate> all(5000);
    for (size_t i = 0; i < all.size(); ++i) {
      const float logit = static_cast<float>(static_cast<int>(generator() % values) - values / 2) / 16;
      all[i] = {logit, static_cast<int32_t>(i), 1.0f / 1024};  // sums are exact in any order
    }
    std::vector<Candidate> sorted = all;
    std::sort(sorted.begin(), sorted.end(), isBetter);
    for (size_t count : {1, 2, 1000, 4999, 5000, 6000})
      for (double mass : {0.0, 1.0, 2.5, 100.0}) {
        std::vector<Candidate> kept = all;
        const double sum = keepBestFirst(kept, count, mass);
        const size_t byMass = std::max<size_t>(1, static_cast<size_t>(mass * 1024));
        const size_t expected = std::min({count, byMass, all.size()});
        CHECK_EQ(kept.size(), expected);
        CHECK_EQ(sum, expected / 1024.0);
        std::sort(kept.begin(), kept.end(), isBetter);
        for (size_t i = 0; i < expected && i < kept.size(); ++i) CHECK_EQ(kept[i].id, sorted[i].id);
      }
  }
}

TEST(masks_allow_only_their_tokens) {
  const std::vector<float> row = randomRow(1000, 2, 5);
  std::vector<uint32_t> mask(32);
  for (int id : {3, 64, 65, 999}) mask[id / 32] |= 1u << id % 32;
  SlotOptions options;
  std::set<int32_t> drawn;
  for (int i = 0; i < 500; ++i) drawn.insert(drawAt(row, Slot(options), i, mask.data()));
  CHECK((drawn == std::set<int32_t>{3, 64, 65, 999}));
  options.biasIds = {3, 64, 65, 999};
  options.biasValues.assign(4, -INFINITY);
  CHECK_EQ(drawAt(row, Slot(options), 0, mask.data()), -1);
}

TEST(rows_that_cannot_be_drawn_from_give_none) {
  for (float bad : {NAN, INFINITY}) {
    for (int at : {0, 130, 299}) {
      std::vector<float> row = randomRow(300, 1, 1);
      row[at] = bad;
      std::vector<int32_t> ids(2, 7);
      std::vector<float> logprobs(2);
      float logprob = 0;
      Sampler sampler;
      CHECK_EQ(sampler.draw(row.data(), 300, Slot(SlotOptions{}), nullptr, 0, logprob, {ids, logprobs}), -1);
      CHECK(std::isnan(logprob));
      CHECK_EQ(ids[0], -1);
    }
  }
  CHECK_EQ(drawAt(std::vector<float>(300, -INFINITY), Slot(SlotOptions{}), 0), -1);
}

TEST(penalties_and_bias_in_order) {
  SlotOptions options;
  options.repetitionPenalty = 2;
  options.frequencyPenalty = 0.5;
  options.presencePenalty = 0.25;
  options.history = {1, 1, 2};
  options.biasIds = {2, 4};
  options.biasValues = {10, -INFINITY};
  Slot slot(options);
  slot.record(0);
  slot.record(0);
  std::vector<float> row = {4, 4, -4, 4, 4};
  CHECK(slot.adjusts());
  slot.adjust(row.data());
  CHECK_EQ(row[0], 4 / 2.0f - 2 * 0.5f - 0.25f);  // sampled twice
  CHECK_EQ(row[1], 2.0f);                          // of the history: divided once, no other penalty
  CHECK_EQ(row[2], -8.0f + 10.0f);                 // negative: multiplied; bias last
  CHECK_EQ(row[3], 4.0f);
  CHECK_EQ(row[4], -INFINITY);
  CHECK_EQ(slot.lastToken(), 0);
}

TEST(extreme_options_still_draw) {
  const std::vector<float> row = randomRow(2000, 3, 2);
  SlotOptions options;
  options.biasIds = {0, 1};
  options.biasValues = {-INFINITY, 3e38f};
  for (double temperature : {1e-7, 1e300}) {
    options.temperature = temperature;
    for (double topP : {0.0, 0.5, 1.0}) {
      options.topP = topP;
      CHECK(drawAt(row, Slot(options), 1) > 0);
    }
  }
  SlotOptions tiny;
  tiny.repetitionPenalty = 1e-300;
  tiny.history = {5};
  CHECK(drawAt(row, Slot(tiny), 1) >= 0);
}

TEST(slot_options_are_checked) {
  const auto check = [](const char* part, auto change) {
    SlotOptions options;
    change(options);
    CHECK_ERROR("invalid_argument", part, validateSlotOptions(options, 100));
  };
  validateSlotOptions({}, 100);
  check("temperature", [](SlotOptions& o) { o.temperature = NAN; });
  check("topP is 1.5", [](SlotOptions& o) { o.topP = 1.5; });
  check("minP", [](SlotOptions& o) { o.minP = -1; });
  check("frequencyPenalty", [](SlotOptions& o) { o.frequencyPenalty = INFINITY; });
  check("repetitionPenalty is 0", [](SlotOptions& o) { o.repetitionPenalty = 0; });
  check("history[1] is 100", [](SlotOptions& o) { o.history = {99, 100}; });
  check("biasIds", [](SlotOptions& o) { o.biasIds = {1}; });
  check("biasValues is nan", [](SlotOptions& o) { o.biasIds = {1}, o.biasValues = {NAN}; });
  check("topLogprobs is 21", [](SlotOptions& o) { o.topLogprobs = 21; });
  check("seed", [](SlotOptions& o) { o.seed = uint64_t{1} << 53; });
}

}  // namespace mistralrs
