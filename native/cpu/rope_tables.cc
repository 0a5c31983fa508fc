#include "cpu/rope_tables.h"

#include <cmath>

namespace mistralrs {

RopeTables::RopeTables(const Plan& plan, int maxTokens) : plan_(plan) {
  for (const RopeTable& table : plan.ropes) values_.emplace_back(static_cast<size_t>(maxTokens) * table.dim);
}

void RopeTables::fill(const Batch& batch, int64_t begin, int64_t end) {
  for (size_t i = 0; i < values_.size(); ++i) {
    const RopeTable& table = plan_.ropes[i];
    const int64_t count = table.dim / 2;
    for (int64_t t = begin; t < end; ++t) {
      float* row = &values_[i][t * 2 * count];
      const float position = static_cast<float>(batch.positions[t]);
      for (int64_t k = 0; k < count; ++k) {
        const float angle = position * table.invFreq[k];
        row[k] = std::cos(angle) * table.factor;
        row[count + k] = std::sin(angle) * table.factor;
      }
    }
  }
}

}  // namespace mistralrs
