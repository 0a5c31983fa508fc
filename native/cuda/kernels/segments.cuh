// Which weight of a launch a panel belongs to: panels of stacked weights are numbered through.
#pragma once
#include "cuda/kernels.h"

namespace mistralrs::cuda {

struct PanelAt {
  int segment, panel;
};

__device__ inline PanelAt findPanel(const CudaLinear& p, int panel) {
  int i = 0;
  for (; i + 1 < p.numSegments; ++i) {
    const int panels = (p.segments[i].weight.rows + 15) / 16;
    if (panel < panels) break;
    panel -= panels;
  }
  return {i, panel};
}

}  // namespace mistralrs::cuda
