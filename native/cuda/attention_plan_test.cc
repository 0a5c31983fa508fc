#include "cuda/attention_plan.h"

#include <map>
#include <set>

#include "testing/testing.h"

using namespace mistralrs;
using namespace mistralrs::cuda;

namespace {

constexpr int kMultiprocessors = 132;

// Sequences of so many queries, each at the end of so many tokens.
Batch batchOf(const std::vector<std::pair<int, int>>& sequences) {
  Batch batch;
  batch.queryStart = {0};
  for (const auto& [queries, length] : sequences) {
    for (int i = 0; i < queries; ++i) batch.positions.push_back(length - queries + i);
    batch.queryStart.push_back(batch.queryStart.back() + queries);
    batch.kvLength.push_back(length);
  }
  batch.tokens.resize(batch.positions.size());
  return batch;
}

// How often each (sequence, pair) meets each key it must see, counted over the items; and none it need not.
void checkCovers(const Batch& batch, const KvGroup& group, int groupHeads, bool causal) {
  const AttentionPlan plan = planAttention(batch, group, groupHeads, causal, kMultiprocessors);
  for (int b = 0; b < batch.numSequences(); ++b) {
    const int first = batch.queryStart[b], rows = (batch.queryStart[b + 1] - first) * groupHeads;
    std::vector<std::map<int, int>> seen(rows);
    const auto add = [&](const std::vector<CudaAttentionItem>& items, int rowsOfItem) {
      for (const CudaAttentionItem& item : items) {
        if (item.sequence != b) continue;
        CHECK_EQ(item.firstToken, first);
        CHECK_EQ(item.numRows, rows);
        CHECK(item.keyEnd <= batch.kvLength[b]);
        for (int row = item.row; row < std::min(rows, item.row + rowsOfItem); ++row)
          for (int key = item.keyBegin; key < item.keyEnd; ++key) ++seen[row][key];
      }
    };
    add(plan.wide, 4 * kCudaAttentionRows);
    add(plan.narrow, kCudaAttentionRows);
    for (int row = 0; row < rows; ++row) {
      const int position = batch.positions[first + row / groupHeads];
      const int begin = group.window ? std::max(0, position - group.window + 1) : 0;
      const int end = std::min<int64_t>(batch.kvLength[b], int64_t{position} + 1 + keysAhead(group, causal));
      for (int key = begin; key < end; ++key) CHECK_EQ(seen[row][key], 1);
    }
  }
}

}  // namespace

TEST(attention_blocks_cover_every_visible_key_once) {
  const Batch batches[] = {batchOf({{1, 1}}), batchOf({{1, 5000}}), batchOf({{700, 700}}), batchOf({{33, 1033}, {1, 260}, {5, 5}, {1, 4000}}),
                           batchOf(std::vector<std::pair<int, int>>(40, {1, 900}))};
  for (const Batch& batch : batches)
    for (int window : {0, 100, 512})
      for (int groupHeads : {1, 3, 8, 24}) checkCovers(batch, {window, 2, 64, 1, 32}, groupHeads, true);
  for (int window : {0, 100}) checkCovers(batchOf({{300, 300}, {2, 2}}), {window, 2, 64, 1, 32}, 3, false);
}

TEST(attention_partials_belong_to_one_merge_each) {
  const AttentionPlan plan = planAttention(batchOf({{1, 5000}, {2, 3000}, {90, 90}}), {0, 8, 128, 1, 32}, 4, true, kMultiprocessors);
  CHECK_EQ(plan.merges.size(), size_t{2});
  CHECK_EQ(plan.mergeRows, 8);
  std::set<int> merged;
  for (const CudaAttentionMerge& merge : plan.merges) {
    CHECK(merge.numPartials <= kCudaMaxPartials);
    for (int i = 0; i < merge.numPartials; ++i) CHECK(merged.insert(merge.firstPartial + i).second);
  }
  CHECK_EQ(static_cast<int>(merged.size()), plan.numPartials);
  for (const CudaAttentionItem& item : plan.narrow) CHECK(merged.contains(item.partial));
  for (const CudaAttentionItem& item : plan.wide) CHECK(item.partial < 0);
}

// Recorded graphs are replayed for other lengths of the same bucket.
TEST(attention_of_a_key_bucket_has_one_shape) {
  const KvGroup group{0, 8, 128, 1, 32};
  for (const auto& [shorter, longer] : {std::pair{1, 256}, {257, 512}, {4097, 8192}}) {
    const Batch a = batchOf({{1, shorter}, {1, 1}}), b = batchOf({{1, longer}, {1, longer}});
    CHECK_EQ(keyBucket(a), keyBucket(b));
    const AttentionPlan x = planAttention(a, group, 2, true, kMultiprocessors), y = planAttention(b, group, 2, true, kMultiprocessors);
    CHECK_EQ(x.narrow.size(), y.narrow.size());
    CHECK_EQ(x.merges.size(), y.merges.size());
    CHECK_EQ(x.numPartials, y.numPartials);
  }
}
