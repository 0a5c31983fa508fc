// Draws and scores tokens from rows of logits, as runtime/native.ts says (SlotOptions, SampleResult).
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "plan/logit_row.h"
#include "plan/slot.h"

namespace mistralrs {

// Where the best tokens of the raw distribution go: ids [n] and log-probabilities [n], best first; -1 where there are no more.
struct Alternatives {
  std::span<int32_t> ids;
  std::span<float> logprobs;
};

// Scratch for one row at a time. What it returns depends on its arguments alone.
class Sampler {
 public:
  // The token drawn for `position` under the slot's options; -1 when the row holds a NaN or +infinity, or nothing is allowed.
  // `mask` [ceil(vocab / 32)] has a bit for each allowed token, or is null. `logprob` is NaN for -1. The slot does not change.
  // `known` is of the logits as they are.
  int32_t draw(const float* logits, int vocab, const Slot& slot, const uint32_t* mask, int32_t position, float& logprob,
               Alternatives best, const RowStats& known = {});
  // Log-probability of a token; NaN when the row holds a NaN or +infinity.
  float score(const float* logits, int vocab, int32_t token, Alternatives best, const RowStats& known = {});

 private:
  bool readRaw(const float* logits, int vocab, Alternatives best, const RowStats& known);
  float logprob(float logit) const;
  void reportBest(Alternatives best);
  // The row after mask, penalties and bias.
  LogitRow& adjusted(const float* logits, int vocab, const Slot& slot, const uint32_t* mask);
  int32_t pick(LogitRow& row, const SlotOptions& options, double fraction);
  void keepBest(const LogitRow& row, float threshold, const SlotOptions& options, float scale, double mass);

  LogitRow raw_, changed_;
  double logSum_ = 0;  // of exp(logit - max) over the raw row
  std::vector<float> logits_;
  std::vector<Candidate> kept_;
  double keptMass_ = 0;
};

}  // namespace mistralrs
