// The operand of linear ops (operand.cuh): what comes before it, the row's power of two, and float16 in the order of prepared.cuh.
// One block for a row. Bound: memory, 6 bytes a value.
#include "cuda/kernels/launch.cuh"
#include "cuda/kernels/operand.cuh"
#include "cuda/kernels/prepared.cuh"
#include "cuda/kernels/table.cuh"

namespace mistralrs::cuda {
namespace {

template <bool kLarge, bool kAligned>
__global__ void prepareRows(CudaOperand p, int tokenTile, uint8_t* x, float* xScale) {
  const NormWeights<kOperandVectors, kAligned> weights(p);
  letNextStart();
  waitForPrevious();
  const int token = blockIdx.x, chunks = (p.cols + 127) / 128, tokenTiles = (static_cast<int>(gridDim.x) + 7) / 8;
  OperandRow<kOperandVectors, kAligned> row;
  loadOperand(p, weights, token, true, row);
  if (threadIdx.x == 0) xScale[token] = row.xScale;
#pragma unroll
  for (int i = 0; i < kOperandVectors; ++i) {
    const int col = Columns<kOperandVectors, kAligned>::column(i);
    if (col >= chunks * 128) break;
    const uint2 values = row.halves(i);
    if (kLarge) {
      reinterpret_cast<uint32_t*>(x)[largeOffset(tokenTile, chunks, token, col)] = values.x;
      reinterpret_cast<uint32_t*>(x)[largeOffset(tokenTile, chunks, token, col + 2)] = values.y;
    } else {
      reinterpret_cast<uint2*>(x)[smallOffset(tokenTiles, token, col)] = values;
    }
  }
}

}  // namespace

int64_t preparedBytes(int64_t tokens, int64_t cols) { return (tokens + 255) / 256 * 256 * ((cols + 127) / 128 * 128) * 2; }

int32_t launchPrepareRows(const CudaOperand* operand, int32_t tokenTile, void* x, float* xScale, void* stream) {
  const int padded = (operand->cols + 127) / 128 * 128;
  int threads = 128;
  while (operandCols(threads) < padded) threads += 128;
  if (threads > 1024) return cudaErrorInvalidValue;
  const auto run = [&](auto kernel) {
    return launch(kernel, static_cast<unsigned>(operand->tokens), static_cast<unsigned>(threads), 0, stream, *operand, tokenTile,
                  static_cast<uint8_t*>(x), xScale);
  };
  if (isAligned(*operand)) return tokenTile ? run(prepareRows<true, true>) : run(prepareRows<false, true>);
  return tokenTile ? run(prepareRows<true, false>) : run(prepareRows<false, false>);
}

}  // namespace mistralrs::cuda
