// Ops that the linear after them takes along as it prepares its operand: rms_norm with a residual, whose result many ops read, and
// act_mul, whose result only the linear reads.
//
// A block of the linear then reads what the op reads while others write their results already. So what the op reads must lie apart from
// what they write: its input in a region of its own in place of the arena, and the sum of norm and residual by turns in its buffer
// and in a second place, beside the residual.
#pragma once
#include <functional>
#include <optional>
#include <vector>

#include "cuda/prepared_weights.h"
#include "cuda/step.h"

namespace mistralrs::cuda {

struct OperandRun {
  int producer, linear;  // ops
  int region;            // of the producer's input
};

struct OperandRuns {
  std::vector<std::optional<OperandRun>> at;  // by producer
  int numRegions = 0;
  int64_t regionWidth = 0;  // floats of a row
  int sumBuffer = -1;       // the one buffer of sums, if there is one
};

// `prepares`: whether the linear op of this index prepares its operand (F32 weights read it as it is).
OperandRuns findOperandRuns(const Plan& plan, const std::function<bool(int op)>& prepares);

// What the linear multiplies, but for its own norm and the place of the sum.
CudaOperand operandOf(const Op& producer, const Step& step, const PreparedWeights& weights);

}  // namespace mistralrs::cuda
