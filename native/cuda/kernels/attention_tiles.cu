// Attention over a paged f16 cache with tensor cores, for prefill and decode alike.
// A warp takes 16 (query, head) pairs that share a kv head and walks over the keys of its item, 32 or 64 at a time: S = Q K^T,
// online softmax in float32, O += P V (FlashAttention-2: Dao, arXiv:2307.08691). A block has four warps over the same keys (prefill),
// or one (decode), when keys are split over blocks instead and `mergePartials` adds the parts up in order. Heads wider than 256 take
// 256 columns of V at a time, each with its own S. Bound: tensor cores when prefilling; memory when decoding, 4 bytes per
// key and column of a kv head, read once for all its query heads. H100, 2026-11-26: 4096 tokens of 32 heads of 128 in 790 us (174 TFLOPS).
#include "cuda/kernels/kv_cache.cuh"
#include "cuda/kernels/launch.cuh"
#include "cuda/kernels/mma.cuh"
#include "cuda/kernels/reduce.cuh"
#include "cuda/kernels/table.cuh"

namespace mistralrs::cuda {
namespace {

constexpr float kLog2E = 1.4426950408889634f;

// kDim: the head, rounded up; missing columns are zero in shared memory.
template <int kDim, int kWarps>
struct Shape {
  static constexpr int kRows = kCudaAttentionRows * kWarps, kSlice = kDim < 256 ? kDim : 256;
  static constexpr bool kKeepQueries = kDim <= 128;  // as operands, in registers
  static constexpr int kKeys = kDim <= 128 && kWarps > 1 ? 64 : 32;
  // 16 more bytes a row: eight rows then lie in different banks.
  static constexpr int kStride = kDim + 8, kValueStride = kSlice + 8;
  static constexpr int kStageHalves = kKeys * (kStride + kValueStride);
  static constexpr int kSharedBytes = (kRows * kStride + 2 * kStageHalves) * 2;
};

// Where the head of a (query, head) pair begins in rows of `stride` floats.
__device__ int64_t pairOffset(const CudaAttention& p, int64_t stride, int firstToken, int kvHead, int pair) {
  const int head = kvHead * p.groupHeads + pair % p.groupHeads;
  return (firstToken + pair / p.groupHeads) * stride + int64_t{head} * p.kv.headDim;
}

template <int kDim, int kWarps>
__global__ void __launch_bounds__(kWarps * 32) attentionTiles(const __grid_constant__ CudaAttention p) {
  using S = Shape<kDim, kWarps>;
  extern __shared__ __align__(16) __half shared[];
  __half* queries = shared;                              // [rows][dim]
  __half* stages = shared + S::kRows * S::kStride;       // [2]: keys [keys][dim], values [keys][slice]
  letNextStart();
  waitForPrevious();
  const CudaAttentionItem item = p.items[blockIdx.x];
  const int kvHead = blockIdx.y, sliceBegin = static_cast<int>(blockIdx.z) * S::kSlice;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, headDim = p.kv.headDim;

  // Each warp copies its part of the rows; a lane finds the place of one of them.
  const auto fetch = [&](int keyBegin, int stage) {
    constexpr int kOwnRows = S::kKeys / kWarps, kKeyParts = kDim / 8, kValueParts = S::kSlice / 8;
    __half* keys = stages + stage * S::kStageHalves;
    __half* values = keys + S::kKeys * S::kStride;
    const int64_t toValues = int64_t{p.kv.pageTokens} * headDim * 2 + sliceBegin * 2;
    const int ownKey = keyBegin + warp * kOwnRows + lane;
    int64_t place = -1;
    if (lane < kOwnRows && ownKey < item.keyEnd) place = cacheRow(p.kv, item.sequence, ownKey, kvHead, kKeys) - p.kv.pool;
    const auto copyParts = [&](__half* to, int64_t from, int parts, int cols) {
      for (int part = lane; part < parts; part += 32) {
        const bool present = from >= 0 && part * 8 < cols;
        copyAsync16(to + part * 8, p.kv.pool + (present ? from + part * 16 : 0), present);
      }
    };
#pragma unroll 4
    for (int row = 0; row < kOwnRows; ++row) {
      const int64_t from = __shfl_sync(~0u, place, row);
      const int own = warp * kOwnRows + row;
      copyParts(keys + own * S::kStride, from, kKeyParts, headDim);
      copyParts(values + own * S::kValueStride, from < 0 ? from : from + toValues, kValueParts, headDim - sliceBegin);
    }
    commitCopies();
  };

  if (item.keyBegin < item.keyEnd) fetch(item.keyBegin, 0);

  // A warp loads whole rows: few of them are there when decoding, and all their loads are under way together.
#pragma unroll 4
  for (int row = warp; row < S::kRows; row += kWarps) {
    const int pair = item.row + row;
    __half* to = queries + row * S::kStride;
    if (pair >= item.numRows) {
      for (int part = lane; part < kDim / 8; part += 32) reinterpret_cast<uint4*>(to)[part] = uint4{0, 0, 0, 0};
      continue;
    }
    const float* from = p.q.data + pairOffset(p, p.q.stride, item.firstToken, kvHead, pair);
#pragma unroll
    for (int col = lane; col < kDim; col += 32)
      to[col] = __float2half_rn(col < headDim ? fminf(fmaxf(from[col], -65504), 65504) : 0);
  }

  // Of rows g and g + 8 of the warp's tile.
  int position[2];
  float largest[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0};
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int pair = item.row + warp * 16 + lane / 4 + 8 * i;
    position[i] = pair < item.numRows ? item.firstPosition + pair / p.groupHeads : -1;
  }
  float out[S::kSlice / 8][4] = {};
  const __half* ownQueries = queries + (warp * 16 + lane % 16) * S::kStride + lane / 16 * 8;

