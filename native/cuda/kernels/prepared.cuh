// Where the matrix kernels find activations: float16, in the order in which tensor cores read them. Columns are numbered as in
// panel.cuh: chunk = col / 128, lane of the quad t = col % 128 / 32, step s = col % 32 / 4, and four columns of a step together.
//
//   small   [chunk][s / 2][token / 8][token % 8][t][s % 2] of 8 bytes: the B operands of two steps for a lane are 16 bytes
//   large   [token / tile][chunk][s][e / 2][tile / 8][token % 8] of 16 bytes, in which t has 4: a stage of linear_large.cuh, made of
//           the 8 x 16-byte core matrices that wgmma reads from shared memory; e is the column within the four
//
// x[t][c] = value * xScale[t], a power of two that brings the row's largest magnitude to 2^10 .. 2^11: no overflow, and float16's
// 11 bits for all but values 2^24 times smaller than it.
#pragma once
#include <stdint.h>

namespace mistralrs::cuda {

// In units of 8 bytes.
__host__ __device__ constexpr int64_t smallOffset(int64_t tokenTiles, int token, int col) {
  const int chunk = col / 128, t = col % 128 / 32, s = col % 32 / 4;
  return (((int64_t{chunk} * 4 + s / 2) * tokenTiles + token / 8) * 32 + token % 8 * 4 + t) * 2 + s % 2;
}

// In units of 4 bytes; columns col and col + 1 for even `col`.
__host__ __device__ constexpr int64_t largeOffset(int tile, int64_t chunks, int token, int col) {
  const int chunk = col / 128, t = col % 128 / 32, s = col % 32 / 4, e = col % 4;
  const int64_t stage = token / tile * chunks + chunk;
  const int inTile = token % tile;
  return (((stage * 8 + s) * 2 + e / 2) * (tile / 8) + inTile / 8) * 32 + inTile % 8 * 4 + t;
}

}  // namespace mistralrs::cuda
