#include "plan/dry.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "testing/testing.h"

namespace mistralrs {
namespace {

// By the definition: every earlier place, compared token by token.
std::vector<float> expected(const std::vector<int32_t>& tokens, const DryOptions& o, int vocab) {
  const auto breaks = [&](int32_t t) { return std::find(o.breakers.begin(), o.breakers.end(), t) != o.breakers.end(); };
  std::vector<int> runs(vocab, 0);
  const int n = static_cast<int>(tokens.size());
  for (int place = 1; place < n; ++place) {
    int length = 0;
    while (length < place && tokens[place - 1 - length] == tokens[n - 1 - length] && !breaks(tokens[n - 1 - length])) ++length;
    if (!breaks(tokens[place])) runs[tokens[place]] = std::max(runs[tokens[place]], length);
  }
  std::vector<float> logits(vocab, 0);
  for (int t = 0; t < vocab; ++t)
    if (runs[t] >= o.allowedLength && runs[t] > 0)
      logits[t] = static_cast<float>(-o.multiplier * std::pow(o.base, runs[t] - o.allowedLength));
  return logits;
}

TEST(dryPenalizesWhatWouldRepeatARun) {
  DryOptions options;
  options.multiplier = 0.8;
  Dry dry(options, {1, 2, 3, 4, 9, 1, 2, 3});
  std::vector<float> logits(10, 1);
  dry.adjust(logits.data());
  CHECK_EQ(logits[4], static_cast<float>(1 - 0.8 * 1.75));  // after 1 2 3, one more than is allowed
  CHECK_EQ(logits[9], 1.0f);
  dry.record(4);
  std::fill(logits.begin(), logits.end(), 1.0f);
  dry.adjust(logits.data());
  CHECK_EQ(logits[9], static_cast<float>(1 - 0.8 * 1.75 * 1.75));
  CHECK_EQ(logits[4], 1.0f);
}

TEST(dryRunsDoNotReachAcrossBreakers) {
  DryOptions options;
  options.multiplier = 1;
  options.breakers = {3};
  std::vector<float> logits(10, 0);
  Dry(options, {1, 2, 3, 4, 5, 6, 1, 2, 3, 4}).adjust(logits.data());
  for (float logit : logits) CHECK_EQ(logit, 0.0f);  // one token since the breaker
  Dry(options, {1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5}).adjust(logits.data());
  CHECK_EQ(logits[6], -1.0f);
  Dry(options, {7, 8, 3, 1, 7, 8}).adjust(logits.data());
  CHECK_EQ(logits[3], 0.0f);  // a breaker itself is free
}

TEST(dryAgreesWithItsDefinition) {
  std::mt19937 random(1);
  for (int round = 0; round < 500; ++round) {
    DryOptions options;
    options.multiplier = 0.5;
    options.base = 1.2;
    options.allowedLength = static_cast<int32_t>(random() % 4);
    if (random() % 2) options.breakers = {0, 3};
    std::vector<int32_t> tokens(random() % 60);
    for (int32_t& token : tokens) token = static_cast<int32_t>(random() % 5);
    std::vector<float> logits(5, 0);
    Dry(options, tokens).adjust(logits.data());
    const std::vector<float> want = expected(tokens, options, 5);
    for (int t = 0; t < 5; ++t) CHECK_EQ(logits[t], want[t]);
  }
}

TEST(dryStaysFinite) {
  DryOptions options;
  options.multiplier = 100;
  options.base = 100;
  std::vector<float> logits(3, 0);
  Dry(options, std::vector<int32_t>(2000, 1)).adjust(logits.data());
  CHECK(std::isfinite(logits[1]));
  CHECK(logits[1] < -1e29f);
}

}  // namespace
}  // namespace mistralrs
