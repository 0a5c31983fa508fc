// Linear for many tokens, on Hopper: wgmma with the weights in registers. out as in linear_small.cuh.
// A block of two warpgroups takes 128 weight rows (a panel for each warp; of a gated linear 64 rows of gate and of up) and a tile of 128
// or 256 tokens. Each lane unpacks its own weight blocks, straight from memory into A operands, while the tensor cores multiply
// those before; so every type costs one unpacking for all tokens of the tile, and no weight passes through shared memory. Activations
// come by bulk copies, a chunk of 128 columns a stage, in the order prepare_rows.cu wrote them. Bound: tensor cores, then L2
// (per chunk and block 64 KB of activations and up to 32 KB of weights for 2 * 128 * 256 * 128 operations).
// H100, 2026-11-26, 4096 tokens: gate and up of 14336 x 4096 in Q4_K 2.48 ms (388 TFLOPS; cuBLAS in BF16: 800), 6144 x 1024 in BF16 205.
#pragma once
#include "cuda/kernels/activation.cuh"
#include "cuda/kernels/hopper.cuh"
#include "cuda/kernels/launch.cuh"
#include "cuda/kernels/panel.cuh"
#include "cuda/kernels/prepared.cuh"
#include "cuda/kernels/table.cuh"

namespace mistralrs::cuda {
namespace {

constexpr int kThreads = 256, kPanels = 8;

template <int kTokens>
struct Tile {
  static constexpr int kStageBytes = kTokens * 128 * 2;
  static constexpr int kStages = kTokens == 256 ? 3 : 4;
  static constexpr int kSharedBytes = kStageBytes * kStages;
};

// Steps [4 * half, 4 * half + 4) of a chunk.
template <int kTokens>
__device__ void multiplyHalf(float (&acc)[kTokens / 2], const uint32_t (&a)[4][4], const uint8_t* stage, int half) {
  constexpr int kColumnStride = kTokens / 8 * 128, kStepBytes = 2 * kColumnStride;
  fenceProducts();
#pragma unroll
  for (int i = 0; i < 4; ++i) multiplyF16(acc, a[i], matrixDescriptor(stage + (half * 4 + i) * kStepBytes, kColumnStride, 128));
  commitProducts();
}

// `zero` is 0, which the compiler cannot know. Operands of F16 are loaded words as they are, and products that read registers a load
// had filled came out wrong (measured); an instruction in between, as every other type has, makes them right.
template <int kType>
__device__ void unpackHalf(const LaneBlocks<kType>& blocks, int half, uint32_t zero, uint32_t (&a)[4][4]) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    blocks.fragment(half * 4 + i, a[i]);
    if constexpr (kType == kF16)
#pragma unroll
      for (uint32_t& word : a[i]) word |= zero;
  }
}

template <int kType, int kTokens>
__global__ void __launch_bounds__(kThreads, 1) linearLarge(const __grid_constant__ CudaLinear p) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  using Shape = Tile<kTokens>;
  constexpr int kStages = Shape::kStages, kPieces = LaneBlocks<kType>::kPieces;
  constexpr bool kFloat = LaneBlocks<kType>::kFloat;
  extern __shared__ __align__(1024) uint8_t stages[];
  __shared__ uint64_t full[kStages], empty[kStages];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, group = warp / 4;

  // The warp's panel; past the end of a weight the last one, whose result is not stored.
  int segmentIndex = 0, firstPanel = static_cast<int>(blockIdx.x) * kPanels;
  if (p.gated) {
    segmentIndex = group;
    firstPanel = static_cast<int>(blockIdx.x) * 4;
  } else {
    for (; segmentIndex + 1 < p.numSegments; ++segmentIndex) {
      const int panels = (p.segments[segmentIndex].weight.rows + 127) / 128 * kPanels;
      if (firstPanel < panels) break;
      firstPanel -= panels;
    }
  }
  const CudaSegment& segment = p.segments[segmentIndex];
  constexpr int kBytes = chunkShape(kType).bytes;
  const int panel = firstPanel + (p.gated ? warp % 4 : warp), lastPanel = (segment.weight.rows + 15) / 16 - 1;
  const uint8_t* weights = segment.weight.data + min(panel, lastPanel) * panelBytes(kType, p.cols);
  const int chunks = chunksOf(p.cols);

  LaneBlocks<kType> blocks, next;
  blocks.load(weights, lane);
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; ++i) {
      initBarrier(&full[i], 1);
      initBarrier(&empty[i], kThreads / 32);
    }
    publishBarriers();
  }
  __syncthreads();
  letNextStart();
  waitForPrevious();
  const auto* x = static_cast<const uint8_t*>(p.x) + int64_t{blockIdx.y} * chunks * Shape::kStageBytes;
  const auto fetch = [&](int chunk) {
    const int i = chunk % kStages;
    copyBulk(stages + i * Shape::kStageBytes, x + int64_t{chunk} * Shape::kStageBytes, Shape::kStageBytes, &full[i]);
  };
  if (threadIdx.x == 0)
    for (int chunk = 0; chunk < min(kStages, chunks); ++chunk) fetch(chunk);

  float acc[kTokens / 2];