  // Scores are kept as they come, and scaled (unless a softcap did) on their way to powers of two.
  const float toLog2 = (p.softcap > 0 ? 1 : p.scale) * kLog2E;

  uint32_t kept[S::kKeepQueries ? kDim / 16 : 1][4];
  if constexpr (S::kKeepQueries) {
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kDim; k += 16) loadMatrices(kept[k / 16], ownQueries + k);
  }
  for (int begin = item.keyBegin, stage = 0; begin < item.keyEnd; begin += S::kKeys, stage ^= 1) {
    if (begin + S::kKeys < item.keyEnd) {
      fetch(begin + S::kKeys, stage ^ 1);
      waitCopies<1>();
    } else {
      waitCopies<0>();
    }
    __syncthreads();
    const __half* keys = stages + stage * S::kStageHalves;
    const __half* values = keys + S::kKeys * S::kStride;

    float scores[S::kKeys / 8][4] = {};
#pragma unroll
    for (int k = 0; k < kDim; k += 16) {
      uint32_t loaded[4];
      if (!S::kKeepQueries) loadMatrices(loaded, ownQueries + k);
      const uint32_t(&a)[4] = S::kKeepQueries ? kept[S::kKeepQueries ? k / 16 : 0] : loaded;
#pragma unroll
      for (int n = 0; n < S::kKeys; n += 16) {
        uint32_t b[4];
        loadMatrices(b, keys + (n + lane / 16 * 8 + lane % 8) * S::kStride + k + lane / 8 % 2 * 8);
        mmaF16(scores[n / 8], a, b[0], b[1]);
        mmaF16(scores[n / 8 + 1], a, b[2], b[3]);
      }
    }
    if (p.softcap > 0)
#pragma unroll
      for (int n = 0; n < S::kKeys / 8; ++n)
#pragma unroll
        for (float& score : scores[n]) score = p.softcap * tanhf(score * p.scale / p.softcap);

#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int low = p.window > 0 ? position[i] - p.window : -1, high = min(position[i] + p.ahead, item.keyEnd - 1);
      if (begin <= low || begin + S::kKeys - 1 > high)
#pragma unroll
        for (int n = 0; n < S::kKeys / 8; ++n)
#pragma unroll
          for (int e = 0; e < 2; ++e)
            if (const int key = begin + n * 8 + lane % 4 * 2 + e; key <= low || key > high) scores[n][2 * i + e] = -INFINITY;
      float top = largest[i];
#pragma unroll
      for (int n = 0; n < S::kKeys / 8; ++n) top = fmaxf(top, fmaxf(scores[n][2 * i], scores[n][2 * i + 1]));
      top = fmaxf(top, __shfl_xor_sync(~0u, top, 1));
      top = fmaxf(top, __shfl_xor_sync(~0u, top, 2));
      const float base = top == -INFINITY ? 0 : top * toLog2;  // nothing visible yet
      const float keep = exp2f(largest[i] * toLog2 - base);
      largest[i] = top;
      sum[i] *= keep;
#pragma unroll
      for (int n = 0; n < S::kKeys / 8; ++n)
#pragma unroll
        for (int e = 0; e < 2; ++e) sum[i] += scores[n][2 * i + e] = exp2f(scores[n][2 * i + e] * toLog2 - base);
#pragma unroll
      for (int n = 0; n < S::kSlice / 8; ++n)
#pragma unroll
        for (int e = 0; e < 2; ++e) out[n][2 * i + e] *= keep;
    }

#pragma unroll
    for (int k = 0; k < S::kKeys; k += 16) {
      const uint32_t a[4] = {packHalves(scores[k / 8][0], scores[k / 8][1]), packHalves(scores[k / 8][2], scores[k / 8][3]),
                             packHalves(scores[k / 8 + 1][0], scores[k / 8 + 1][1]), packHalves(scores[k / 8 + 1][2], scores[k / 8 + 1][3])};
#pragma unroll
      for (int n = 0; n < S::kSlice; n += 16) {
        uint32_t b[4];
        loadMatricesTransposed(b, values + (k + lane % 16) * S::kValueStride + n + lane / 16 * 8);
        mmaF16(out[n / 8], a, b[0], b[1]);
        mmaF16(out[n / 8 + 1], a, b[2], b[3]);
      }
    }
    __syncthreads();  // the stage is free
  }

