// Sums and maxima over a block.
#pragma once
#include <cuda_runtime.h>

namespace mistralrs::cuda {

__device__ inline float warpSum(float x) {
  for (int offset = 16; offset > 0; offset /= 2) x += __shfl_xor_sync(~0u, x, offset);
  return x;
}
__device__ inline float warpMax(float x) {
  for (int offset = 16; offset > 0; offset /= 2) x = fmaxf(x, __shfl_xor_sync(~0u, x, offset));
  return x;
}

// Sum of `sum` and maximum of `largest` over a block of whole warps, on every thread.
__device__ inline float2 blockSumMax(float sum, float largest) {
  __shared__ float2 partial[32];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32;
  sum = warpSum(sum);
  largest = warpMax(largest);
  if (warps == 1) return {sum, largest};
  if (lane == 0) partial[warp] = {sum, largest};
  __syncthreads();
  const float2 mine = lane < warps ? partial[lane] : float2{0, 0};
  return {warpSum(mine.x), warpMax(mine.y)};
}

}  // namespace mistralrs::cuda
