// Attention over the paged KV cache; the contract is in ../kernels.h, KernelTable.
#pragma once
#include "cpu/kernels.h"

namespace mistralrs::kernels {

void kvWrite(const KvView* kv, int32_t position, const float* k, const float* v);

int64_t attentionScratchBytes(int32_t headDim, int32_t groupHeads);
void attention(const KvView* kv, int32_t kvHead, int32_t groupHeads, const float* q, int64_t qStride, int32_t firstPosition,
               int32_t numQueries, int32_t window, int32_t length, float scoreScale, float softcap, float* out, int64_t outStride,
               void* scratch);

int64_t attentionPartialFloats(int32_t headDim);
void attentionTiles(const KvView* kv, int32_t kvHead, int32_t groupHeads, const float* q, int32_t position, int32_t tileBegin,
                    int32_t tileEnd, int32_t window, float scoreScale, float softcap, float* partials, void* scratch);
void attentionMerge(int32_t headDim, int32_t groupHeads, int32_t numTiles, const float* partials, float* out, void* scratch);

}  // namespace mistralrs::kernels
