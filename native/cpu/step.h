// One forward pass as the ops see it: the batch, where buffers lie, and how rows are shared out.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "cpu/kernels.h"
#include "plan/backend.h"
#include "plan/plan.h"

namespace mistralrs {

struct Range {
  int64_t begin, end;
};

// Part `index` of `count` near-equal parts of [0, total), cut at multiples of `grain`.
inline Range share(int64_t total, int index, int count, int64_t grain = 1) {
  const int64_t grains = (total + grain - 1) / grain;
  return {std::min(total, grains * index / count * grain), std::min(total, grains * (index + 1) / count * grain)};
}

// A view's rows in memory.
struct Rows {
  float* data;
  int64_t stride;  // floats from row to row
  float* row(int64_t index) const { return data + index * stride; }
};

struct Step {
  const Plan& plan;
  const KernelTable& kernels;
  const int threads;
  float* const arenas[2];  // by RowSymbol

  const Batch* batch = nullptr;
  int numRows[2] = {0, 0};          // T, L
  std::vector<int32_t> sequenceOf = {};  // [T]

  RowSymbol symbol(const View& view) const { return plan.buffers[view.buffer].rows; }
  int rows(const View& view) const { return numRows[static_cast<int>(symbol(view))]; }
  Rows at(const View& view) const {
    const Buffer& buffer = plan.buffers[view.buffer];
    const int index = static_cast<int>(buffer.rows);
    return {arenas[index] + buffer.at * numRows[index] + view.column, buffer.width};
  }
};

}  // namespace mistralrs
