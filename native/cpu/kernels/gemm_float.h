// Linear layers of float weights; the contract is in ../kernels.h, KernelTable.
#pragma once
#include "cpu/kernels.h"

namespace mistralrs::kernels {

void linearFloat(const PackedWeight* w, const FloatRows* x, int32_t numRows, int32_t panelBegin, int32_t panelEnd, float* out,
                 int64_t outStride);

}  // namespace mistralrs::kernels
