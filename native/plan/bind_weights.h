// From WeightSpecs (runtime/native.ts) to the weights of a plan: files mapped, slices and shapes checked.
#pragma once
#include <string>
#include <vector>

#include "plan/plan.h"
#include "plan/weights.h"

namespace mistralrs {

// WeightPart of runtime/native.ts.
struct WeightPartSpec {
  std::string path;
  int64_t offset = 0, bytes = 0;
  DType type = DType::kF32;
  int64_t rows = 0, cols = 0;
  int unpermuteHeads = 0;
  float addScalar = 0;
};

// WeightSpec of runtime/native.ts.
struct WeightSpec {
  std::string name;
  int64_t rows = 0, cols = 0;
  std::vector<WeightPartSpec> parts;
  bool quantize = false;
  DType quantizeType = DType::kQ8_0;
};

// One Weight for each declaration of the plan, in order; specs the plan does not name are an error, so are missing ones.
// Throws Error `invalid_weights` or `io`; the message names the weight, and the file where it matters.
std::vector<Weight> bindWeights(const Plan& plan, const std::vector<WeightSpec>& specs);

// Bytes of all parts as stored: the total of load progress.
int64_t storedBytes(const std::vector<Weight>& weights);

}  // namespace mistralrs
