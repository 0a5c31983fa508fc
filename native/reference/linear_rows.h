// Rows of the weights of linear ops as float32: kept when they fit, else dequantized each time they are read.
#pragma once
#include <cstdint>
#include <vector>

#include "plan/backend.h"

namespace mistralrs::reference {

constexpr int64_t kKeepBytes = int64_t{600} << 20;  // a model of 150M parameters: the size the tests run often

class LinearRows {
 public:
  LinearRows(const Plan& plan, const std::vector<Weight>& weights, int threads, const Progress& progress,
             int64_t keepBytes = kKeepBytes);

  // Row `row` of weight `weight`, [cols]: kept, or written to `scratch`.
  const float* read(int weight, int64_t row, std::vector<float>& scratch) const;

  // Bytes of these weights: as float32 when kept, else as stored.
  int64_t bytes() const { return bytes_; }

 private:
  const std::vector<Weight>& weights_;
  std::vector<std::vector<float>> kept_;  // by weight; empty when not kept
  int64_t bytes_ = 0;
};

}  // namespace mistralrs::reference
