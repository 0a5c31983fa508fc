// linear_large.cuh for F16 and BF16.
#include "cuda/kernels/linear_large.cuh"
#include "cuda/kernels/linear_types.cuh"

namespace mistralrs::cuda {

bool largeOfFloats(const CudaLinear& linear, unsigned rowBlocks, void* stream, int32_t& result) {
  return withFloatType(linear.segments[0].weight.type, [&]<int kType>() { result = launchTile<kType>(linear, rowBlocks, stream); });
}

}  // namespace mistralrs::cuda
