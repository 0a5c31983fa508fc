// linear_stream.cuh for types of super-blocks.
#include "cuda/kernels/linear_stream.cuh"
#include "cuda/kernels/linear_types.cuh"

namespace mistralrs::cuda {

bool streamOfSupers(const CudaLinear& linear, int panels, void* stream, int32_t& result) {
  return withSuperType(linear.segments[0].weight.type, [&]<int kType>() { result = launchVectors<kType>(linear, panels, stream); });
}

}  // namespace mistralrs::cuda
