#include "cpu/attention_op.h"

#include <algorithm>

namespace mistralrs {
namespace {

constexpr int kItemRows = 96;        // query heads an item should have: what the kernel keeps in flight
constexpr int kMinItemRows = 24;
constexpr int kItemsPerThread = 4;   // enough for the last items to even out
constexpr int kMinTilesPerItem = 2;

int firstTile(int position, int window) { return window > 0 ? std::max(0, position - window + 1) / kAttentionTile : 0; }

}  // namespace

AttentionOps::AttentionOps(const Plan& plan, const KernelTable& kernels, int threads, const BackendOptions& options, uint8_t* pool)
    : plan_(plan), kernels_(kernels), pageBytes_(options.pageBytes), f16_(options.kvType == KvType::kF16), pool_(pool),
      workOf_(plan.ops.size(), -1) {
  for (size_t i = 0; i < plan.ops.size(); ++i) {
    const Op& op = plan.ops[i];
    if (op.kind != OpKind::kAttention) continue;
    const KvGroup& group = plan.groups[op.group];
    const int groupHeads = op.heads / group.kvHeads;
    const auto same = [&](const Work& work) { return work.group == op.group && work.groupHeads == groupHeads; };
    const auto found = std::find_if(works_.begin(), works_.end(), same);
    workOf_[i] = static_cast<int>(found - works_.begin());
    if (found == works_.end()) {
      works_.emplace_back();
      works_.back().group = op.group;
      works_.back().groupHeads = groupHeads;
      scratchBytes_ = std::max(scratchBytes_, kernels.attentionScratchBytes(group.headDim, groupHeads));
    }
  }
  scratchBytes_ = (scratchBytes_ + 4095) & ~int64_t{4095};
  scratchMemory_ = Memory(scratchBytes_ * threads, "attention scratch");
}

KvView AttentionOps::view(const Step& step, int groupIndex, int layer, int sequence) const {
  const KvGroup& group = plan_.groups[groupIndex];
  const Batch::PageTable& table = step.batch->pageTables[groupIndex];
  const int64_t layerBytes = int64_t{group.pageTokens} * group.kvHeads * group.headDim * 2 * (f16_ ? 2 : 4);
  return {pool_,            table.pages.data() + table.start[sequence], pageBytes_,    layer * layerBytes,
          group.pageTokens, group.kvHeads,                              group.headDim, f16_};
}

void AttentionOps::write(const Op& op, const Step& step, int thread, bool serial) const {
  const Rows keys = step.at(op.in), values = step.at(op.in2);
  const int64_t rows = step.rows(op.in);
  const Range mine = serial ? Range{0, rows} : share(rows, thread, step.threads);
  for (int64_t row = mine.begin; row < mine.end; ++row) {
    const KvView kv = view(step, op.group, op.layer, step.sequenceOf[row]);
    kernels_.kvWrite(&kv, step.batch->positions[row], keys.row(row), values.row(row));
  }
}

void AttentionOps::plan(const Step& step) {
  int64_t floats = 0;
  for (Work& work : works_) {
    planWork(work, step);
    const KvGroup& group = plan_.groups[work.group];
    int64_t end = 0;
    for (int i = 0; i < work.numSplits; ++i) {
      work.splits[i].partials = end;
      end += int64_t{work.splits[i].numTiles} * work.groupHeads * kernels_.attentionPartialFloats(group.headDim);
    }
    floats = std::max(floats, end);
  }
  if (static_cast<int64_t>(partials_.size()) < floats) partials_.resize(static_cast<size_t>(floats));
}

void AttentionOps::planWork(Work& work, const Step& step) {
  const Batch& batch = *step.batch;
  const KvGroup& group = plan_.groups[work.group];
  const int sequences = batch.numSequences(), wanted = kItemsPerThread * step.threads;
  const auto queries = [&](int b) { return batch.queryStart[b + 1] - batch.queryStart[b]; };
  const auto tiles = [&](int b) {  // of the last query
    return (batch.kvLength[b] - 1) / kAttentionTile + 1 - firstTile(batch.kvLength[b] - 1, group.window);
  };

  int chunk = std::max(1, kItemRows / work.groupHeads);
  int64_t totalTiles = 0;
  for (;; chunk /= 2) {
    int64_t items = 0;
    for (int b = 0; b < sequences; ++b) items += int64_t{group.kvHeads} * ((queries(b) + chunk - 1) / chunk);
    if (items >= wanted || chunk * work.groupHeads <= kMinItemRows || chunk == 1) break;
  }
  for (int b = 0; b < sequences; ++b)
    if (queries(b) == 1) totalTiles += int64_t{group.kvHeads} * tiles(b);
  const int tilesPerItem = static_cast<int>(std::max<int64_t>(kMinTilesPerItem, (totalTiles + wanted - 1) / wanted));

  work.items.clear();
  work.numSplits = 0;
  const int maxSplits = sequences * group.kvHeads;
  if (work.splitCapacity < maxSplits) {
    work.splits = std::make_unique<Split[]>(maxSplits);
    work.splitCapacity = maxSplits;
  }
  for (int b = 0; b < sequences; ++b) {
    const int begin = batch.queryStart[b], end = batch.queryStart[b + 1];
    for (int head = 0; head < group.kvHeads; ++head) {
      if (queries(b) == 1 && tiles(b) > tilesPerItem && step.threads > 1) {
        Split& split = work.splits[work.numSplits];
        split.firstTile = firstTile(batch.kvLength[b] - 1, group.window);
        split.numTiles = tiles(b);
        split.items = (split.numTiles + tilesPerItem - 1) / tilesPerItem;
        split.left.store(split.items, std::memory_order_relaxed);
        for (int i = 0; i < split.items; ++i)
          work.items.push_back({b, head, begin, 1, work.numSplits, split.firstTile + split.numTiles * i / split.items,
                                split.firstTile + split.numTiles * (i + 1) / split.items});
        ++work.numSplits;
        continue;
      }
      // The last queries see the most keys: first, so that short items remain to even out the end.
      for (int to = end; to > begin;) {
        const int from = std::max(begin, begin + (to - begin - 1) / chunk * chunk);
        work.items.push_back({b, head, from, to - from, -1, 0, 0});
        to = from;
      }
    }
  }
}

void AttentionOps::attend(const Op& op, int opIndex, const Step& step, int thread, std::atomic<int>& taken) {
  Work& work = works_[workOf_[opIndex]];
  const KvGroup& group = plan_.groups[op.group];
  const Rows q = step.at(op.in), out = step.at(op.out);
  const int64_t partialFloats = kernels_.attentionPartialFloats(group.headDim) * work.groupHeads;
  void* scratch = scratchMemory_.data() + thread * scratchBytes_;
  const int count = static_cast<int>(work.items.size());
  for (int i; (i = taken.fetch_add(1, std::memory_order_relaxed)) < count;) {
    const Item& item = work.items[i];
    const KvView kv = view(step, op.group, op.layer, item.sequence);
    const int64_t column = int64_t{item.kvHead} * work.groupHeads * group.headDim;
    const float* queries = q.row(item.queryBegin) + column;
    float* to = out.row(item.queryBegin) + column;
    const int position = step.batch->positions[item.queryBegin];
    const int length = op.causal ? 0 : step.batch->kvLength[item.sequence];
    if (item.split < 0) {
      kernels_.attention(&kv, item.kvHead, work.groupHeads, queries, q.stride, position, item.queryCount, group.window, length,
                         op.scale, op.softcap, to, out.stride, scratch);
      continue;
    }
    Split& split = work.splits[item.split];
    float* partials = partials_.data() + split.partials;
    kernels_.attentionTiles(&kv, item.kvHead, work.groupHeads, queries, position, item.tileBegin, item.tileEnd, group.window, op.scale,
                            op.softcap, partials + (item.tileBegin - split.firstTile) * partialFloats, scratch);
    if (split.left.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      kernels_.attentionMerge(group.headDim, work.groupHeads, split.numTiles, partials, to, scratch);
      split.left.store(split.items, std::memory_order_relaxed);  // for the next layer
    }
  }
}

}  // namespace mistralrs
