// The calls of the CUDA runtime that the host makes.
#include <cuda_runtime.h>

#include <cstdio>

#include "cuda/kernels/runtime.cuh"

namespace mistralrs::cuda {

const char* errorText(int32_t error) { return cudaGetErrorString(static_cast<cudaError_t>(error)); }

// Those of which the CUDA runtime's documentation says that the process must be ended and started again.
int32_t isFatal(int32_t error) {
  switch (error) {
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
#if CUDART_VERSION >= 13000
    case cudaErrorTensorMemoryLeak:
    case cudaErrorContained:
#endif
    case cudaErrorExternalDevice: return true;
    default: return false;
  }
}

int32_t deviceCount(int32_t* count) { return cudaGetDeviceCount(count); }

int32_t deviceInfo(int32_t device, CudaDeviceInfo* info) {
  cudaDeviceProp properties;
  if (const cudaError_t error = cudaGetDeviceProperties(&properties, device); error != cudaSuccess) return error;
  std::snprintf(info->name, sizeof info->name, "%s", properties.name);
  info->major = properties.major;
  info->minor = properties.minor;
  info->multiprocessors = properties.multiProcessorCount;
  if (const cudaError_t error = cudaSetDevice(device); error != cudaSuccess) return error;
  size_t freeBytes, totalBytes;
  const cudaError_t error = cudaMemGetInfo(&freeBytes, &totalBytes);
  info->freeBytes = static_cast<int64_t>(freeBytes);
  info->totalBytes = static_cast<int64_t>(totalBytes);
  return error;
}

int32_t setDevice(int32_t device) { return cudaSetDevice(device); }

// A failed allocation must not come back from the next call that asks for the last error.
int32_t allocate(void** memory, int64_t bytes) {
  const cudaError_t error = cudaMalloc(memory, static_cast<size_t>(bytes));
  if (error != cudaSuccess) cudaGetLastError();
  return error;
}
int32_t release(void* memory) { return cudaFree(memory); }
int32_t allocatePinned(void** memory, int64_t bytes) {
  const cudaError_t error = cudaMallocHost(memory, static_cast<size_t>(bytes));
  if (error != cudaSuccess) cudaGetLastError();
  return error;
}
int32_t releasePinned(void* memory) { return cudaFreeHost(memory); }
int32_t copy(void* to, const void* from, int64_t bytes, void* stream) {
  return cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDefault, static_cast<cudaStream_t>(stream));
}
int32_t fill(void* memory, int32_t byte, int64_t bytes, void* stream) {
  return cudaMemsetAsync(memory, byte, static_cast<size_t>(bytes), static_cast<cudaStream_t>(stream));
}
int32_t createStream(void** stream) {
  return cudaStreamCreateWithFlags(reinterpret_cast<cudaStream_t*>(stream), cudaStreamNonBlocking);
}
int32_t destroyStream(void* stream) { return cudaStreamDestroy(static_cast<cudaStream_t>(stream)); }
int32_t synchronize(void* stream) { return cudaStreamSynchronize(static_cast<cudaStream_t>(stream)); }

int32_t beginCapture(void* stream) {
  return cudaStreamBeginCapture(static_cast<cudaStream_t>(stream), cudaStreamCaptureModeThreadLocal);
}
int32_t endCapture(void* stream, void** graph) {
  cudaGraph_t recorded = nullptr;
  cudaError_t error = cudaStreamEndCapture(static_cast<cudaStream_t>(stream), &recorded);
  if (error == cudaSuccess) error = cudaGraphInstantiate(reinterpret_cast<cudaGraphExec_t*>(graph), recorded, 0);
  if (recorded) cudaGraphDestroy(recorded);
  if (error != cudaSuccess) {
    *graph = nullptr;
    cudaGetLastError();
  }
  return error;
}
int32_t launchGraph(void* graph, void* stream) {
  return cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), static_cast<cudaStream_t>(stream));
}
int32_t destroyGraph(void* graph) { return cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph)); }

}  // namespace mistralrs::cuda
