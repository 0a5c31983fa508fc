// The objects of runtime/native.ts, from JavaScript to C++. All throw Error `invalid_argument`.
#pragma once
#include <string>
#include <vector>

#include "addon/convert.h"
#include "plan/backend.h"
#include "plan/bind_weights.h"
#include "plan/model_runner.h"
#include "plan/slot.h"

namespace mistralrs {

struct LoadSpec {
  std::string plan;
  std::vector<WeightSpec> weights;
  enum class Backend { kReference, kCpu, kCuda } backend = Backend::kCpu;
  BackendOptions options;
  int maxSlots = 0;
};

LoadSpec readLoadSpec(const Argument& spec);
Batch readStepBatch(const Argument& batch);
SampleBatch readSampleBatch(const Argument& batch);
ScoreBatch readScoreBatch(const Argument& batch);
SlotOptions readSlotOptions(const Argument& options);

}  // namespace mistralrs
