// One row of logits cut into blocks whose maxima and sums are known, so that finding the best tokens, a log-probability or
// a random token reads the whole row once or twice and sorts next to nothing.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "plan/row_passes.h"

namespace mistralrs {

struct Candidate {
  float logit;
  int32_t id;
  float mass;  // exp((logit - max) * scale), once `LogitRow::weigh` has run
};

// What a backend has found of a row beside its logits: blockMaxima and blockSums of scale 1, bit for bit, the last block filled up with
// -infinity. Empty: nothing.
struct RowStats {
  std::span<const float> maxima, sums;  // [blocks]
};

class LogitRow {
 public:
  static constexpr int kBlock = kRowBlock;

  // Looks at `logits` [vocab], which must stay, and finds the maxima of its blocks: one pass, or none if they are known. A NaN is no
  // maximum.
  void assign(const float* logits, int vocab, const RowStats& known = {});

  int vocab() const { return vocab_; }
  float max() const { return max_; }
  // The lowest id among the largest logits.
  int32_t argmax() const;
  // Sum over the row of exp((logit - max) * scale), at least 1; NaN when the row holds a NaN or +infinity, or nothing finite.
  // One pass, unless the last one had the same scale.
  double sumExp(float scale);
  // The token in whose share of `sumExp` (laid out by id) the given fraction of it falls; the last sumExp must have this scale.
  int32_t at(double fraction, float scale) const;
  // A logit that at least the n best tokens reach.
  float reachedByBest(int n);
  // All finite logits >= threshold, by id; `mass` is not set.
  void gather(float threshold, std::vector<Candidate>& found) const;
  // Sets `mass`.
  void weigh(std::vector<Candidate>& candidates, float scale) const;

 private:
  const float* block(int index) const { return index < wholeBlocks_ ? logits_ + int64_t{index} * kBlock : tail_; }
  int numBlocks() const { return static_cast<int>(maxima_.size()); }

  const float* logits_ = nullptr;
  int vocab_ = 0, wholeBlocks_ = 0;
  float max_ = 0;
  float tail_[kBlock];  // the last, incomplete block, filled up with -infinity
  std::vector<float> maxima_, ranked_;
  std::vector<double> sums_;
  double sum_ = 0;
  float sumScale_ = 0;  // 0: no sums yet
};

}  // namespace mistralrs
