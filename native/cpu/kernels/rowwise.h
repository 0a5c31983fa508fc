// Row-wise kernels; the contract is in ../kernels.h, KernelTable.
#pragma once
#include <stdint.h>

namespace mistralrs::kernels {

void rmsNorm(const float* x, const float* w, int64_t n, float eps, float offset, float* out);
void rope(const float* x, const float* cosines, const float* sines, int64_t dim, float* out);
void addScaled(const float* a, const float* b, float scale, int64_t n, float* out);
void scale(const float* x, float scale, int64_t n, float* out);
void actMul(const float* gate, const float* up, int32_t act, int64_t n, float* out);
void softcap(const float* x, float cap, int64_t n, float* out);

}  // namespace mistralrs::kernels
