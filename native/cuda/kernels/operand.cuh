// A row of an operand of linear ops: its norm, its power of two (prepared.cuh) and its float16 values. A block holds the row in
// registers, up to 32 columns a thread, so that it is read once and all reads are under way together.
#pragma once
#include <cuda_fp16.h>

#include "cuda/kernels.h"
#include "cuda/kernels/reduce.cuh"

namespace mistralrs::cuda {

constexpr int kOperandVectors = 8;

// Columns that a block of so many threads holds.
__host__ __device__ constexpr int operandCols(int threads) { return threads * kOperandVectors * 4; }

// Four columns from `col` on; zeros past `cols`.
__device__ inline float4 loadColumns(const float* row, int col, int cols, bool aligned) {
  if (aligned && col + 4 <= cols) return *reinterpret_cast<const float4*>(row + col);
  float v[4];
#pragma unroll
  for (int e = 0; e < 4; ++e) v[e] = col + e < cols ? row[col + e] : 0;
  return {v[0], v[1], v[2], v[3]};
}

struct OperandRow {
  float4 values[kOperandVectors];  // times the norm's weight; of columns column(i) .. column(i) + 3
  float scale;                     // of a value to its float16: norm and power of two
  float xScale;                    // the way back

  static __device__ int column(int i) { return (static_cast<int>(threadIdx.x) + i * static_cast<int>(blockDim.x)) * 4; }

  __device__ uint2 halves(int i) const {
    const float4 v = values[i];
    const __half2 pairs[2] = {__floats2half2_rn(v.x * scale, v.y * scale), __floats2half2_rn(v.z * scale, v.w * scale)};
    return *reinterpret_cast<const uint2*>(pairs);
  }
};

// Asks for the norm's weights, which no kernel before writes.
__device__ inline void prefetchNorm(const CudaOperand& p) {
  if (!p.normWeight) return;
#pragma unroll
  for (int i = 0; i < kOperandVectors; ++i)
    if (const int col = OperandRow::column(i); col < p.cols) asm volatile("prefetch.global.L2 [%0];" ::"l"(p.normWeight + col));
}

// By all threads of a block; between two rows there must be a barrier.
__device__ inline void loadOperand(const CudaOperand& p, int token, OperandRow& row) {
  const float* x = p.in.data + token * p.in.stride;
  const bool aligned = reinterpret_cast<uintptr_t>(x) % 16 == 0;
#pragma unroll
  for (int i = 0; i < kOperandVectors; ++i) row.values[i] = loadColumns(x, OperandRow::column(i), p.cols, aligned);
  float squares = 0, largest = 0;
#pragma unroll
  for (int i = 0; i < kOperandVectors; ++i) {
    float4& v = row.values[i];
    squares += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
    if (p.normWeight) {
      const float4 w = loadColumns(p.normWeight, OperandRow::column(i), p.cols, true);
      v = {v.x * (w.x + p.offset), v.y * (w.y + p.offset), v.z * (w.z + p.offset), v.w * (w.w + p.offset)};
    }
    largest = fmaxf(largest, fmaxf(fmaxf(fabsf(v.x), fabsf(v.y)), fmaxf(fabsf(v.z), fabsf(v.w))));
  }
  const float2 both = blockSumMax(squares, largest);
  const float inverse = p.eps > 0 ? rsqrtf(both.x / static_cast<float>(p.cols) + p.eps) : 1;
  // Exponent bits of the largest value; 2^10 .. 2^11 is where it goes.
  const int exponent = min(max(static_cast<int>(__float_as_uint(both.y * inverse) >> 23), 27), 227) - 127;
  row.scale = inverse * __uint_as_float(static_cast<uint32_t>(10 - exponent + 127) << 23);
  row.xScale = __uint_as_float(static_cast<uint32_t>(exponent - 10 + 127) << 23);
}

}  // namespace mistralrs::cuda
