// How attention is cut into blocks: arithmetic only, so that it can be tested where there is no device.
#pragma once
#include <cstdint>
#include <vector>

#include "cuda/kernels.h"
#include "plan/backend.h"
#include "plan/plan.h"

namespace mistralrs::cuda {

struct AttentionPlan {
  std::vector<CudaAttentionItem> wide;    // blocks of four warps: prefill
  std::vector<CudaAttentionItem> narrow;  // blocks of one warp: sequences of at most 16 (query, head) pairs
  std::vector<CudaAttentionMerge> merges;
  int numPartials = 0;
  int mergeRows = 0;  // of the largest merge
};

// Keys that every sequence of the batch is taken to have, at least: the longest one's, rounded up to a power of two. Batches
// with equal numbers of sequences and equal keyBucket have as many items, partials and merges, whatever their lengths.
int keyBucket(const Batch& batch);

// Keys after its own position that a query sees.
int keysAhead(const KvGroup& group, bool causal);

// Blocks for one KV group and `groupHeads` query heads to each kv head, on a device of so many multiprocessors.
AttentionPlan planAttention(const Batch& batch, const KvGroup& group, int groupHeads, bool causal, int multiprocessors);

}  // namespace mistralrs::cuda
