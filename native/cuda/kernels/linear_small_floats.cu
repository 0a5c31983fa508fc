// linear_small.cuh for F16 and BF16.
#include "cuda/kernels/linear_small.cuh"
#include "cuda/kernels/linear_types.cuh"

namespace mistralrs::cuda {

bool smallOfFloats(const CudaLinear& linear, int panels, void* stream, int32_t& result) {
  return withFloatType(linear.segments[0].weight.type, [&]<int kType>() { result = launchTiles<kType>(linear, panels, stream); });
}

}  // namespace mistralrs::cuda
