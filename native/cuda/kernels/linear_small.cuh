// Linear for few tokens: decoding, and the tail of everything else. out = (x . W^T * xScale + bias) + residual, or act(gate) * up.
// A block takes one panel (16 weight rows) after the other, and up to 64 tokens; its warps share the columns and add up in shared
// memory, in the order of warps. A lane streams its weight blocks from memory into registers, one chunk ahead, and unpacks them there
// (panel.cuh). Activations come prepared, from L1; or, of very few tokens, the block prepares them itself while its first weights are
// under way. mma.sync.m16n8k16, float16 in, float32 sums. Weights are read once: rows * cols * bits / 8 bytes. Bound: memory.
// H100, 2026-11-26, one token, BF16: 151936 x 1024 in 106 us (2.9 TB/s), gate and up of 14336 x 4096 in 86 us (2.7); in Q4_K 38 us
// (1.7 TB/s). Small ones wait for their row and their sums: 1024 x 2048 takes 8 us.
#pragma once
#include <algorithm>

#include "cuda/kernels/activation.cuh"
#include "cuda/kernels/launch.cuh"
#include "cuda/kernels/mma.cuh"
#include "cuda/kernels/operand.cuh"
#include "cuda/kernels/panel.cuh"
#include "cuda/kernels/segments.cuh"
#include "cuda/kernels/table.cuh"