#pragma unroll
  for (int i = 0; i < 2; ++i) {
    sum[i] += __shfl_xor_sync(~0u, sum[i], 1);
    sum[i] += __shfl_xor_sync(~0u, sum[i], 2);
    const int row = lane / 4 + 8 * i, pair = item.row + warp * 16 + row;
    if (pair >= item.numRows) continue;
    float* to;
    float factor = 1;
    if (item.partial < 0) {
      to = p.out.data + pairOffset(p, p.out.stride, item.firstToken, kvHead, pair);
      factor = 1 / sum[i];
    } else {
      float* partial = p.partials + (int64_t{item.partial} * p.kv.kvHeads + kvHead) * attentionPartialFloats(headDim);
      to = partial + row * headDim;
      if (lane % 4 == 0 && sliceBegin == 0) {
        float* totals = partial + 16 * headDim + row * 2;
        totals[0] = largest[i] * toLog2;
        totals[1] = sum[i];
      }
    }
#pragma unroll
    for (int n = 0; n < S::kSlice / 8; ++n)
#pragma unroll
      for (int e = 0; e < 2; ++e)
        if (const int col = sliceBegin + n * 8 + lane % 4 * 2 + e; col < headDim) to[col] = out[n][2 * i + e] * factor;
  }
}

// One block for a run of partials, a kv head and one of 16 rows: first each partial's share, then a column for a thread.
__global__ void mergePartials(const __grid_constant__ CudaAttention p) {
  __shared__ float shares[kCudaMaxPartials];
  letNextStart();
  waitForPrevious();
  const CudaAttentionMerge merge = p.merges[blockIdx.x];
  const int kvHead = blockIdx.y, row = blockIdx.z, pair = merge.row + row, headDim = p.kv.headDim, count = merge.numPartials;
  if (pair >= merge.numRows) return;
  const int64_t floats = attentionPartialFloats(headDim), stride = floats * p.kv.kvHeads;
  const float* first = p.partials + (int64_t{merge.firstPartial} * p.kv.kvHeads + kvHead) * floats;
  const float* totals = first + 16 * headDim + row * 2;
  float top = -INFINITY, sum = 0;
  for (int i = threadIdx.x % 32; i < count; i += 32) top = fmaxf(top, totals[i * stride]);
  top = warpMax(top);
  for (int i = threadIdx.x; i < count; i += blockDim.x) shares[i] = exp2f(totals[i * stride] - top);
  __syncthreads();
  for (int i = threadIdx.x % 32; i < count; i += 32) sum += shares[i] * totals[i * stride + 1];
  sum = warpSum(sum);
  float* out = p.out.data + pairOffset(p, p.out.stride, merge.firstToken, kvHead, pair);
  for (int col = threadIdx.x; col < headDim; col += blockDim.x) {
    float value = 0;
#pragma unroll 8
    for (int i = 0; i < count; ++i) value += shares[i] * first[i * stride + row * headDim + col];
    out[col] = value / sum;
  }
}

template <int kDim, int kWarps>
int32_t launchShape(const CudaAttention& p, void* stream) {
  using S = Shape<kDim, kWarps>;
  const dim3 grid(static_cast<unsigned>(p.numItems), static_cast<unsigned>(p.kv.kvHeads), kDim / S::kSlice);
  return launch(attentionTiles<kDim, kWarps>, grid, kWarps * 32, S::kSharedBytes, stream, p);
}

template <int kWarps>
int32_t launchDim(const CudaAttention& p, void* stream) {
  if (p.kv.headDim <= 64) return launchShape<64, kWarps>(p, stream);
  if (p.kv.headDim <= 128) return launchShape<128, kWarps>(p, stream);
  if (p.kv.headDim <= 256) return launchShape<256, kWarps>(p, stream);
  return launchShape<512, kWarps>(p, stream);
}

}  // namespace

int32_t hasAttentionTiles(int32_t f16, int32_t headDim) { return f16 && headDim % 8 == 0 && headDim <= 512; }

__host__ __device__ int64_t attentionPartialFloats(int32_t headDim) { return int64_t{kCudaAttentionRows} * (headDim + 2); }

int32_t launchAttentionTiles(const CudaAttention* p, void* stream) {
  if (!hasAttentionTiles(p->kv.f16, p->kv.headDim) || (p->warps != 1 && p->warps != 4)) return cudaErrorInvalidValue;
  const int32_t error = p->warps == 1 ? launchDim<1>(*p, stream) : launchDim<4>(*p, stream);
  if (error != cudaSuccess || p->numMerges == 0) return error;
  const dim3 grid(static_cast<unsigned>(p->numMerges), static_cast<unsigned>(p->kv.kvHeads), static_cast<unsigned>(p->mergeRows));
  return launch(mergePartials, grid, 128, 0, stream, *p);
}

}  // namespace mistralrs::cuda
