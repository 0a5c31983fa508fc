#include "plan/dry.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

namespace mistralrs {
namespace {

constexpr double kMaxPenalty = 1e30;  // far below any logit, and no infinity

// lengths[i] = how many tokens before position i (exclusive) equal those at the end; for every position but the end itself.
// The Z algorithm, from the end to the start: linear in the number of tokens.
std::vector<int32_t> matchesOfEnd(const std::vector<int32_t>& tokens) {
  const int32_t count = static_cast<int32_t>(tokens.size());
  std::vector<int32_t> z(count, 0);  // over the reversed tokens
  const auto reversed = [&](int32_t i) { return tokens[count - 1 - i]; };
  for (int32_t i = 1, left = 0, right = 0; i < count; ++i) {
    if (i < right) z[i] = std::min(right - i, z[i - left]);
    while (i + z[i] < count && reversed(z[i]) == reversed(i + z[i])) ++z[i];
    if (i + z[i] > right) left = i, right = i + z[i];
  }
  std::vector<int32_t> lengths(count, 0);
  for (int32_t i = 1; i < count; ++i) lengths[count - i] = z[i];
  return lengths;
}

}  // namespace

Dry::Dry(const DryOptions& options, const std::vector<int32_t>& history)
    : multiplier_(options.multiplier), base_(options.base), allowedLength_(options.allowedLength) {
  if (!isOn()) return;
  breakers_.insert(options.breakers.begin(), options.breakers.end());
  tokens_ = history;
}

int32_t Dry::longestRun() const {
  const auto last = std::find_if(tokens_.rbegin(), tokens_.rend(), [&](int32_t token) { return breakers_.count(token) > 0; });
  return static_cast<int32_t>(last - tokens_.rbegin());
}

void Dry::adjust(float* logits) const {
  if (!isOn()) return;
  const int32_t longest = longestRun();
  if (longest < allowedLength_) return;
  const std::vector<int32_t> lengths = matchesOfEnd(tokens_);
  std::unordered_map<int32_t, int32_t> runs;  // longest run that each token goes on with
  for (size_t i = 1; i < tokens_.size(); ++i) {
    const int32_t length = std::min(lengths[i], longest);
    if (length < allowedLength_ || length == 0 || breakers_.count(tokens_[i])) continue;
    int32_t& run = runs[tokens_[i]];
    run = std::max(run, length);
  }
  for (const auto& [token, run] : runs) {
    const double penalty = std::min(multiplier_ * std::pow(base_, run - allowedLength_), kMaxPenalty);
    logits[token] = static_cast<float>(logits[token] - penalty);
  }
}

}  // namespace mistralrs
