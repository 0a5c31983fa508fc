// One forward pass as the ops see it: where buffers and the batch lie in device memory.
#pragma once
#include <cstdint>
#include <vector>

#include "cuda/device.h"
#include "plan/plan.h"

namespace mistralrs::cuda {

struct Step {
  const Plan& plan;
  const Device& device;
  float* const arenas[2];    // by RowSymbol
  std::vector<float*> elsewhere;  // by buffer: where it lies, unless null, in place of its arena
  int numRows[2] = {0, 0};   // T, L
  // The batch, in device memory.
  const int32_t *tokens = nullptr, *positions = nullptr, *sequenceOf = nullptr, *logitRows = nullptr, *queryStart = nullptr, *kvLength = nullptr;

  int rows(const View& view) const { return numRows[static_cast<int>(plan.buffers[view.buffer].rows)]; }
  CudaRows at(const View& view) const {
    if (!view) return {nullptr, 0};
    const Buffer& buffer = plan.buffers[view.buffer];
    const int symbol = static_cast<int>(buffer.rows);
    float* base = elsewhere[view.buffer] ? elsewhere[view.buffer] : arenas[symbol] + buffer.at * numRows[symbol];
    return {base + view.column, buffer.width};
  }
};

}  // namespace mistralrs::cuda
