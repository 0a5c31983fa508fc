// The launcher of linear_small.cuh.
#include "cuda/kernels/linear_small.cuh"

#include "cuda/kernels/linear_types.cuh"

namespace mistralrs::cuda {

int32_t hasOwnOperand(const CudaOperand* p, int32_t warps) {
  constexpr int kMaxTokens = 4, kMaxBytes = 32 * 1024;
  return p->tokens <= kMaxTokens && ownBytes(p->tokens, p->cols) <= kMaxBytes && (p->cols + 127) / 128 * 128 <= operandCols(warps * 32) &&
         isAligned(*p);
}

int32_t launchLinearSmall(const CudaLinear* p, void* stream) {
  int panels = 0;
  for (int i = 0; i < p->numSegments; ++i) panels += (p->segments[i].weight.rows + 15) / 16;
  const bool isPair = p->numSegments == 2 && p->segments[0].weight.rows == p->segments[1].weight.rows && p->warps % 2 == 0;
  if (p->numSegments < 1 || p->numSegments > kCudaMaxSegments || p->warps < 1 || p->warps > 16 || (p->gated && !isPair) ||
      (p->ownOperand && !hasOwnOperand(&p->operand, p->warps)))
    return cudaErrorInvalidValue;
  int32_t result = cudaErrorInvalidValue;
  for (const auto launchOf : {smallOfFloats, smallOfBlocks, smallOfSupers})
    if (launchOf(*p, p->gated ? panels / 2 : panels, stream, result)) break;
  return result;
}

}  // namespace mistralrs::cuda
