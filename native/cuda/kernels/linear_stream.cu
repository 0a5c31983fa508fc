// The launcher of linear_stream.cuh.
#include "cuda/kernels/linear_stream.cuh"

#include "cuda/kernels/linear_types.cuh"

namespace mistralrs::cuda {

int32_t hasLinearStream(const CudaOperand* p, int32_t type) {
  constexpr int kMaxBytes = 32 * 1024;
  // Rings hold too few chunks of 16-bit weights: a token of Gemma 4 E4B took 6.1 ms, with linear_small.cuh 5.4.
  const bool isQuantized = type != kF16 && type != kBF16 && type != kF32;
  return isQuantized && hasLinearLarge() && p->tokens <= kMaxTokens && ownBytes(p->tokens, p->cols) <= kMaxBytes &&
         p->cols <= operandCols(kThreads, 16) && isAligned(*p);
}

int32_t launchLinearStream(const CudaLinear* p, void* stream) {
  int panels = 0;
  for (int i = 0; i < p->numSegments; ++i) panels += (p->segments[i].weight.rows + 15) / 16;
  const bool isPair = p->numSegments == 2 && p->segments[0].weight.rows == p->segments[1].weight.rows;
  if (p->numSegments < 1 || p->numSegments > kCudaMaxSegments || (p->gated && !isPair) || !hasLinearStream(&p->operand, p->segments[0].weight.type))
    return cudaErrorInvalidValue;
  int32_t result = cudaErrorInvalidValue;
  for (const auto launchOf : {streamOfBlocks, streamOfSupers})
    if (launchOf(*p, p->gated ? panels / 2 : panels, stream, result)) break;
  return result;
}

}  // namespace mistralrs::cuda
