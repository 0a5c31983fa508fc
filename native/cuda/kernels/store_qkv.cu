// What comes between the projections and attention, in one launch: norm and rope of queries and keys, norm of values, and the cache.
// One warp for a head of a token: the fused form of norm_rope, rope, rms_norm and kv_write, and equal to them but for the order of
// sums. Bound: latency when decoding, memory when prefilling (8 bytes a value, and what the cache takes).
#include <cuda_fp16.h>

#include "cuda/kernels/kv_cache.cuh"
#include "cuda/kernels/launch.cuh"
#include "cuda/kernels/reduce.cuh"
#include "cuda/kernels/table.cuh"

namespace mistralrs::cuda {
namespace {

constexpr int kWarps = 4;

struct Output {
  float* row;
  uint8_t* cache;  // null: none
  bool f16;
  __device__ void put(int i, float value) const {
    row[i] = value;
    if (!cache) return;
    if (f16) reinterpret_cast<__half*>(cache)[i] = __float2half_rn(value);
    else reinterpret_cast<float*>(cache)[i] = value;
  }
};

__global__ void storeQkv(const __grid_constant__ CudaQkv p) {
  letNextStart();
  waitForPrevious();
  const int64_t token = blockIdx.x;
  int head = static_cast<int>(blockIdx.y) * kWarps + threadIdx.x / 32;
  const int lane = threadIdx.x % 32;
  if (head >= p.q.heads + p.k.heads + p.v.heads) return;
  const bool isQuery = head < p.q.heads;
  if (!isQuery) head -= p.q.heads;
  const bool isKey = !isQuery && head < p.k.heads;
  if (!isQuery && !isKey) head -= p.k.heads;
  const CudaHeads& part = isQuery ? p.q : isKey ? p.k : p.v;
  const int headDim = p.kv.headDim, half = isQuery ? p.qDim / 2 : isKey ? p.kDim / 2 : 0;
  const float* x = part.in.data + token * part.in.stride + int64_t{head} * headDim;
  const int sequence = p.sequenceOf[token], position = p.positions[token];
  float inverse = 1;
  if (part.eps > 0) {
    float squares = 0;
#pragma unroll 4
    for (int i = lane; i < headDim; i += 32) squares += x[i] * x[i];
    inverse = rsqrtf(warpSum(squares) / static_cast<float>(headDim) + part.eps);
  }
  // The way to the cache is one read after the other; the reads of the row are under way by now.
  const Output out{part.out.data + token * part.out.stride + int64_t{head} * headDim,
                   isQuery ? nullptr : cacheRow(p.kv, sequence, position, head, isKey ? kKeys : kValues), p.kv.f16 != 0};
  const auto normed = [&](int i) { return x[i] * inverse * (part.eps > 0 && part.normWeight ? part.normWeight[i] + part.offset : 1.0f); };
  const float *cosines = (isQuery ? p.qTable : p.kTable) + token * 2 * half, *sines = cosines + half;
#pragma unroll 4
  for (int i = lane; i < half; i += 32) {
    const float a = normed(i), b = normed(i + half);
    out.put(i, a * cosines[i] - b * sines[i]);
    out.put(i + half, b * cosines[i] + a * sines[i]);
  }
#pragma unroll 4
  for (int i = 2 * half + lane; i < headDim; i += 32) out.put(i, normed(i));
}

}  // namespace

int32_t launchStoreQkv(const CudaQkv* p, void* stream) {
  if (p->k.heads != p->kv.kvHeads || p->v.heads != p->kv.kvHeads || p->qDim > p->kv.headDim || p->kDim > p->kv.headDim) return cudaErrorInvalidValue;
  const dim3 grid(static_cast<unsigned>(p->tokens), blocksFor(p->q.heads + p->k.heads + p->v.heads, kWarps));
  return launch(storeQkv, grid, kWarps * 32, 0, stream, *p);
}

}  // namespace mistralrs::cuda
