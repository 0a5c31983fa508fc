// Where a key or value lies in the pool (CudaKvView).
#pragma once
#include <cuda_fp16.h>

#include "cuda/kernels.h"

namespace mistralrs::cuda {

enum { kKeys = 0, kValues = 1 };

// First byte of the head_dim values of one position and kv head.
__device__ inline uint8_t* cacheRow(const CudaKvView& kv, int sequence, int position, int kvHead, int part) {
  const int page = kv.pages[kv.pageStart[sequence] + position / kv.pageTokens];
  const int64_t row = (int64_t{kvHead} * 2 + part) * kv.pageTokens + position % kv.pageTokens;
  return kv.pool + page * kv.pageBytes + kv.layerOffset + row * kv.headDim * (kv.f16 ? 2 : 4);
}

__device__ inline float cacheValue(const CudaKvView& kv, const uint8_t* row, int i) {
  return kv.f16 ? __half2float(reinterpret_cast<const __half*>(row)[i]) : reinterpret_cast<const float*>(row)[i];
}

}  // namespace mistralrs::cuda
