// Linear over float32 weights, for checkpoints stored so (few are): plain float32 multiply-adds, no rounding of operands.
// A warp takes one weight row and eight tokens; its lanes stride over the columns. Bound: instruction issue; not tuned.
#include "cuda/kernels/launch.cuh"
#include "cuda/kernels/reduce.cuh"
#include "cuda/kernels/table.cuh"

namespace mistralrs::cuda {
namespace {

constexpr int kTokens = 8, kWarps = 4;

__global__ void linearF32(const __grid_constant__ CudaLinear p, CudaRows in) {
  letNextStart();
  waitForPrevious();
  int row = static_cast<int>(blockIdx.x) * kWarps + threadIdx.x / 32;
  int i = 0;
  while (i < p.numSegments && row >= p.segments[i].weight.rows) row -= p.segments[i++].weight.rows;
  if (i == p.numSegments) return;
  const CudaSegment& segment = p.segments[i];
  const float* weight = reinterpret_cast<const float*>(segment.weight.data) + int64_t{row} * p.cols;
  const int first = static_cast<int>(blockIdx.y) * kTokens, count = min(kTokens, p.tokens - first), lane = threadIdx.x % 32;
  float sums[kTokens] = {};
  for (int c = lane; c < p.cols; c += 32) {
    const float w = weight[c];
#pragma unroll
    for (int t = 0; t < kTokens; ++t)
      if (t < count) sums[t] += w * in.data[(first + t) * in.stride + c];
  }
#pragma unroll
  for (int t = 0; t < kTokens; ++t) {
    float y = warpSum(sums[t]);
    if (lane != 0 || t >= count) continue;
    const int64_t column = segment.outColumn + row;
    if (segment.bias) y += segment.bias[row];
    if (p.residual.data) y += p.residual.data[(first + t) * p.residual.stride + column];
    p.out.data[(first + t) * p.out.stride + column] = y;
  }
}

}  // namespace

int32_t launchLinearF32(const CudaLinear* p, CudaRows in, void* stream) {
  int64_t rows = 0;
  for (int i = 0; i < p->numSegments; ++i) rows += p->segments[i].weight.rows;
  if (p->gated || p->numSegments > kCudaMaxSegments) return cudaErrorInvalidValue;
  return launch(linearF32, dim3(blocksFor(rows, kWarps), blocksFor(p->tokens, kTokens)), kWarps * 32, 0, stream, *p, in);
}

}  // namespace mistralrs::cuda
