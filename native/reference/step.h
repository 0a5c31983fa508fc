// One forward pass as the reference ops see it. Every op computes in double what it adds up and rounds to float32 once for each
// value that the unfused plan would store; a fused op therefore gives the same bits as the ops it replaces.
#pragma once
#include <vector>

#include "plan/backend.h"
#include "plan/plan.h"
#include "reference/linear_rows.h"

namespace mistralrs::reference {

// A view's rows in memory.
struct Rows {
  float* data;
  int64_t stride;  // floats from row to row
  float* row(int64_t index) const { return data + index * stride; }
};

struct Step {
  const Plan& plan;
  const std::vector<Weight>& weights;
  const LinearRows& linearRows;
  const int threads;
  std::vector<float> arenas[2] = {};  // by RowSymbol
  const Batch* batch = nullptr;
  int64_t numRows[2] = {0, 0};  // T, L of the last forward

  int64_t rows(const View& view) const { return numRows[static_cast<int>(plan.buffers[view.buffer].rows)]; }
  Rows at(const View& view) {
    const Buffer& buffer = plan.buffers[view.buffer];
    const int symbol = static_cast<int>(buffer.rows);
    return {arenas[symbol].data() + buffer.at * numRows[symbol] + view.column, buffer.width};
  }
  // All values of a weight of one row: norm, bias, scale.
  std::vector<float> vector(int weight) const {
    std::vector<float> values(static_cast<size_t>(weights[weight].cols));
    weights[weight].readRow(0, values.data());
    return values;
  }
};

}  // namespace mistralrs::reference
