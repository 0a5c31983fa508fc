#include "plan/logit_row.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

namespace mistralrs {

void LogitRow::assign(const float* logits, int vocab, const RowStats& known) {
  logits_ = logits;
  vocab_ = vocab;
  wholeBlocks_ = vocab / kBlock;
  const int rest = vocab % kBlock;
  std::fill(std::copy_n(logits + vocab - rest, rest, tail_), tail_ + kBlock, -INFINITY);
  maxima_.resize(wholeBlocks_ + (rest > 0));
  if (known.maxima.empty()) {
    blockMaxima(logits, wholeBlocks_, maxima_.data());
    if (rest) blockMaxima(tail_, 1, &maxima_.back());
  } else {
    std::copy_n(known.maxima.begin(), maxima_.size(), maxima_.begin());
  }
  max_ = *std::max_element(maxima_.begin(), maxima_.end());
  sumScale_ = 0;
  if (known.sums.empty()) return;
  sums_.assign(known.sums.begin(), known.sums.end());
  sum_ = std::accumulate(sums_.begin(), sums_.end(), 0.0);
  sumScale_ = 1;
}

int32_t LogitRow::argmax() const {
  const int i = static_cast<int>(std::find(maxima_.begin(), maxima_.end(), max_) - maxima_.begin());
  const float* logits = block(i);
  return i * kBlock + static_cast<int32_t>(std::find(logits, logits + kBlock, max_) - logits);
}

double LogitRow::sumExp(float scale) {
  if (scale == sumScale_) return sum_;
  sums_.resize(maxima_.size());
  blockSums(logits_, wholeBlocks_, max_, scale, sums_.data());
  if (wholeBlocks_ < numBlocks()) blockSums(tail_, 1, max_, scale, &sums_.back());
  sum_ = std::accumulate(sums_.begin(), sums_.end(), 0.0);
  sumScale_ = scale;
  return sum_;
}

int32_t LogitRow::at(double fraction, float scale) const {
  const double target = fraction * sum_;
  // What rounding leaves over falls to the last token that has a share.
  int32_t last = argmax();
  double before = 0;
  for (int i = 0; i < numBlocks(); ++i) {
    if (before + sums_[i] <= target && i + 1 < numBlocks()) {
      before += sums_[i];
      continue;
    }
    float masses[kBlock];
    blockMasses(block(i), max_, scale, masses);
    double within = before;
    for (int j = 0; j < kBlock; ++j) {
      if (masses[j] <= 0) continue;
      last = i * kBlock + j;
      within += masses[j];
      if (within > target) return last;
    }
    before += sums_[i];
  }
  return last;
}

float LogitRow::reachedByBest(int n) {
  // n blocks have a maximum this large, so n tokens reach it.
  if (n > numBlocks()) return -std::numeric_limits<float>::max();
  ranked_ = maxima_;
  std::nth_element(ranked_.begin(), ranked_.begin() + (n - 1), ranked_.end(), std::greater<>());
  return ranked_[n - 1];
}

void LogitRow::gather(float threshold, std::vector<Candidate>& found) const {
  threshold = std::max(threshold, -std::numeric_limits<float>::max());
  size_t count = 0;
  for (int i = 0; i < numBlocks(); ++i) {
    if (maxima_[i] < threshold) continue;
    if (found.size() < count + kBlock) found.resize(2 * count + kBlock);
    const float* logits = block(i);
    for (int j = 0; j < kBlock; ++j) {  // stored always and kept by the count: no branch to mispredict
      found[count] = {logits[j], i * kBlock + j, 0};
      count += logits[j] >= threshold;
    }
  }
  found.resize(count);
}

void LogitRow::weigh(std::vector<Candidate>& candidates, float scale) const {
  float logits[kBlock], masses[kBlock];
  for (size_t i = 0; i < candidates.size(); i += kBlock) {
    const size_t count = std::min<size_t>(kBlock, candidates.size() - i);
    for (size_t j = 0; j < kBlock; ++j) logits[j] = j < count ? candidates[i + j].logit : max_;
    blockMasses(logits, max_, scale, masses);
    for (size_t j = 0; j < count; ++j) candidates[i + j].mass = masses[j];
  }
}

}  // namespace mistralrs
