#include "cuda/attention_plan.h"

#include <algorithm>
#include <bit>

namespace mistralrs::cuda {
namespace {

constexpr int kWideRows = 4 * kCudaAttentionRows;
constexpr int kNarrowBlocks = 4;     // of one warp, that a multiprocessor should have
constexpr int kMinSplitKeys = 128;   // of a part; sequences of up to twice as many are not split: merging would cost what it gains
constexpr int kSplitGrain = 32;      // keys of a tile

int firstVisible(const KvGroup& group, int position) { return group.window > 0 ? std::max(0, position - group.window + 1) : 0; }

}  // namespace

int keyBucket(const Batch& batch) {
  constexpr int kSmallest = 256;
  int longest = kSmallest;
  for (const int32_t length : batch.kvLength) longest = std::max(longest, length);
  return static_cast<int>(std::bit_ceil(static_cast<unsigned>(longest)));
}

int keysAhead(const KvGroup& group, bool causal) {
  constexpr int kAll = 1 << 30;  // as many positions as there are: plan/batch.cc
  return causal ? 0 : group.window > 0 ? group.window - 1 : kAll;
}

AttentionPlan planAttention(const Batch& batch, const KvGroup& group, int groupHeads, bool causal, int multiprocessors) {
  AttentionPlan plan;
  const auto pairs = [&](int b) { return (batch.queryStart[b + 1] - batch.queryStart[b]) * groupHeads; };
  int numNarrow = 0;
  for (int b = 0; b < batch.numSequences(); ++b) numNarrow += pairs(b) <= kCudaAttentionRows;

  // Queries of one narrow item are few: with a window it sees little more than the window.
  const int ahead = keysAhead(group, causal);
  int64_t keys = keyBucket(batch);
  if (group.window > 0) keys = std::min<int64_t>(keys, int64_t{group.window} + ahead + kCudaAttentionRows);
  const int64_t wanted = int64_t{multiprocessors} * kNarrowBlocks;
  int64_t keysOfSplit = std::max<int64_t>(kMinSplitKeys, keys * numNarrow * group.kvHeads / wanted);
  keysOfSplit = (keysOfSplit + kSplitGrain - 1) / kSplitGrain * kSplitGrain;
  keysOfSplit = std::max(keysOfSplit, (keys / kCudaMaxPartials + kSplitGrain) / kSplitGrain * kSplitGrain);
  const int splits = keys <= 2 * kMinSplitKeys ? 1 : static_cast<int>((keys + keysOfSplit - 1) / keysOfSplit);
  if (splits == 1) keysOfSplit = keys;

  for (int b = 0; b < batch.numSequences(); ++b) {
    const int first = batch.queryStart[b], position = batch.positions[first], numRows = pairs(b);
    CudaAttentionItem item{b, first, position, numRows, 0, 0, 0, -1};
    if (numRows > kCudaAttentionRows) {
      for (item.row = 0; item.row < numRows; item.row += kWideRows) {
        const int last = std::min(numRows, item.row + kWideRows) - 1;
        item.keyBegin = firstVisible(group, position + item.row / groupHeads);
        item.keyEnd = static_cast<int>(std::min<int64_t>(batch.kvLength[b], int64_t{position} + last / groupHeads + 1 + ahead));
        plan.wide.push_back(item);
      }
      continue;
    }
    const int begin = firstVisible(group, position), end = batch.kvLength[b];
    if (splits > 1) {
      plan.merges.push_back({first, numRows, 0, plan.numPartials, splits});
      plan.mergeRows = std::max(plan.mergeRows, numRows);
    }
    for (int i = 0; i < splits; ++i) {
      item.keyBegin = static_cast<int>(std::min<int64_t>(end, begin + i * keysOfSplit));
      item.keyEnd = static_cast<int>(std::min<int64_t>(end, item.keyBegin + keysOfSplit));
      if (splits > 1) item.partial = plan.numPartials++;
      plan.narrow.push_back(item);
    }
  }
  // Long items first, so that short ones even out the end.
  std::stable_sort(plan.wide.begin(), plan.wide.end(),
                   [](const auto& a, const auto& b) { return a.keyEnd - a.keyBegin > b.keyEnd - b.keyBegin; });
  return plan;
}

}  // namespace mistralrs::cuda
