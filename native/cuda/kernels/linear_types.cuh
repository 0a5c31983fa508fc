// linear_small.cuh, linear_stream.cuh and linear_large.cuh are compiled once for each group of types (panel.cuh), in files of their own:
// these are what the files define. False when the weights are of another group; else `result` is the launch's.
#pragma once
#include "cuda/kernels.h"

namespace mistralrs::cuda {

bool smallOfFloats(const CudaLinear& linear, int panels, void* stream, int32_t& result);
bool smallOfBlocks(const CudaLinear& linear, int panels, void* stream, int32_t& result);
bool smallOfSupers(const CudaLinear& linear, int panels, void* stream, int32_t& result);
bool streamOfBlocks(const CudaLinear& linear, int panels, void* stream, int32_t& result);
bool streamOfSupers(const CudaLinear& linear, int panels, void* stream, int32_t& result);
bool largeOfFloats(const CudaLinear& linear, unsigned rowBlocks, void* stream, int32_t& result);
bool largeOfBlocks(const CudaLinear& linear, unsigned rowBlocks, void* stream, int32_t& result);
bool largeOfSupers(const CudaLinear& linear, unsigned rowBlocks, void* stream, int32_t& result);

}  // namespace mistralrs::cuda
