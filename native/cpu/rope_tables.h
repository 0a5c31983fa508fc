// Cosines and sines of the batch's positions, once a step for all layers.
#pragma once
#include <vector>

#include "cpu/step.h"

namespace mistralrs {

class RopeTables {
 public:
  RopeTables(const Plan& plan, int maxTokens);
  // Rows [begin, end) of the batch, for every table. The angle is position * inv_freq in float32.
  void fill(const Batch& batch, int64_t begin, int64_t end);
  // [dim / 2] each, times the table's factor.
  const float* cosines(int table, int64_t token) const { return &values_[table][token * 2 * half(table)]; }
  const float* sines(int table, int64_t token) const { return cosines(table, token) + half(table); }
  int dim(int table) const { return plan_.ropes[table].dim; }
  bool empty() const { return values_.empty(); }

 private:
  int64_t half(int table) const { return plan_.ropes[table].dim / 2; }
  const Plan& plan_;
  std::vector<std::vector<float>> values_;  // by table, [T][2][dim / 2]
};

}  // namespace mistralrs
