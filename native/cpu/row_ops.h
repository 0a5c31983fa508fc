// Ops that compute each row, or each element, by itself.
#pragma once
#include "cpu/prepared_weights.h"
#include "cpu/rope_tables.h"
#include "cpu/step.h"

namespace mistralrs {

class RowOps {
 public:
  RowOps(const Plan& plan, const PreparedWeights& weights, const RopeTables& ropes, int threads);

  // True when the op is so little work that thread 0 does it alone, which saves barriers between such ops.
  static bool isSerial(const Op& op, const Step& step);
  // This thread's share of the op; all of it when serial (then only thread 0 may call).
  void run(const Op& op, const Step& step, int thread);

 private:
  void runRow(const Op& op, const Step& step, int64_t row, float* scratch) const;
  void runElements(const Op& op, const Step& step, int64_t row, Range columns) const;
  const float* vector(int weight) const { return weight < 0 ? nullptr : weights_.vectors[weight].data(); }

  const PreparedWeights& weights_;
  const RopeTables& ropes_;
  std::vector<std::vector<float>> scratch_;  // by thread, one row
};

}  // namespace mistralrs
