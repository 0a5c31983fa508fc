// Weights as the CPU kernels read them: operands of linear ops in panels, vectors as floats; embeddings stay in their files.
#pragma once
#include <cstdint>
#include <vector>

#include "cpu/kernels.h"
#include "cpu/memory.h"
#include "cpu/thread_pool.h"
#include "plan/backend.h"
#include "plan/plan.h"
#include "plan/weights.h"

namespace mistralrs {

// Rows [rowBegin, rowBegin + packed.rows) of a weight: a run of one type. A weight has several when its parts differ in type.
struct PanelRun {
  PackedWeight packed;
  int64_t rowBegin;
  int panels() const { return (packed.rows + kPanelRows - 1) / kPanelRows; }
};

struct PreparedWeights {
  // All by weight index of the plan.
  std::vector<Weight> sources;
  std::vector<std::vector<PanelRun>> panels;  // empty unless an operand of a linear op
  std::vector<std::vector<float>> vectors;    // empty unless a norm weight, bias or factor
  Memory packed;
  int64_t bytes = 0;  // of panels and vectors
};

// Packs on all threads of the pool. `progress` is called from the calling thread, with bytes of stored weights read.
// Throws Error `invalid_weights`, `io` or `out_of_memory`.
PreparedWeights prepareWeights(const Plan& plan, std::vector<Weight> weights, const KernelTable& kernels, ThreadPool& pool,
                               const Progress& progress);

}  // namespace mistralrs
