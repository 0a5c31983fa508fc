// The sampler's passes over rows of logits, while they are still here: maxima of blocks, and sums of exponentials. Same bits as
// plan/row_passes.cc: 16 sums a block, added up by halves, and each operation rounded by itself.
// 16 threads for a block of 128. Bound: latency; 4 bytes a logit, from L2.
#include <cstdint>

#include "cuda/kernels/launch.cuh"
#include "cuda/kernels/reduce.cuh"
#include "cuda/kernels/table.cuh"

namespace mistralrs::cuda {
namespace {

constexpr int kThreads = 256, kLanes = 16, kGroups = kThreads / kLanes;
constexpr int kGroupBlocks = 4;  // that a group of threads takes, so that few thread blocks look for the row's maximum

struct Row {
  const float* values;
  int width;
  __device__ float at(int i) const { return i < width ? values[i] : -INFINITY; }
};

// fn(block) for the blocks of this thread's group.
template <typename Fn>
__device__ void forBlocks(int blocks, const Fn& fn) {
  const int first = (static_cast<int>(blockIdx.x) * kGroups + threadIdx.x / kLanes) * kGroupBlocks;
  for (int i = first; i < min(blocks, first + kGroupBlocks); ++i) fn(i);
}

__device__ Row rowOf(const CudaRows& in, int width) { return {in.data + blockIdx.y * in.stride, width}; }

__global__ void rowMaxima(CudaRows in, int width, int blocks, float* stats) {
  letNextStart();
  waitForPrevious();
  const Row row = rowOf(in, width);
  const int lane = threadIdx.x % kLanes;
  const unsigned group = 0xffffu << threadIdx.x % 32 / kLanes * kLanes;
  forBlocks(blocks, [&](int block) {
    float most = -INFINITY;
#pragma unroll
    for (int i = 0; i < kCudaRowBlock; i += kLanes) {
      const float v = row.at(block * kCudaRowBlock + i + lane);
      most = v > most ? v : most;
    }
    for (int half = kLanes / 2; half > 0; half /= 2) most = fmaxf(most, __shfl_xor_sync(group, most, half));
    if (lane == 0) stats[blockIdx.y * 2 * blocks + block] = most;
  });
}

// e^x for x <= 0, as expNegative of plan/row_passes.cc.
__device__ float expNegative(float x) {
  x = x < -88.0f ? -88.0f : x;
  const float rounder = 12582912.0f;
  const float shifted = __fadd_rn(__fmul_rn(x, 1.44269504f), rounder), k = __fsub_rn(shifted, rounder);
  const float r = __fadd_rn(__fsub_rn(x, __fmul_rn(k, 0.693359375f)), __fmul_rn(k, 2.12194440e-4f));
  float p = __fadd_rn(__fmul_rn(r, 1.0f / 720), 1.0f / 120);
  p = __fadd_rn(__fmul_rn(p, r), 1.0f / 24);
  p = __fadd_rn(__fmul_rn(p, r), 1.0f / 6);
  p = __fadd_rn(__fmul_rn(p, r), 0.5f);
  p = __fadd_rn(__fmul_rn(p, r), 1.0f);
  p = __fadd_rn(__fmul_rn(p, r), 1.0f);
  return __fmul_rn(p, __uint_as_float((__float_as_uint(shifted) + 127u) << 23));
}

__global__ void rowSums(CudaRows in, int width, int blocks, float* stats) {
  letNextStart();
  waitForPrevious();
  const Row row = rowOf(in, width);
  float* maxima = stats + blockIdx.y * 2 * blocks;
  float largest = -INFINITY;
  for (int i = threadIdx.x; i < blocks; i += kThreads) largest = fmaxf(largest, maxima[i]);
  __shared__ float ofWarps[kThreads / 32];
  largest = warpMax(largest);
  if (threadIdx.x % 32 == 0) ofWarps[threadIdx.x / 32] = largest;
  __syncthreads();
  for (const float other : ofWarps) largest = fmaxf(largest, other);

  const int lane = threadIdx.x % kLanes;
  const unsigned group = 0xffffu << threadIdx.x % 32 / kLanes * kLanes;
  forBlocks(blocks, [&](int block) {
    float sum = 0;
#pragma unroll
    for (int i = 0; i < kCudaRowBlock; i += kLanes)
      sum = __fadd_rn(sum, expNegative(__fsub_rn(row.at(block * kCudaRowBlock + i + lane), largest)));
    for (int half = kLanes / 2; half > 0; half /= 2) sum = __fadd_rn(sum, __shfl_down_sync(group, sum, half, kLanes));
    if (lane == 0) maxima[blocks + block] = sum;
  });
}

}  // namespace

int32_t launchRowStats(CudaRows in, int32_t rows, int32_t width, float* stats, void* stream) {
  const int blocks = (width + kCudaRowBlock - 1) / kCudaRowBlock;
  const dim3 grid(blocksFor(blocks, kGroups * kGroupBlocks), static_cast<unsigned>(rows));
  const int32_t error = launch(rowMaxima, grid, kThreads, 0, stream, in, width, blocks, stats);
  return error ? error : launch(rowSums, grid, kThreads, 0, stream, in, width, blocks, stats);
}

}  // namespace mistralrs::cuda
