// Quantization of activation rows; the contract is in ../kernels.h, KernelTable.
#pragma once
#include "cpu/kernels.h"

namespace mistralrs::kernels {

int64_t quantRowsBytes(int32_t rows, int32_t cols);
void quantizeRow(const float* x, const QuantRows* to, int32_t row);

}  // namespace mistralrs::kernels
