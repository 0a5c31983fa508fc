// kv_write and attention: which keys each thread reads.
#pragma once
#include <atomic>
#include <memory>
#include <vector>

#include "cpu/memory.h"
#include "cpu/step.h"

namespace mistralrs {

class AttentionOps {
 public:
  // `pool` is the KV pool; pages as KvView of kernels.h describes.
  AttentionOps(const Plan& plan, const KernelTable& kernels, int threads, const BackendOptions& options, uint8_t* pool);

  // Cuts the attention of a batch into items, once a step for all layers. Before the threads start.
  void plan(const Step& step);
  // This thread's share of the rows; all of them when `serial` (then only thread 0 may call).
  void write(const Op& op, const Step& step, int thread, bool serial) const;
  // Threads take items until none is left; results do not depend on who takes which. `taken` counts them and begins at 0.
  void attend(const Op& op, int opIndex, const Step& step, int thread, std::atomic<int>& taken);

 private:
  // Queries of one sequence for one KV head; or, when split, one query's tiles [tileBegin, tileEnd).
  struct Item {
    int sequence, kvHead, queryBegin, queryCount;  // queryBegin: row of the batch
    int split, tileBegin, tileEnd;                 // split < 0: all tiles
  };
  // One query and KV head whose tiles several items share; the last to finish merges.
  struct Split {
    int firstTile, numTiles, items;
    int64_t partials;  // float offset
    std::atomic<int> left;
  };
  // Layers of a group with as many query heads have the same items.
  struct Work {
    int group, groupHeads;
    std::vector<Item> items;
    std::unique_ptr<Split[]> splits;
    int numSplits = 0, splitCapacity = 0;
  };
  void planWork(Work& work, const Step& step);
  KvView view(const Step& step, int group, int layer, int sequence) const;

  const Plan& plan_;
  const KernelTable& kernels_;
  const int64_t pageBytes_;
  const bool f16_;
  uint8_t* const pool_;
  std::vector<Work> works_;
  std::vector<int> workOf_;  // by op
  std::vector<float> partials_;
  Memory scratchMemory_;
  int64_t scratchBytes_ = 0;
};

}  // namespace mistralrs
