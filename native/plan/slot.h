// A sampling slot: how to draw, and what has been drawn.
#pragma once
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "plan/dry.h"

namespace mistralrs {

// SlotOptions of runtime/native.ts.
struct SlotOptions {
  double temperature = 1;
  int32_t topK = 0;
  double topP = 1, minP = 0;
  double frequencyPenalty = 0, presencePenalty = 0, repetitionPenalty = 1;
  std::vector<int32_t> history;
  std::vector<int32_t> biasIds;
  std::vector<float> biasValues;
  uint64_t seed = 0;
  int32_t choice = 0;
  int32_t topLogprobs = 0;
  DryOptions dry;
};

// Throws Error `invalid_argument`; the message names the option, its value and the allowed range.
void validateSlotOptions(const SlotOptions& options, int64_t vocab);

class Slot {
 public:
  explicit Slot(SlotOptions options);  // valid ones

  const SlotOptions& options() const { return options_; }
  int32_t lastToken() const { return lastToken_; }  // -1: none yet
  void record(int32_t token);

  // Whether `adjust` would change anything.
  bool adjusts() const { return dry_.isOn() || !seen_.empty() || !options_.biasIds.empty(); }
  // DRY, penalties, then bias, over logits [vocab].
  void adjust(float* logits) const;

 private:
  struct Seen {
    int32_t id;
    int32_t sampled;  // times drawn in this slot
  };
  Seen& seen(int32_t token);
  bool penalizesSamples() const;

  SlotOptions options_;
  Dry dry_;
  int32_t lastToken_ = -1;
  std::vector<Seen> seen_;  // distinct tokens of the history and the samples; only those that a penalty needs
  std::unordered_map<int32_t, int32_t> indexOf_;
};

}  // namespace mistralrs
