// linear and gated_linear: which launches they become.
#pragma once
#include <vector>

#include "cuda/prepared_weights.h"
#include "cuda/step.h"

namespace mistralrs::cuda {

// Memory that ops use one after the other.
struct LinearScratch {
  DeviceMemory prepared, scales;  // of linear ops' operands
  DeviceMemory normed;            // float32 rows of them, beside F32 weights
  DeviceMemory gate, up;          // of gated linears whose weights differ in type
};

class LinearOp {
 public:
  LinearOp(const Plan& plan, const Op& op, const PreparedWeights& weights, const Device& device);

  // `before`: what an op taken along makes of the operand (fused_operand.h), or just where it lies.
  void run(const Step& step, const LinearScratch& scratch, CudaOperand before) const;
  void run(const Step& step, const LinearScratch& scratch) const;
  // Whether it multiplies prepared operands only.
  bool prepares() const { return !hasType(true); }
  // Whether to take along the op that makes its operand: not where each block of many would do that op's work on several rows, or
  // with threads that leave no room for it (linear_small.cuh).
  bool takesAlong(int rows) const;
  // Grows what `scratch` needs for this op, in bytes of each.
  struct Needs {
    int64_t prepared = 0, normed = 0, gate = 0;
  };
  void addNeeds(int rows, Needs& needs) const;

 private:
  struct Launch {
    int32_t type;
    std::vector<CudaSegment> segments;
  };
  static void addSegments(const std::vector<WeightRun>& runs, const float* bias, int64_t column, std::vector<Launch>& launches);
  int warpsOf(const Launch& launch, const CudaLinear& common) const;
  // Whether the launch prepares its operand itself.
  bool hasOwnOperand(const Launch& launch, const CudaLinear& common) const;
  void launch(const Launch& launch, const CudaLinear& common, const CudaOperand& operand, const LinearScratch& scratch) const;
  void runAll(const std::vector<Launch>& launches, CudaLinear common, const CudaOperand& operand, const LinearScratch& scratch) const;
  bool hasType(bool f32) const;

  const Op& op_;
  const Device& device_;
  const float* normWeight_ = nullptr;
  std::vector<Launch> launches_;  // linear; of a gated one the gate, or both when `fused_`
  std::vector<Launch> up_;
  bool fused_ = false;
};

}  // namespace mistralrs::cuda
