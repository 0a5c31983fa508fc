// Ops that compute each row, or each element, by itself.
#pragma once
#include <vector>

#include "cuda/prepared_weights.h"
#include "cuda/step.h"

namespace mistralrs::cuda {

class RowOps {
 public:
  RowOps(const Plan& plan, const PreparedWeights& weights, const Device& device, int maxTokens);

  // Cosines and sines of the batch's positions, once a step for all layers.
  void fillRopes(const Step& step) const;
  // [T][2][dim / 2] of a rope.
  const float* table(int rope) const { return tables_[rope].floats(); }
  void run(const Op& op, const Step& step) const;

 private:
  const float* vector(int weight) const { return weight < 0 ? nullptr : weights_.vectors[weight]; }

  const PreparedWeights& weights_;
  const Device& device_;
  std::vector<DeviceMemory> invFreqs_, tables_;  // by rope: [dim / 2], [T][2][dim / 2]
};

}  // namespace mistralrs::cuda
