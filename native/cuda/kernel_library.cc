#include "cuda/kernel_library.h"

#include "plan/error.h"
#include "plan/open_library.h"

namespace mistralrs::cuda {
namespace {

constexpr const char* kFile = "mistralrs_cuda.so";

const CudaKernelTable& load() {
  if (!hasLibrary(kFile)) throw Error("io", "backend cuda: this build has no CUDA kernels; build native/ where nvcc is found");
  const auto entry = reinterpret_cast<CudaKernelTableFn>(openLibrary(kFile, "mistralrs_cuda_kernels"));
  const CudaKernelTable& kernels = *entry();
  int32_t count = 0;
  const int32_t error = kernels.deviceCount(&count);
  if (error || count == 0)
    throw Error("invalid_argument", format("backend cuda: no device (%s)", error ? kernels.errorText(error) : "the driver lists none"));
  return kernels;
}

}  // namespace

const CudaKernelTable& openKernels() {
  static const CudaKernelTable& kernels = load();  // tried again after an error
  return kernels;
}

std::optional<CudaDeviceInfo> findDevice() {
  try {
    CudaDeviceInfo info{};
    if (openKernels().deviceInfo(0, &info) == 0) return info;
  } catch (const Error&) {
    // none: what was asked
  }
  return std::nullopt;
}

}  // namespace mistralrs::cuda
