#include <algorithm>
#include <cmath>

#include "reference/ops.h"
#include "reference/parallel.h"

namespace mistralrs::reference {
namespace {

// Where sequence `sequence` keeps position `position`.
struct Slot {
  int32_t page;
  int token;
};
Slot slotOf(const Batch& batch, int groupIndex, const KvGroup& group, int sequence, int position) {
  const Batch::PageTable& table = batch.pageTables[groupIndex];
  return {table.pages[table.start[sequence] + position / group.pageTokens], position % group.pageTokens};
}

// The keys that a query sees: [first, end).
int firstVisible(const KvGroup& group, int position) { return group.window > 0 ? std::max(0, position - group.window + 1) : 0; }

int endVisible(const KvGroup& group, const Op& op, int position, int length) {
  if (op.causal) return position + 1;
  return group.window > 0 ? std::min(length, position + group.window) : length;
}

// Softmax of q . k over the keys of `count` tokens, times their values; keys and values [count, dim].
void attend(const float* q, const float* keys, const float* values, int count, int dim, const Op& op, float* out) {
  std::vector<double> weights(static_cast<size_t>(count));
  for (int j = 0; j < count; ++j) {
    double score = 0;
    for (int i = 0; i < dim; ++i) score += static_cast<double>(q[i]) * keys[int64_t{j} * dim + i];
    score *= op.scale;
    weights[j] = op.softcap > 0 ? op.softcap * std::tanh(score / op.softcap) : score;
  }
  const double largest = *std::max_element(weights.begin(), weights.end());
  double sum = 0;
  for (double& weight : weights) sum += weight = std::exp(weight - largest);
  std::vector<double> mixed(static_cast<size_t>(dim));
  for (int j = 0; j < count; ++j)
    for (int i = 0; i < dim; ++i) mixed[i] += weights[j] * values[int64_t{j} * dim + i];
  for (int i = 0; i < dim; ++i) out[i] = static_cast<float>(mixed[i] / sum);
}

}  // namespace

void kvWrite(const Op& op, Step& step, KvPool& pool) {
  const Batch& batch = *step.batch;
  const KvGroup& group = step.plan.groups[op.group];
  const Rows keys = step.at(op.in), values = step.at(op.in2);
  for (int b = 0; b < batch.numSequences(); ++b)
    for (int t = batch.queryStart[b]; t < batch.queryStart[b + 1]; ++t) {
      const Slot slot = slotOf(batch, op.group, group, b, batch.positions[t]);
      for (int head = 0; head < group.kvHeads; ++head) {
        pool.write(group, op.layer, slot.page, slot.token, head, KvPool::kKeys, keys.row(t) + int64_t{head} * group.headDim);
        pool.write(group, op.layer, slot.page, slot.token, head, KvPool::kValues, values.row(t) + int64_t{head} * group.headDim);
      }
    }
}

// Each item is a KV head of a sequence: it collects the keys and values some query of the batch sees, in order of position,
// then attends with every query head that shares them.
void attention(const Op& op, Step& step, const KvPool& pool) {
  const Batch& batch = *step.batch;
  const KvGroup& group = step.plan.groups[op.group];
  const Rows q = step.at(op.in), out = step.at(op.out);
  const int dim = group.headDim, queryHeads = op.heads / group.kvHeads;
  parallelFor(step.threads, int64_t{batch.numSequences()} * group.kvHeads, [&](int64_t item) {
    const int b = static_cast<int>(item / group.kvHeads), kvHead = static_cast<int>(item % group.kvHeads);
    const int begin = batch.queryStart[b], end = batch.queryStart[b + 1];
    if (begin == end) return;
    const int first = firstVisible(group, batch.positions[begin]), count = batch.kvLength[b] - first;
    std::vector<float> keys(static_cast<size_t>(count) * dim), values(keys.size());
    for (int j = 0; j < count; ++j) {
      const Slot slot = slotOf(batch, op.group, group, b, first + j);
      pool.read(group, op.layer, slot.page, slot.token, kvHead, KvPool::kKeys, keys.data() + int64_t{j} * dim);
      pool.read(group, op.layer, slot.page, slot.token, kvHead, KvPool::kValues, values.data() + int64_t{j} * dim);
    }
    for (int t = begin; t < end; ++t) {
      const int64_t skip = int64_t{firstVisible(group, batch.positions[t]) - first} * dim;
      const int visible = endVisible(group, op, batch.positions[t], batch.kvLength[b]) - firstVisible(group, batch.positions[t]);
      for (int h = kvHead * queryHeads; h < (kvHead + 1) * queryHeads; ++h) {
        const int64_t column = int64_t{h} * dim;
        attend(q.row(t) + column, keys.data() + skip, values.data() + skip, visible, dim, op, out.row(t) + column);
      }
    }
  });
}

}  // namespace mistralrs::reference
