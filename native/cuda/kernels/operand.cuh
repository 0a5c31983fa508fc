// A row of an operand of linear ops: what the op before makes of it, its norm, its power of two (prepared.cuh) and its float16 values.
// A block holds the row in registers, so that it is read once and all reads are under way together.
#pragma once
#include <cuda_fp16.h>

#include "cuda/kernels.h"
#include "cuda/kernels/activation.cuh"
#include "cuda/kernels/reduce.cuh"

namespace mistralrs::cuda {

// Vectors of four columns that a thread of most kernels holds.
constexpr int kOperandVectors = 8;

// Columns that a block of so many threads holds.
__host__ __device__ constexpr int operandCols(int threads, int vectors = kOperandVectors) { return threads * vectors * 4; }

// Where a block keeps its own operand in shared memory, in units of 8 bytes: prepared.cuh's small layout without rows that are not there.
__device__ inline int ownOffset(int tokens, int token, int col) {
  const int chunk = col / 128, t = col % 128 / 32, s = col % 32 / 4;
  return (((chunk * 4 + s / 2) * tokens + token) * 4 + t) * 2 + s % 2;
}
__host__ __device__ constexpr int ownBytes(int tokens, int cols) { return (cols + 127) / 128 * 256 * tokens; }

// Four columns from `col` on; zeros past `cols`. kAligned: `row` is a multiple of 16 bytes, `cols` of 4.
template <bool kAligned>
__device__ float4 loadColumns(const float* row, int col, int cols) {
  if constexpr (kAligned) {
    return col < cols ? *reinterpret_cast<const float4*>(row + col) : float4{0, 0, 0, 0};
  } else {
    float v[4];
#pragma unroll
    for (int e = 0; e < 4; ++e) v[e] = col + e < cols ? row[col + e] : 0;
    return {v[0], v[1], v[2], v[3]};
  }
}

// Whether every row of an operand is aligned.
inline bool isAligned(const CudaOperand& p) {
  const auto fits = [](const CudaRows& rows) { return reinterpret_cast<uintptr_t>(rows.data) % 16 == 0 && rows.stride % 4 == 0; };
  return p.cols % 4 == 0 && fits(p.in) && fits(p.up) && fits(p.residual) && fits(p.sum);
}

// A row over the threads of a block.
template <int kVectors, bool kAligned>
struct Columns {
  float4 v[kVectors];  // of columns column(i) .. column(i) + 3; zeros past the end

  static __device__ int column(int i) { return (static_cast<int>(threadIdx.x) + i * static_cast<int>(blockDim.x)) * 4; }

  // fn(i) for the vectors in which some thread has columns: the others are not worth their instructions.
  template <typename Fn>
  static __device__ void forVectors(int cols, const Fn& fn) {
#pragma unroll
    for (int i = 0; i < kVectors; ++i)
      if (i * static_cast<int>(blockDim.x) * 4 < cols) fn(i);
  }

  __device__ void load(const float* row, int cols) {
#pragma unroll
    for (float4& vector : v) vector = {0, 0, 0, 0};
    forVectors(cols, [&](int i) { v[i] = loadColumns<kAligned>(row, column(i), cols); });
  }
  __device__ void load(const CudaRows& rows, int token, int cols) { load(rows.data + token * rows.stride, cols); }

  __device__ void store(const CudaRows& rows, int token, int cols) const {
    float* to = rows.data + token * rows.stride;
    forVectors(cols, [&](int i) {
      const float values[4] = {v[i].x, v[i].y, v[i].z, v[i].w};
#pragma unroll
      for (int e = 0; e < 4; ++e)
        if (column(i) + e < cols) to[column(i) + e] = values[e];
    });
  }

  // Each value becomes fn(value, the other at its column).
  template <typename Fn>
  __device__ void combine(const Columns& other, int cols, const Fn& fn) {
    forVectors(cols, [&](int i) { combineVector(i, other.v[i], fn); });
  }
  // With a row in memory, of which a few vectors are in registers at once.
  template <typename Fn>
  __device__ void combine(const float* row, int cols, const Fn& fn) {
    forVectors(cols, [&](int i) {
      combineVector(i, loadColumns<kAligned>(row, column(i), cols), fn);
      if (i % 4 == 3) asm volatile("" ::: "memory");
    });
  }

  // Of this thread's columns.
  __device__ float squares(int cols) const {
    float sum = 0;
    forVectors(cols, [&](int i) { sum += v[i].x * v[i].x + v[i].y * v[i].y + v[i].z * v[i].z + v[i].w * v[i].w; });
    return sum;
  }
  __device__ float largest(int cols) const {
    float most = 0;
    forVectors(cols, [&](int i) { most = fmaxf(most, fmaxf(fmaxf(fabsf(v[i].x), fabsf(v[i].y)), fmaxf(fabsf(v[i].z), fabsf(v[i].w)))); });
    return most;
  }

 private:
  template <typename Fn>
  __device__ void combineVector(int i, const float4& other, const Fn& fn) {
    v[i] = {fn(v[i].x, other.x), fn(v[i].y, other.y), fn(v[i].z, other.z), fn(v[i].w, other.w)};
  }
};

// The weights of an operand's norms, which no kernel before writes: asked for before the wait for it. In registers where there is room.
template <int kVectors, bool kAligned>
class NormWeights {
 public:
  static constexpr bool kHeld = kVectors <= 4;

