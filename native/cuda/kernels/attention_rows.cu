// kv_write, and attention in float32 for any shape: caches in f32, odd heads.
// One block for each token and query head; its four warps take every fourth key each, lanes stride over the head, and the four results
// merge at the end (online softmax: Milakov and Gimelshein, arXiv:1805.02867). Not tuned.
#include "cuda/kernels/kv_cache.cuh"
#include "cuda/kernels/launch.cuh"
#include "cuda/kernels/reduce.cuh"
#include "cuda/kernels/table.cuh"

namespace mistralrs::cuda {
namespace {

__global__ void kvWrite(CudaKvView kv, CudaRows k, CudaRows v, const int* positions, const int* sequenceOf) {
  letNextStart();
  waitForPrevious();
  const int row = blockIdx.x, width = kv.kvHeads * kv.headDim;
  for (int i = threadIdx.x; i < width; i += blockDim.x) {
    const int head = i / kv.headDim, at = i % kv.headDim;
    for (int part = 0; part < 2; ++part) {
      const CudaRows& from = part == kKeys ? k : v;
      const float value = from.data[row * from.stride + i];
      uint8_t* to = cacheRow(kv, sequenceOf[row], positions[row], head, part);
      if (kv.f16) reinterpret_cast<__half*>(to)[at] = __float2half_rn(value);
      else reinterpret_cast<float*>(to)[at] = value;
    }
  }
}

constexpr int kWarps = 4;

// kPerLane: columns of a lane; 32 * kPerLane covers the head.
template <int kPerLane>
__global__ void attentionRows(const __grid_constant__ CudaAttention p) {
  letNextStart();
  waitForPrevious();
  __shared__ float mixed[kWarps][32 * kPerLane];
  __shared__ float2 totals[kWarps];  // largest score, sum
  const int token = blockIdx.x, head = blockIdx.y, warp = threadIdx.x / 32, lane = threadIdx.x % 32, dim = p.kv.headDim;
  const int kvHead = head / p.groupHeads, sequence = p.sequenceOf[token], position = p.positions[token];
  const float* q = p.q.data + token * p.q.stride + int64_t{head} * dim;
  float query[kPerLane], acc[kPerLane] = {}, largest = -INFINITY, sum = 0;
#pragma unroll
  for (int i = 0; i < kPerLane; ++i) query[i] = lane + 32 * i < dim ? q[lane + 32 * i] : 0;
  const int first = p.window > 0 ? max(0, position - p.window + 1) : 0, last = min(position + p.ahead, p.kvLength[sequence] - 1);
  for (int key = first + warp; key <= last; key += kWarps) {
    const uint8_t* k = cacheRow(p.kv, sequence, key, kvHead, kKeys);
    float score = 0;
#pragma unroll
    for (int i = 0; i < kPerLane; ++i)
      if (lane + 32 * i < dim) score += query[i] * cacheValue(p.kv, k, lane + 32 * i);
    score = warpSum(score) * p.scale;
    if (p.softcap > 0) score = p.softcap * tanhf(score / p.softcap);
    const float newLargest = fmaxf(largest, score), keep = expf(largest - newLargest), weight = expf(score - newLargest);
    const uint8_t* v = cacheRow(p.kv, sequence, key, kvHead, kValues);
    sum = sum * keep + weight;
#pragma unroll
    for (int i = 0; i < kPerLane; ++i)
      if (lane + 32 * i < dim) acc[i] = acc[i] * keep + weight * cacheValue(p.kv, v, lane + 32 * i);
    largest = newLargest;
  }
#pragma unroll
  for (int i = 0; i < kPerLane; ++i) mixed[warp][lane + 32 * i] = acc[i];
  if (lane == 0) totals[warp] = {largest, sum};
  __syncthreads();
  float top = totals[0].x, all = 0, share[kWarps];
  for (int w = 1; w < kWarps; ++w) top = fmaxf(top, totals[w].x);
  for (int w = 0; w < kWarps; ++w) all += (share[w] = expf(totals[w].x - top)) * totals[w].y;
  for (int i = threadIdx.x; i < dim; i += blockDim.x) {
    float value = 0;
    for (int w = 0; w < kWarps; ++w) value += share[w] * mixed[w][i];
    p.out.data[token * p.out.stride + int64_t{head} * dim + i] = value / all;
  }
}

}  // namespace

int32_t launchKvWrite(const CudaKvView* kv, CudaRows k, CudaRows v, const int32_t* positions, const int32_t* sequenceOf, int32_t rows,
                      void* stream) {
  return launch(kvWrite, static_cast<unsigned>(rows), 256, 0, stream, *kv, k, v, positions, sequenceOf);
}

int32_t launchAttentionRows(const CudaAttention* p, void* stream) {
  const dim3 grid(static_cast<unsigned>(p->tokens), static_cast<unsigned>(p->kv.kvHeads * p->groupHeads));
  const int dim = p->kv.headDim;
  if (dim > 1024) return cudaErrorInvalidValue;
  const auto kernel = dim <= 64    ? attentionRows<2>
                      : dim <= 128 ? attentionRows<4>
                      : dim <= 256 ? attentionRows<8>
                      : dim <= 512 ? attentionRows<16>
                                   : attentionRows<32>;
  return launch(kernel, grid, kWarps * 32, 0, stream, *p);
}

}  // namespace mistralrs::cuda
