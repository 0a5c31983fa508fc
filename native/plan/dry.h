// "Don't repeat yourself": penalizes the tokens that would go on with a run that has been written before.
#pragma once
#include <cstdint>
#include <unordered_set>
#include <vector>

namespace mistralrs {

struct DryOptions {
  double multiplier = 0;  // 0: off
  double base = 1.75;
  int32_t allowedLength = 2;
  std::vector<int32_t> breakers;  // tokens that runs do not reach across
};

// The run that the text ends with, of length n, came before: whatever followed it there loses multiplier * base ** (n -
// allowedLength) if n >= allowedLength. Runs hold no breaker, and breakers are not penalized.
// Source: https://github.com/oobabooga/text-generation-webui/pull/5677 and the linear search of
// https://github.com/LostRuins/koboldcpp/pull/982.
class Dry {
 public:
  Dry(const DryOptions& options, const std::vector<int32_t>& history);

  bool isOn() const { return multiplier_ > 0; }
  void record(int32_t token) {
    if (isOn()) tokens_.push_back(token);
  }
  // Over logits [vocab].
  void adjust(float* logits) const;

 private:
  // Most tokens a run at the end can have: those after the last breaker.
  int32_t longestRun() const;

  double multiplier_, base_;
  int32_t allowedLength_;
  std::unordered_set<int32_t> breakers_;
  std::vector<int32_t> tokens_;  // prompt and drawn
};

}  // namespace mistralrs