  __device__ explicit NormWeights(const CudaOperand& p) {
    if constexpr (kHeld) {
      if (p.normWeight) outer_.load(p.normWeight, p.cols);
      if (p.innerWeight) inner_.load(p.innerWeight, p.cols);
    } else {
      prefetch(p.normWeight, p.cols);
      prefetch(p.innerWeight, p.cols);
    }
  }
  template <typename Fn>
  __device__ void outer(const CudaOperand& p, Columns<kVectors, kAligned>& x, const Fn& fn) const {
    if constexpr (kHeld) x.combine(outer_, p.cols, fn);
    else x.combine(p.normWeight, p.cols, fn);
  }
  template <typename Fn>
  __device__ void inner(const CudaOperand& p, Columns<kVectors, kAligned>& x, const Fn& fn) const {
    if constexpr (kHeld) x.combine(inner_, p.cols, fn);
    else x.combine(p.innerWeight, p.cols, fn);
  }

 private:
  using Held = Columns<kHeld ? kVectors : 1, kAligned>;
  static __device__ void prefetch(const float* row, int cols) {
    if (!row) return;
#pragma unroll
    for (int i = 0; i < kVectors; ++i)
      if (const int col = Held::column(i); col < cols) asm volatile("prefetch.global.L2 [%0];" ::"l"(row + col));
  }
  Held outer_, inner_;
};

template <int kVectors, bool kAligned>
struct OperandRow {
  Columns<kVectors, kAligned> columns;  // times the norm's weight
  float scale;                // of a value to its float16: norm and power of two
  float xScale;               // the way back

  __device__ uint2 halves(int i) const {
    const float4 v = columns.v[i];
    const __half2 pairs[2] = {__floats2half2_rn(v.x * scale, v.y * scale), __floats2half2_rn(v.z * scale, v.w * scale)};
    return *reinterpret_cast<const uint2*>(pairs);
  }
};

__device__ inline float inverseOf(float squares, int cols, float eps) { return rsqrtf(squares / static_cast<float>(cols) + eps); }

// x becomes (rms_norm(x) + residual) * factor, which one block stores.
template <int kVectors, bool kAligned>
__device__ void addNormed(const CudaOperand& p, const NormWeights<kVectors, kAligned>& weights, int token, bool stores, Columns<kVectors, kAligned>& x) {
  constexpr bool kHeld = NormWeights<kVectors, kAligned>::kHeld;
  const float* residual = p.residual.data + token * p.residual.stride;
  Columns<kHeld ? kVectors : 1, kAligned> held;
  if constexpr (kHeld) held.load(residual, p.cols);
  const float inverse = inverseOf(blockSumMax(x.squares(p.cols), 0).x, p.cols, p.innerEps), factor = p.factor ? *p.factor : 1;
  if (p.innerWeight) weights.inner(p, x, [=, offset = p.innerOffset](float a, float w) { return a * inverse * (w + offset); });
  else x.combine(x, p.cols, [=](float a, float) { return a * inverse; });
  const auto add = [=](float a, float b) { return (a + b) * factor; };
  if constexpr (kHeld) x.combine(held, p.cols, add);
  else x.combine(residual, p.cols, add);
  if (stores) x.store(p.sum, token, p.cols);
  __syncthreads();  // before the next sum over the block
}

// By all threads of a block; between two rows there must be a barrier. The block that `stores` writes p.sum.
template <int kVectors, bool kAligned>
__device__ void loadOperand(const CudaOperand& p, const NormWeights<kVectors, kAligned>& weights, int token, bool stores, OperandRow<kVectors, kAligned>& row) {
  Columns<kVectors, kAligned>& x = row.columns;
  x.load(p.in, token, p.cols);
  if (p.up.data) {
    const auto activate = [act = p.act](float gate, float up) { return activated(act, gate, up); };
    x.combine(p.up.data + token * p.up.stride, p.cols, activate);
  }
  if (p.sum.data) addNormed(p, weights, token, stores, x);
  const float squares = p.eps > 0 ? x.squares(p.cols) : 0;
  if (p.normWeight) weights.outer(p, x, [offset = p.offset](float a, float w) { return a * (w + offset); });
  const float2 both = blockSumMax(squares, x.largest(p.cols));
  const float inverse = p.eps > 0 ? inverseOf(both.x, p.cols, p.eps) : 1;
  // Exponent bits of the largest value; 2^10 .. 2^11 is where it goes.
  const int exponent = min(max(static_cast<int>(__float_as_uint(both.y * inverse) >> 23), 27), 227) - 127;
  row.scale = inverse * __uint_as_float(static_cast<uint32_t>(10 - exponent + 127) << 23);
  row.xScale = __uint_as_float(static_cast<uint32_t>(exponent - 10 + 127) << 23);
}

// All tokens of an operand into shared memory (ownOffset), with their scales.
template <int kVectors, bool kAligned>
__device__ void prepareOwn(const CudaOperand& p, const NormWeights<kVectors, kAligned>& weights, bool stores, uint2* own, float* ownScale) {
  const int padded = (p.cols + 127) / 128 * 128;
  for (int token = 0; token < p.tokens; ++token) {
    if (token > 0) __syncthreads();
    OperandRow<kVectors, kAligned> row;
    loadOperand(p, weights, token, stores, row);
    if (threadIdx.x == 0) ownScale[token] = row.xScale;
    Columns<kVectors, kAligned>::forVectors(padded, [&](int i) {
      if (const int col = Columns<kVectors, kAligned>::column(i); col < padded) own[ownOffset(p.tokens, token, col)] = row.halves(i);
    });
  }
  __syncthreads();
}

}  // namespace mistralrs::cuda
