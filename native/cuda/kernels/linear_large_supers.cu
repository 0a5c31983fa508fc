// linear_large.cuh for types of super-blocks.
#include "cuda/kernels/linear_large.cuh"
#include "cuda/kernels/linear_types.cuh"

namespace mistralrs::cuda {

bool largeOfSupers(const CudaLinear& linear, unsigned rowBlocks, void* stream, int32_t& result) {
  return withSuperType(linear.segments[0].weight.type, [&]<int kType>() { result = launchTile<kType>(linear, rowBlocks, stream); });
}

}  // namespace mistralrs::cuda
