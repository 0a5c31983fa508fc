// kv_write and attention.
#pragma once
#include <vector>

#include "cuda/attention_plan.h"
#include "cuda/step.h"
#include "cuda/step_inputs.h"
#include "plan/backend.h"

namespace mistralrs::cuda {

class AttentionOps {
 public:
  // `pool` is the KV pool; pages as CudaKvView of kernels.h describes. Regions of the step's inputs from `firstRegion` on are its own.
  AttentionOps(const Plan& plan, const Device& device, const BackendOptions& options, uint8_t* pool, int firstRegion);
  static int numRegions(const Plan& plan);

  // Cuts the attention of a batch into blocks and sets its regions. True when memory moved: graphs recorded before are void.
  bool plan(const Batch& batch, StepInputs& inputs);
  void write(const Op& op, const Step& step, const StepInputs& inputs) const;
  // The cache of a layer, as kernels see it.
  CudaKvView view(int group, int layer, const StepInputs& inputs) const;
  void attend(const Op& op, int opIndex, const Step& step, const StepInputs& inputs) const;

 private:
  // Ops over a group with as many query heads, all causal or none, have the same blocks.
  struct Work {
    int group, groupHeads;
    bool causal, hasTiles;
    int numWide = 0, numNarrow = 0, numMerges = 0, mergeRows = 0;
  };
  static std::vector<Work> worksOf(const Plan& plan);
  static bool isOf(const Work& work, const Op& op, const Plan& plan);
  int pageStartRegion(int group) const { return firstRegion_ + 2 * group; }
  int workRegion(int work) const { return firstRegion_ + 2 * static_cast<int>(plan_.groups.size()) + 3 * work; }

  const Plan& plan_;
  const Device& device_;
  const int64_t pageBytes_;
  const bool f16_;
  uint8_t* const pool_;
  const int firstRegion_;
  std::vector<Work> works_;
  std::vector<int> workOf_;  // by op
  DeviceMemory partials_;
};

}  // namespace mistralrs::cuda
