// The fast backend: a forward pass is one parallel region in which every thread walks the ops, with barriers between them.
#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "cpu/attention_op.h"
#include "cpu/kernel_library.h"
#include "cpu/linear_op.h"
#include "cpu/memory.h"
#include "cpu/prepared_weights.h"
#include "cpu/rope_tables.h"
#include "cpu/row_ops.h"
#include "cpu/step.h"
#include "cpu/thread_pool.h"
#include "plan/error.h"

namespace mistralrs {
namespace {

void fillWithNaN(const Memory& memory) {
  std::fill_n(memory.floats(), memory.bytes() / 4, std::bit_cast<float>(~uint32_t{0}));  // NaN as two halves too
}

class CpuBackend final : public Backend {
 public:
  CpuBackend(const Plan& plan, std::vector<Weight> weights, const BackendOptions& options, const Progress& progress)
      : plan_(plan), options_(options), kernels_(openKernels(options.isa)), pool_(options.threads),
        weights_(prepareWeights(plan_, std::move(weights), kernels_, pool_, progress)),
        arenas_{Memory(plan_.arenaWidth[0] * options.maxTokens * 4, "token buffers"),
                Memory(plan_.arenaWidth[1] * options.maxLogitRows * 4, "logit buffers")},
        kv_(options.numPages * options.pageBytes, "KV cache"),
        step_{plan_, kernels_, pool_.size(), {arenas_[0].floats(), arenas_[1].floats()}},
        ropes_(plan_, options.maxTokens), rowOps_(plan_, weights_, ropes_, pool_.size()),
        attentionOps_(plan_, kernels_, pool_.size(), options, kv_.data()), linearOf_(plan_.ops.size(), -1), taken_(plan_.ops.size()),
        linearScratch_(plan_, makeLinearOps(), kernels_, pool_.size(), std::max(options.maxTokens, options.maxLogitRows)) {
    if (options.poison) fillWithNaN(kv_);
  }

  bool forward(const Batch& batch, int lastOp, const std::atomic<bool>& interrupt) override {
    step_.batch = &batch;
    step_.numRows[0] = batch.numTokens();
    step_.numRows[1] = static_cast<int>(batch.logitRows.size());
    step_.sequenceOf.resize(batch.tokens.size());
    for (int b = 0; b < batch.numSequences(); ++b)
      std::fill(step_.sequenceOf.begin() + batch.queryStart[b], step_.sequenceOf.begin() + batch.queryStart[b + 1], b);
    attentionOps_.plan(step_);
    for (std::atomic<int>& taken : taken_) taken.store(0, std::memory_order_relaxed);
    if (options_.poison)
      for (const Memory& arena : arenas_) fillWithNaN(arena);

    const int end = std::min(lastOp + 1, static_cast<int>(plan_.ops.size()));
    // Thread 0 decides before a barrier, all others read after it: `stopAt <= i` comes out the same on every thread, because
    // thread 0 can be ahead by no more than the next barrier, where it may only write a larger index.
    std::atomic<int> stopAt{std::numeric_limits<int>::max()};
    pool_.run([&](int thread) {
      bool serial = fillRopes(thread);
      for (int i = 0; i < end; ++i) {
        const Op& op = plan_.ops[i];
        const bool nowSerial = isSerial(op);
        if (!(serial && nowSerial)) {
          if (thread == 0 && interrupt.load(std::memory_order_relaxed)) stopAt.store(i, std::memory_order_relaxed);
          pool_.barrier();
          if (stopAt.load(std::memory_order_relaxed) <= i) return;
        }
        serial = nowSerial;
        if (!serial || thread == 0) execute(op, i, thread);
      }
    });
    step_.batch = nullptr;
    return stopAt.load(std::memory_order_relaxed) == std::numeric_limits<int>::max();
  }

  const float* logits(int row) const override { return step_.at({plan_.logits, 0, plan_.buffers[plan_.logits].width}).row(row); }

  std::vector<float> readBuffer(int buffer) const override {
    const int64_t width = plan_.buffers[buffer].width;
    const View view{buffer, 0, width};
    const float* data = step_.at(view).data;
    return {data, data + step_.rows(view) * width};
  }

  void copyPage(int32_t from, int32_t to) override {
    std::memcpy(kv_.data() + to * options_.pageBytes, kv_.data() + from * options_.pageBytes, static_cast<size_t>(options_.pageBytes));
  }

  void parallel(int items, const std::function<void(int)>& fn) override { pool_.parallel(items, fn); }
  int64_t weightBytes() const override { return weights_.bytes; }
  const char* isa() const override { return kernels_.name; }

 private:
  const std::vector<LinearOp>& makeLinearOps() {
    for (size_t i = 0; i < plan_.ops.size(); ++i) {
      const Op& op = plan_.ops[i];
      if (op.kind != OpKind::kLinear && op.kind != OpKind::kGatedLinear) continue;
      linearOf_[i] = static_cast<int>(linearOps_.size());
      linearOps_.emplace_back(plan_, op, weights_, kernels_, pool_.size());
    }
    return linearOps_;
  }

  // Returns whether thread 0 did it alone.
  bool fillRopes(int thread) {
    constexpr int kSerialTokens = 8;
    const int tokens = step_.numRows[0];
    const bool serial = ropes_.empty() || tokens <= kSerialTokens;
    if (!serial) {
      const Range mine = share(tokens, thread, step_.threads);
      ropes_.fill(*step_.batch, mine.begin, mine.end);
    } else if (thread == 0) {
      ropes_.fill(*step_.batch, 0, tokens);
    }
    return serial;
  }

  bool isSerial(const Op& op) const {
    switch (op.kind) {
      case OpKind::kLinear:
      case OpKind::kGatedLinear:
      case OpKind::kAttention: return false;
      case OpKind::kKvWrite: return step_.numRows[0] == 1;
      default: return RowOps::isSerial(op, step_);
    }
  }

  void execute(const Op& op, int index, int thread) {
    switch (op.kind) {
      case OpKind::kLinear:
      case OpKind::kGatedLinear: return linearOps_[linearOf_[index]].run(step_, thread, pool_, linearScratch_, taken_[index]);
      case OpKind::kKvWrite: return attentionOps_.write(op, step_, thread, isSerial(op));
      case OpKind::kAttention: return attentionOps_.attend(op, index, step_, thread, taken_[index]);
      default: return rowOps_.run(op, step_, thread);
    }
  }

  const Plan plan_;
  const BackendOptions options_;
  const KernelTable& kernels_;
  ThreadPool pool_;
  const PreparedWeights weights_;
  const Memory arenas_[2];
  const Memory kv_;
  Step step_;
  RopeTables ropes_;
  RowOps rowOps_;
  AttentionOps attentionOps_;
  std::vector<LinearOp> linearOps_;
  std::vector<int> linearOf_;            // by op
  std::vector<std::atomic<int>> taken_;  // by op: shares of it taken in this forward
  const LinearScratch linearScratch_;
};

}  // namespace

std::unique_ptr<Backend> makeCpuBackend(const Plan& plan, std::vector<Weight> weights, const BackendOptions& options,
                                        const Progress& progress) {
  return std::make_unique<CpuBackend>(plan, std::move(weights), options, progress);
}

}  // namespace mistralrs
