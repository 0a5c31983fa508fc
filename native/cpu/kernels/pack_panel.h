// Packing of weights into panels; the contract is in ../kernels.h, KernelTable.
#pragma once
#include "cpu/kernels.h"

namespace mistralrs::kernels {

int32_t usesQuantRows(int32_t type);
int64_t panelBytes(int32_t type, int32_t cols);  // a multiple of 64; -1 for an unknown type
void packPanel(int32_t type, int32_t cols, const void* const rows[16], uint8_t* panel);

}  // namespace mistralrs::kernels
