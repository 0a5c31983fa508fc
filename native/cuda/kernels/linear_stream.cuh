// Linear for decoding with quantized weights, on Hopper: linear_small.cuh for up to 4 tokens whose weights pass through shared memory.
// Each warp has a ring of chunks that the bulk copy engine fills. It begins before the kernels ahead have ended, and a block takes less
// than half of a multiprocessor, so that the next linear fills its rings while this one computes.
// A block takes one panel (16 weight rows) after the other; its warps share the columns and add up in shared memory, in the order of
// warps. mma.sync.m16n8k16, float16 in, float32 sums. Weights are read once: rows * cols * bits / 8 bytes. Bound: memory.
// H100, 2026-11-26, Q8_0, one token, within a decode step: gate and up of 10240 x 2560 in 23 us (2.4 TB/s), 2560 x 10240 in 21 us, of
// which 7 are its operand.
#pragma once
#include <algorithm>

#include "cuda/kernels/activation.cuh"
#include "cuda/kernels/hopper.cuh"
#include "cuda/kernels/launch.cuh"
#include "cuda/kernels/mma.cuh"
#include "cuda/kernels/operand.cuh"
#include "cuda/kernels/panel.cuh"
#include "cuda/kernels/segments.cuh"
#include "cuda/kernels/table.cuh"

