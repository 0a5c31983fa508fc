// Weights in device memory: matrices in panels of their stored type, vectors as floats.
#pragma once
#include <cstdint>
#include <vector>

#include "cpu/thread_pool.h"
#include "cuda/device.h"
#include "plan/backend.h"
#include "plan/plan.h"
#include "plan/weights.h"

namespace mistralrs::cuda {

// Rows from firstRow on of one type; a weight has several runs when its parts differ in type.
struct WeightRun {
  CudaWeight weight;
  int32_t firstRow;
};

struct PreparedWeights {
  // All by weight index of the plan.
  std::vector<std::vector<WeightRun>> linear;     // operands of linear ops, after in-situ quantization
  std::vector<std::vector<WeightRun>> embedding;  // of `embed`, as stored; the same memory where nothing was quantized
  std::vector<const float*> vectors;              // norm weights, biases, factors; null for others
  DeviceMemory matrices, floats;
  int64_t bytes() const { return matrices.bytes() + floats.bytes(); }
};

// Copies all weights the ops of the plan use. `progress` is called with bytes of stored weights done.
// Throws Error `invalid_weights` or `out_of_memory`.
PreparedWeights prepareWeights(const Plan& plan, const std::vector<Weight>& weights, const Device& device, ThreadPool& pool,
                               const Progress& progress);

}  // namespace mistralrs::cuda
