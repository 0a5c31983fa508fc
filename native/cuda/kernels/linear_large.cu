// The launcher of linear_large.cuh.
#include "cuda/kernels/launch.cuh"
#include "cuda/kernels/linear_types.cuh"
#include "cuda/kernels/table.cuh"

namespace mistralrs::cuda {

int32_t hasLinearLarge() {
  int device = 0, major = 0, minor = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
  cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device);
  return major == 9 && minor == 0;
}

int32_t launchLinearLarge(const CudaLinear* p, void* stream) {
  const bool isPair = p->numSegments == 2 && p->segments[0].weight.rows == p->segments[1].weight.rows;
  if (p->numSegments < 1 || p->numSegments > kCudaMaxSegments || (p->tokenTile != 128 && p->tokenTile != 256) || (p->gated && !isPair))
    return cudaErrorInvalidValue;
  unsigned rowBlocks = 0;
  for (int i = 0; i < p->numSegments; ++i) rowBlocks += blocksFor(p->segments[i].weight.rows, 128);
  if (p->gated) rowBlocks = blocksFor(p->segments[0].weight.rows, 64);
  int32_t result = cudaErrorInvalidValue;
  for (const auto launchOf : {largeOfFloats, largeOfBlocks, largeOfSupers})
    if (launchOf(*p, rowBlocks, stream, result)) break;
  return result;
}

}  // namespace mistralrs::cuda