#pragma unroll
  for (float& value : acc) value = 0;
  uint32_t a[2][4][4];
  const uint32_t zero = static_cast<uint32_t>(p.tokens) >> 31;
  blocks.prepare();
  unpackHalf(blocks, 0, zero, a[0]);
  for (int chunk = 0; chunk < chunks; ++chunk) {
    const int i = chunk % kStages;
    const uint8_t* stage = stages + i * Shape::kStageBytes;
    const bool more = chunk + 1 < chunks;
    waitBarrier(&full[i], chunk / kStages & 1);

    multiplyHalf<kTokens>(acc, a[0], stage, 0);
    if (more) {
      if constexpr (kFloat) blocks.loadCodes(weights + (chunk + 1) * kBytes, lane, 0, kPieces / 2);
      else next.load(weights + (chunk + 1) * kBytes, lane);
    }
    waitProducts<1>();  // the chunk before is done
    if (chunk > 0) {
      if (lane == 0) arrive(&empty[(chunk - 1) % kStages]);
      if (const int later = chunk - 1 + kStages; threadIdx.x == 0 && later < chunks) {
        waitBarrier(&empty[(chunk - 1) % kStages], (chunk - 1) / kStages & 1);
        fetch(later);
      }
    }
    unpackHalf(blocks, 1, zero, a[1]);

    multiplyHalf<kTokens>(acc, a[1], stage, 1);
    if (more) {
      if constexpr (kFloat) blocks.loadCodes(weights + (chunk + 1) * kBytes, lane, kPieces / 2, kPieces);
      else blocks = next;
    }
    waitProducts<1>();
    blocks.prepare();
    unpackHalf(blocks, 0, zero, a[0]);
  }
  waitProducts<0>();

  const int token0 = static_cast<int>(blockIdx.y) * kTokens + lane % 4 * 2;
  if (p.gated) {
    // Up goes through shared memory to the threads that hold gate; the stages are read to the end.
    float* up = reinterpret_cast<float*>(stages) + threadIdx.x % 128;
    __syncthreads();
    if (group == 1)
#pragma unroll
      for (int i = 0; i < kTokens / 2; ++i) up[i * 128] = acc[i];
    __syncthreads();
    if (group == 1) return;
#pragma unroll
    for (int i = 0; i < kTokens / 2; ++i) {
      const int token = token0 + i / 4 * 8 + i % 2;
      const float scale = token < p.tokens ? p.xScale[token] : 0;
      acc[i] = activated(p.act, acc[i] * scale, up[i * 128] * scale);
    }
  }
  const int row0 = panel * 16 + lane / 4;
#pragma unroll
  for (int i = 0; i < kTokens / 2; ++i) {
    const int row = row0 + i % 4 / 2 * 8, token = token0 + i / 4 * 8 + i % 2;
    if (row >= segment.weight.rows || token >= p.tokens) continue;
    const int64_t column = segment.outColumn + row;
    float y = acc[i];
    if (!p.gated) {
      y *= p.xScale[token];
      if (segment.bias) y += segment.bias[row];
      if (p.residual.data) y += p.residual.data[token * p.residual.stride + column];
    }
    p.out.data[token * p.out.stride + column] = y;
  }
#endif
}

template <int kType>
int32_t launchTile(const CudaLinear& p, unsigned rowBlocks, void* stream) {
  // Rows first: blocks that run together share a tile of tokens. The other way round took half as long again (prefill of Llama 8B).
  const auto run = [&]<int kTokens>() {
    return launch(linearLarge<kType, kTokens>, dim3(rowBlocks, blocksFor(p.tokens, kTokens)), kThreads, Tile<kTokens>::kSharedBytes, stream, p);
  };
  return p.tokenTile == 128 ? run.template operator()<128>() : run.template operator()<256>();
}

}  // namespace
}  // namespace mistralrs::cuda
