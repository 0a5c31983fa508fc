// runtime.cu as table.cu sees it; cuda/kernels.h says what each does.
#pragma once
#include "cuda/kernels.h"

namespace mistralrs::cuda {

const char* errorText(int32_t error);
int32_t isFatal(int32_t error);
int32_t deviceCount(int32_t* count);
int32_t deviceInfo(int32_t device, CudaDeviceInfo* info);
int32_t setDevice(int32_t device);
int32_t allocate(void** memory, int64_t bytes);
int32_t release(void* memory);
int32_t allocatePinned(void** memory, int64_t bytes);
int32_t releasePinned(void* memory);
int32_t copy(void* to, const void* from, int64_t bytes, void* stream);
int32_t fill(void* memory, int32_t byte, int64_t bytes, void* stream);
int32_t createStream(void** stream);
int32_t destroyStream(void* stream);
int32_t synchronize(void* stream);
int32_t beginCapture(void* stream);
int32_t endCapture(void* stream, void** graph);
int32_t launchGraph(void* graph, void* stream);
int32_t destroyGraph(void* graph);

}  // namespace mistralrs::cuda