namespace mistralrs::cuda {
namespace {

constexpr int kWarps = 8, kThreads = kWarps * 32, kMaxSlots = 16;
constexpr int kMaxTokens = 4;
constexpr int kSharedBytes = 108 * 1024;              // of a block: two of them fit, and small kernels beside
constexpr int kSumFloats = kWarps * kMaxTokens * 16;  // [warps][tokens][rows of a panel]

// Slots of a warp's ring, beside two sets of sums and the operand.
__host__ __device__ constexpr int slotsOf(int type, int tokens, int cols) {
  const int slots = (kSharedBytes - 2 * kSumFloats * 4 - ownBytes(tokens, cols)) / (kWarps * chunkShape(type).bytes);
  return slots < kMaxSlots ? slots : kMaxSlots;
}

template <int kType, int kVectors>
__global__ void __launch_bounds__(kThreads, kVectors <= 4 ? 3 : 2) linearStream(const __grid_constant__ CudaLinear p, int numPanels) {
#if __CUDA_ARCH__ >= 900
  constexpr int kBytes = chunkShape(kType).bytes;
  extern __shared__ __align__(128) uint8_t rings[];  // [warps][slots] chunks, the sums of two panels, the operand
  __shared__ uint64_t full[kWarps][kMaxSlots];
  __shared__ float ownScale[kMaxTokens];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, slots = slotsOf(kType, p.tokens, p.cols);
  // Of a gated linear the first half of the warps takes gate, the second up, at the same rows.
  const int sharing = p.gated ? kWarps / 2 : kWarps, part = warp / sharing, share = warp % sharing;
  const int chunks = chunksOf(p.cols), begin = chunks * share / sharing, end = chunks * (share + 1) / sharing;
  const auto find = [&](int panel) { return p.gated ? PanelAt{part, panel} : findPanel(p, panel); };
  uint8_t* ring = rings + warp * slots * kBytes;
  float* sums = reinterpret_cast<float*>(rings + kWarps * slots * kBytes);
  uint2* own = reinterpret_cast<uint2*>(sums + 2 * kSumFloats);

  // What the first lane asks for next. Weights do not wait for earlier kernels.
  int nextPanel = begin < end ? static_cast<int>(blockIdx.x) : numPanels, nextChunk = begin, nextSlot = 0;
  const auto fetch = [&] {
    if (nextPanel >= numPanels) return;
    const PanelAt at = find(nextPanel);
    const uint8_t* from = p.segments[at.segment].weight.data + at.panel * panelBytes(kType, p.cols) + nextChunk * kBytes;
    copyBulk(ring + nextSlot * kBytes, from, kBytes, &full[warp][nextSlot]);
    if (++nextSlot == slots) nextSlot = 0;
    if (++nextChunk < end) return;
    nextChunk = begin;
    nextPanel += static_cast<int>(gridDim.x);
  };
  if (lane == 0) {
    for (int i = 0; i < slots; ++i) initBarrier(&full[warp][i], 1);
    publishBarriers();
    for (int i = 0; i < slots; ++i) fetch();
  }
  __syncwarp();
  letNextStart();
  const NormWeights<kVectors, true> normWeights(p.operand);
  waitForPrevious();
  prepareOwn(p.operand, normWeights, blockIdx.x == 0, own, ownScale);

  const auto* ownLane = reinterpret_cast<const uint4*>(own) + lane;
  const bool present = lane / 4 < p.tokens, isSummer = static_cast<int>(threadIdx.x) < 16 * p.tokens;
  const int sumRow = threadIdx.x % 16, sumToken = threadIdx.x / 16;
  int slot = 0, phase = 0, turn = 0;
  for (int panel = static_cast<int>(blockIdx.x); panel < numPanels; panel += static_cast<int>(gridDim.x), turn ^= 1) {
    const PanelAt at = find(panel);
    const CudaSegment& segment = p.segments[at.segment];  // gated: of this thread's half; rows and columns are the same
    const int row = at.panel * 16 + sumRow;
    const int64_t column = segment.outColumn + row;
    const bool stores = isSummer && row < segment.weight.rows;
    float bias = 0, residual = 0;
    if (stores && segment.bias) bias = segment.bias[row];
    if (stores && p.residual.data) residual = p.residual.data[sumToken * p.residual.stride + column];

    float acc[2][4] = {};
    for (int chunk = begin; chunk < end; ++chunk) {
      waitBarrier(&full[warp][slot], phase);
      LaneBlocks<kType> blocks;
      blocks.template load<From::kShared>(ring + slot * kBytes, lane);
      if (++slot == slots) {
        slot = 0;
        phase ^= 1;
      }
      __syncwarp();  // all have read
      if (lane == 0) fetch();
      blocks.prepare();
#pragma unroll
      for (int q = 0; q < 4; ++q) {
        uint4 b{0, 0, 0, 0};
        if (present) b = ownLane[(chunk * 4 + q) * p.tokens * 4];
        uint32_t a[4];
        blocks.fragment(2 * q, a);
        mmaF16(acc[0], a, b.x, b.y);
        blocks.fragment(2 * q + 1, a);
        mmaF16(acc[1], a, b.z, b.w);
      }
    }

    float* all = sums + turn * kSumFloats;
    float* mine = all + warp * kMaxTokens * 16;
#pragma unroll
    for (int i = 0; i < 4; ++i)
      if (const int token = lane % 4 * 2 + i % 2; token < p.tokens) mine[token * 16 + lane / 4 + i / 2 * 8] = acc[0][i] + acc[1][i];
    __syncthreads();  // the sums of the panel before are read, too: they lie elsewhere
    if (!stores) continue;
    const auto total = [&](int from) {
      float sum = 0;
      for (int w = from; w < from + sharing; ++w) sum += all[(w * kMaxTokens + sumToken) * 16 + sumRow];
      return sum * ownScale[sumToken];
    };
    p.out.data[sumToken * p.out.stride + column] = p.gated ? activated(p.act, total(0), total(sharing)) : total(0) + bias + residual;
  }
#endif
}

template <int kType, int kVectors>
int32_t launchShape(const CudaLinear& p, int panels, void* stream) {
  const auto kernel = linearStream<kType, kVectors>;
  int device = 0, multiprocessors = 0;
  cudaError_t error = cudaGetDevice(&device);
  if (error == cudaSuccess) error = cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  if (error != cudaSuccess) return error;
  return launch(kernel, static_cast<unsigned>(std::min(panels, multiprocessors)), kThreads, kSharedBytes, stream, p, panels);
}

template <int kType>
int32_t launchVectors(const CudaLinear& p, int panels, void* stream) {
  return p.cols <= operandCols(kThreads, 4) ? launchShape<kType, 4>(p, panels, stream) : launchShape<kType, 16>(p, panels, stream);
}

}  // namespace
}  // namespace mistralrs::cuda
