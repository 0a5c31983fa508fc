// How the launches of linear ops are cut: arithmetic only, so that it can be tested where there is no device.
#pragma once
#include <algorithm>
#include <cstdint>

#include "cuda/kernels.h"

namespace mistralrs::cuda {

// Blocks of 128 weight rows that linearLarge makes of a weight; of 64 when it is gated.
inline int64_t largeRowBlocks(int64_t rows, bool gated) { return gated ? (rows + 63) / 64 : (rows + 127) / 128; }

// Tokens of a block of linearLarge, or 0 for linearSmall. Up to 64 tokens a weight is read once and memory is the bound, whichever
// way; beyond, tensor cores are. But blocks that leave most multiprocessors idle lose to small ones, which are many; and tiles of
// 128 tokens give more blocks than those of 256, which read less.
inline int largeTile(int tokens, int64_t rowBlocks, int multiprocessors, bool hasLarge) {
  if (!hasLarge || tokens <= kCudaMaxSmallTokens) return 0;
  if (tokens <= 128) return rowBlocks * 2 < multiprocessors ? 0 : 128;
  return (tokens + 255) / 256 * rowBlocks < multiprocessors ? 128 : 256;
}

// Warps of a block of linearSmall, which takes `panels` blocks: enough on the device to keep its memory busy, but none without a
// chunk of columns of its own. `sides` is 2 for a gated linear, whose halves of a block work on two weights.
inline int smallWarps(int64_t panels, int64_t cols, int tokens, int multiprocessors, int sides) {
  constexpr int kWarpsOfMultiprocessor = 24;
  const int64_t chunks = (cols + kCudaChunkCols - 1) / kCudaChunkCols;
  const int64_t wanted = std::max<int64_t>(4, int64_t{multiprocessors} * kWarpsOfMultiprocessor / panels);
  const int64_t most = tokens > 32 ? 8 : 16;  // registers: kernels/linear_small.cuh
  int warps = sides;
  while (warps * 2 <= std::min(most, wanted) && warps / sides * 2 <= chunks) warps *= 2;
  return warps;
}

}  // namespace mistralrs::cuda