namespace mistralrs::cuda {
namespace {

// kTiles: token tiles of 8. kOwn: with its own operand, of one tile.
template <int kType, int kTiles, bool kOwn>
__global__ void __launch_bounds__(kTiles == 8 ? 256 : 512) linearSmall(const __grid_constant__ CudaLinear p, int numPanels) {
  constexpr int kTokens = 8 * kTiles, kTile = 16 * kTokens;
  extern __shared__ __align__(16) float sums[];  // [warps][16 rows][8 * kTiles tokens], then the own operand
  __shared__ float ownScale[8];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32;
  // Of a gated linear the first half of the warps takes gate, the second up, at the same rows.
  const int sharing = p.gated ? warps / 2 : warps, part = warp / sharing, share = warp % sharing;
  const int chunks = chunksOf(p.cols), begin = chunks * share / sharing, end = chunks * (share + 1) / sharing;
  const int firstTile = static_cast<int>(blockIdx.y) * kTiles, tokenTiles = (p.tokens + 7) / 8;
  const auto find = [&](int panel) { return p.gated ? PanelAt{part, panel} : findPanel(p, panel); };
  const auto start = [&](const PanelAt& at) { return p.segments[at.segment].weight.data + at.panel * panelBytes(kType, p.cols); };
  constexpr int kBytes = chunkShape(kType).bytes;

  LaneBlocks<kType> blocks, next;
  int index = static_cast<int>(blockIdx.x);
  PanelAt at = find(index);
  next.load(start(at) + begin * kBytes, lane);  // weights do not wait for earlier kernels
  const NormWeights<kOperandVectors, true> normWeights(p.operand);
  letNextStart();
  waitForPrevious();

  uint2* own = reinterpret_cast<uint2*>(sums + warps * kTile);
  if constexpr (kOwn) prepareOwn(p.operand, normWeights, blockIdx.x == 0, own, ownScale);
  const auto* x = static_cast<const uint4*>(p.x) + int64_t{firstTile} * 32 + lane;
  const auto* ownLane = reinterpret_cast<const uint4*>(own) + lane;
  bool present[kTiles];
#pragma unroll
  for (int j = 0; j < kTiles; ++j) present[j] = (firstTile + j) * 8 + lane / 4 < p.tokens;

  for (;;) {
    const int nextIndex = index + static_cast<int>(gridDim.x);
    const PanelAt nextAt = nextIndex < numPanels ? find(nextIndex) : at;
    float acc[kTiles][4] = {};
    for (int chunk = begin; chunk < end; ++chunk) {
      blocks = next;
      if (chunk + 1 < end) next.load(start(at) + (chunk + 1) * kBytes, lane);
      else if (nextIndex < numPanels) next.load(start(nextAt) + begin * kBytes, lane);
      blocks.prepare();
#pragma unroll
      for (int q = 0; q < 4; ++q) {
        uint4 b[kTiles];
#pragma unroll
        for (int j = 0; j < kTiles; ++j) {
          b[j] = uint4{0, 0, 0, 0};
          if (present[j]) b[j] = kOwn ? ownLane[(chunk * 4 + q) * p.tokens * 4] : x[((int64_t{chunk} * 4 + q) * tokenTiles + j) * 32];
        }
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          uint32_t a[4];
          blocks.fragment(2 * q + i, a);
#pragma unroll
          for (int j = 0; j < kTiles; ++j) mmaF16(acc[j], a, i ? b[j].z : b[j].x, i ? b[j].w : b[j].y);
        }
      }
    }

    float* mine = sums + warp * kTile;
#pragma unroll
    for (int j = 0; j < kTiles; ++j)
#pragma unroll
      for (int i = 0; i < 4; ++i) mine[(lane / 4 + i / 2 * 8) + (j * 8 + lane % 4 * 2 + i % 2) * 16] = acc[j][i];
    __syncthreads();
    const CudaSegment& segment = p.segments[at.segment];  // gated: of this thread's half; rows and columns are the same
    const auto total = [&](int from, int i) {
      float sum = 0;
      for (int w = from; w < from + sharing; ++w) sum += sums[w * kTile + i];
      return sum;
    };
    for (int i = threadIdx.x; i < kTile; i += blockDim.x) {
      const int row = at.panel * 16 + i % 16, token = firstTile * 8 + i / 16;
      if (row >= segment.weight.rows || token >= p.tokens) continue;
      const float scale = kOwn ? ownScale[token] : p.xScale[token];
      const int64_t column = segment.outColumn + row;
      float y = total(0, i) * scale;
      if (p.gated) {
        y = activated(p.act, y, total(sharing, i) * scale);
      } else {
        if (segment.bias) y += segment.bias[row];
        if (p.residual.data) y += p.residual.data[token * p.residual.stride + column];
      }
      p.out.data[token * p.out.stride + column] = y;
    }
    if (nextIndex >= numPanels) return;
    __syncthreads();  // the sums are read
    index = nextIndex;
    at = nextAt;
  }
}

// As many blocks as run at once, so that each has about as many panels.
template <int kType, int kTiles, bool kOwn>
int32_t launchShape(const CudaLinear& p, int panels, void* stream) {
  const int threads = p.warps * 32, shared = p.warps * 16 * 8 * kTiles * 4 + (kOwn ? ownBytes(p.tokens, p.cols) : 0);
  const auto kernel = linearSmall<kType, kTiles, kOwn>;
  int device = 0, multiprocessors = 0, resident = 0;
  cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared);
  if (error == cudaSuccess) error = cudaGetDevice(&device);
  if (error == cudaSuccess) error = cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  if (error == cudaSuccess) error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, kernel, threads, static_cast<size_t>(shared));
  if (error != cudaSuccess) return error;
  const dim3 grid(static_cast<unsigned>(std::min(panels, multiprocessors * resident)), blocksFor((p.tokens + 7) / 8, kTiles));
  return launch(kernel, grid, static_cast<unsigned>(threads), static_cast<size_t>(shared), stream, p, panels);
}

template <int kType>
int32_t launchTiles(const CudaLinear& p, int panels, void* stream) {
  if (p.ownOperand) return launchShape<kType, 1, true>(p, panels, stream);
  const int tiles = (p.tokens + 7) / 8;
  if (tiles <= 1) return launchShape<kType, 1, false>(p, panels, stream);
  if (tiles <= 2) return launchShape<kType, 2, false>(p, panels, stream);
  if (tiles <= 4) return launchShape<kType, 4, false>(p, panels, stream);
  return launchShape<kType, 8, false>(p, panels, stream);
}

}  // namespace
}  // namespace mistralrs::cuda
