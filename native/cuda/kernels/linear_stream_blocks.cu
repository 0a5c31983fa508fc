// linear_stream.cuh for types of blocks of 32.
#include "cuda/kernels/linear_stream.cuh"
#include "cuda/kernels/linear_types.cuh"

namespace mistralrs::cuda {

bool streamOfBlocks(const CudaLinear& linear, int panels, void* stream, int32_t& result) {
  return withBlockType(linear.segments[0].weight.type, [&]<int kType>() { result = launchVectors<kType>(linear, panels, stream); });
}

}  // namespace mistralrs::cuda
