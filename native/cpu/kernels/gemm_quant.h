// Linear layers of quantized weights; the contract is in ../kernels.h, KernelTable.
#pragma once
#include "cpu/kernels.h"

namespace mistralrs::kernels {

void linearQuant(const PackedWeight* w, const QuantRows* x, int32_t panelBegin, int32_t panelEnd, float* out, int64_t outStride);

}  // namespace mistralrs::kernels
