// The launchers, as table.cu puts them into CudaKernelTable; cuda/kernels.h says what each does.
#pragma once
#include "cuda/kernels.h"

namespace mistralrs::cuda {

// pack.cu
int64_t weightBytes(int32_t type, int64_t rows, int64_t cols);
int32_t launchPack(CudaWeight to, const uint8_t* blocks, int32_t firstRow, int32_t numRows, int32_t* badRow, void* stream);
int32_t launchEmbed(const CudaWeight* runs, const int32_t* firstRows, int32_t numRuns, const int32_t* tokens, int32_t rows, float scale,
                    CudaRows out, void* stream);
// elementwise.cu
int32_t launchAdd(CudaRows a, CudaRows b, float scale, int32_t rows, int32_t width, CudaRows out, void* stream);
int32_t launchScale(CudaRows in, const float* factor, int32_t rows, int32_t width, CudaRows out, void* stream);
int32_t launchActMul(CudaRows gate, CudaRows up, int32_t act, int32_t rows, int32_t width, CudaRows out, void* stream);
int32_t launchSoftcap(CudaRows in, float cap, int32_t rows, int32_t width, CudaRows out, void* stream);
int32_t launchSelectRows(CudaRows in, const int32_t* rowIds, int32_t rows, int32_t width, CudaRows out, void* stream);
int32_t launchMeanRows(CudaRows in, const int32_t* rowIds, const int32_t* sequenceOf, const int32_t* queryStart, int32_t rows, int32_t width,
                       CudaRows out, void* stream);
// norm_rope.cu
int32_t launchRmsNorm(CudaRows in, const float* weight, float eps, float offset, int32_t heads, int32_t dim, CudaRows residual,
                      const float* factor, int32_t rows, CudaRows out, void* stream);
int32_t launchFillRope(const float* invFreq, int32_t dim, float factor, const int32_t* positions, int32_t rows, float* table, void* stream);
int32_t launchNormRope(CudaRows in, const float* weight, float eps, float offset, int32_t heads, int32_t headDim, const float* table,
                       int32_t dim, int32_t rows, CudaRows out, void* stream);
// row_stats.cu
int32_t launchRowStats(CudaRows in, int32_t rows, int32_t width, float* stats, void* stream);
// store_qkv.cu
int32_t launchStoreQkv(const CudaQkv* qkv, void* stream);
// prepare_rows.cu
int64_t preparedBytes(int64_t tokens, int64_t cols);
int32_t launchPrepareRows(const CudaOperand* operand, int32_t tokenTile, void* x, float* xScale, void* stream);
// linear_small.cu, linear_stream.cu, linear_large.cu, linear_f32.cu
int32_t hasOwnOperand(const CudaOperand* operand, int32_t warps);
int32_t launchLinearSmall(const CudaLinear* linear, void* stream);
int32_t hasLinearStream(const CudaOperand* operand, int32_t type);
int32_t launchLinearStream(const CudaLinear* linear, void* stream);
int32_t hasLinearLarge();
int32_t launchLinearLarge(const CudaLinear* linear, void* stream);
int32_t launchLinearF32(const CudaLinear* linear, CudaRows in, void* stream);
// attention_tiles.cu, attention_rows.cu
int32_t launchKvWrite(const CudaKvView* kv, CudaRows k, CudaRows v, const int32_t* positions, const int32_t* sequenceOf, int32_t rows,
                      void* stream);
int32_t hasAttentionTiles(int32_t f16, int32_t headDim);
__host__ __device__ int64_t attentionPartialFloats(int32_t headDim);
int32_t launchAttentionTiles(const CudaAttention* attention, void* stream);
int32_t launchAttentionRows(const CudaAttention* attention, void* stream);

}  // namespace mistralrs::cuda
