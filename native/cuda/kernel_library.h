// Opens mistralrs_cuda.so where there is one, and a device that can run it.
#pragma once
#include <optional>
#include <string>

#include "cuda/kernels.h"

namespace mistralrs::cuda {

// The kernels, opened once per process. Throws Error `io` when this build has none or they cannot be opened, `invalid_argument`
// when there is no device: the message says which.
const CudaKernelTable& openKernels();

// The first device and its memory as it is now; nothing where openKernels would throw.
std::optional<CudaDeviceInfo> findDevice();

}  // namespace mistralrs::cuda
