#include "reference/linear_rows.h"

#include <algorithm>
#include <chrono>

#include "reference/parallel.h"

namespace mistralrs::reference {
namespace {

std::vector<bool> usedByLinearOps(const Plan& plan) {
  std::vector<bool> used(plan.weights.size());
  for (const Op& op : plan.ops)
    if (op.kind == OpKind::kLinear || op.kind == OpKind::kGatedLinear)
      for (const int weight : op.weights) used[weight] = true;
  return used;
}

int64_t storedBytes(const Weight& weight) {
  int64_t bytes = 0;
  for (const WeightPart& part : weight.parts) bytes += part.rows * rowBytes(part.type, part.cols);
  return bytes;
}

}  // namespace

LinearRows::LinearRows(const Plan& plan, const std::vector<Weight>& weights, int threads, const Progress& progress,
                       int64_t keepBytes)
    : weights_(weights), kept_(weights.size()) {
  const std::vector<bool> used = usedByLinearOps(plan);
  int64_t needed = 0;
  for (size_t i = 0; i < weights.size(); ++i)
    if (used[i]) needed += weights[i].rows * weights[i].cols * 4;

  int64_t done = 0;
  auto reported = std::chrono::steady_clock::now();
  for (size_t i = 0; i < weights.size(); ++i) {
    const Weight& weight = weights[i];
    if (used[i] && needed <= keepBytes) {
      kept_[i].resize(static_cast<size_t>(weight.rows * weight.cols));
      parallelFor(threads, weight.rows, [&](int64_t row) { weight.readLinearRow(row, kept_[i].data() + row * weight.cols); });
    }
    const int64_t stored = storedBytes(weight);
    if (used[i]) bytes_ += kept_[i].empty() ? stored : static_cast<int64_t>(kept_[i].size()) * 4;
    done += stored;
    const auto now = std::chrono::steady_clock::now();
    if (progress && (i + 1 == weights.size() || now - reported >= std::chrono::milliseconds(100))) {
      reported = now;
      progress(done);
    }
  }
}

const float* LinearRows::read(int weight, int64_t row, std::vector<float>& scratch) const {
  const int64_t cols = weights_[weight].cols;
  if (!kept_[weight].empty()) return kept_[weight].data() + row * cols;
  scratch.resize(static_cast<size_t>(cols));
  weights_[weight].readLinearRow(row, scratch.data());
  return scratch.data();
}

}  // namespace mistralrs::reference
