// The oracle: runs a plan op by op in plain C++. Everything the fast backends do is compared with it.
#include <algorithm>
#include <limits>
#include <new>

#include "plan/error.h"
#include "reference/ops.h"
#include "reference/parallel.h"

namespace mistralrs {
namespace {

using reference::KvPool, reference::LinearRows, reference::Step;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

class ReferenceBackend final : public Backend {
 public:
  ReferenceBackend(const Plan& plan, std::vector<Weight> weights, const BackendOptions& options, const Progress& progress)
      : plan_(plan), options_(options), weights_(std::move(weights)), linearRows_(plan_, weights_, options.threads, progress),
        pool_(options), step_{plan_, weights_, linearRows_, options.threads} {
    step_.arenas[0].resize(static_cast<size_t>(plan_.arenaWidth[0] * options.maxTokens));
    step_.arenas[1].resize(static_cast<size_t>(plan_.arenaWidth[1] * options.maxLogitRows));
  }

  bool forward(const Batch& batch, int lastOp, const std::atomic<bool>& interrupt) override {
    step_.batch = &batch;
    step_.numRows[0] = batch.numTokens();
    step_.numRows[1] = static_cast<int64_t>(batch.logitRows.size());
    if (options_.poison)
      for (std::vector<float>& arena : step_.arenas) std::fill(arena.begin(), arena.end(), kNaN);
    const int end = std::min(lastOp, static_cast<int>(plan_.ops.size()) - 1);
    for (int i = 0; i <= end; ++i) {
      if (interrupt.load(std::memory_order_relaxed)) return false;
      execute(plan_.ops[i]);
    }
    return true;
  }

  const float* logits(int row) const override {
    const Buffer& buffer = plan_.buffers[plan_.logits];
    return step_.arenas[1].data() + buffer.at * step_.numRows[1] + row * buffer.width;
  }

  std::vector<float> readBuffer(int index) const override {
    const Buffer& buffer = plan_.buffers[index];
    const int symbol = static_cast<int>(buffer.rows);
    const float* data = step_.arenas[symbol].data() + buffer.at * step_.numRows[symbol];
    return {data, data + step_.numRows[symbol] * buffer.width};
  }

  void copyPage(int32_t from, int32_t to) override { pool_.copyPage(from, to); }

  void parallel(int items, const std::function<void(int)>& fn) override {
    reference::parallelFor(options_.threads, items, [&](int64_t item) { fn(static_cast<int>(item)); });
  }

  int64_t weightBytes() const override { return linearRows_.bytes(); }
  const char* isa() const override { return "reference"; }

 private:
  void execute(const Op& op) {
    switch (op.kind) {
      case OpKind::kEmbed: return reference::embed(op, step_);
      case OpKind::kLinear: return reference::linear(op, step_);
      case OpKind::kGatedLinear: return reference::gatedLinear(op, step_);
      case OpKind::kRmsNorm: return reference::rmsNorm(op, step_);
      case OpKind::kRope: return reference::rope(op, step_);
      case OpKind::kNormRope: return reference::normRope(op, step_);
      case OpKind::kKvWrite: return reference::kvWrite(op, step_, pool_);
      case OpKind::kAttention: return reference::attention(op, step_, pool_);
      case OpKind::kAdd: return reference::add(op, step_);
      case OpKind::kScale: return reference::scale(op, step_);
      case OpKind::kActMul: return reference::actMul(op, step_);
      case OpKind::kSoftcap: return reference::softcap(op, step_);
      case OpKind::kSelectRows: return reference::selectRows(op, step_);
      case OpKind::kMeanRows: return reference::meanRows(op, step_);
    }
  }

  const Plan plan_;
  const BackendOptions options_;
  const std::vector<Weight> weights_;
  const LinearRows linearRows_;
  KvPool pool_;
  Step step_;
};

}  // namespace

std::unique_ptr<Backend> makeReferenceBackend(const Plan& plan, std::vector<Weight> weights, const BackendOptions& options,
                                              const Progress& progress) {
  try {
    return std::make_unique<ReferenceBackend>(plan, std::move(weights), options, progress);
  } catch (const std::bad_alloc&) {
    const long long pages = options.numPages, bytes = options.pageBytes;
    throw Error("out_of_memory",
                format("weights, %lld pages of %lld bytes and buffers of %d tokens do not fit", pages, bytes, options.maxTokens));
  }
}

}  // namespace mistralrs
