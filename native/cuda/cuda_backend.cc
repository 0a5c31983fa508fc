// The CUDA backend: the host walks the plan's ops and launches their kernels on one stream; decode steps become graphs.
#include <algorithm>

#include "cpu/thread_pool.h"
#include "cuda/attention_op.h"
#include "cuda/decode_graphs.h"
#include "cuda/fused_operand.h"
#include "cuda/fused_qkv.h"
#include "cuda/linear_op.h"
#include "cuda/linear_shape.h"
#include "cuda/prepared_weights.h"
#include "cuda/row_ops.h"
#include "cuda/step.h"
#include "cuda/step_inputs.h"
#include "plan/error.h"

namespace mistralrs {
namespace cuda {
namespace {

// Regions of StepInputs before those of attention.
enum Region { kTokens, kPositions, kSequenceOf, kLogitRows, kQueryStart, kKvLength, kNumRegions };

class CudaBackend final : public Backend {
 public:
  CudaBackend(const Plan& plan, std::vector<Weight> weights, const BackendOptions& options, const Progress& progress)
      : plan_(plan), options_(options), pool_(options.threads), weights_(prepareWeights(plan_, weights, device_, pool_, progress)),
        arenas_{DeviceMemory(device_, plan_.arenaWidth[0] * options.maxTokens * 4, "token buffers"),
                DeviceMemory(device_, plan_.arenaWidth[1] * options.maxLogitRows * 4, "logit buffers")},
        hostLogits_(device_, resultWidth() * options.maxLogitRows * 4, "logits", DeviceMemory::kPinned),
        stats_(device_, statsBytes(options.maxLogitRows), "sums of logits"),
        hostStats_(device_, statsBytes(options.maxLogitRows), "sums of logits", DeviceMemory::kPinned),
        kv_(device_, options.numPages * options.pageBytes, "KV cache"),
        step_{plan_, device_, {arenas_[0].floats(), arenas_[1].floats()}, std::vector<float*>(plan_.buffers.size())}, inputs_(device_, kNumRegions + AttentionOps::numRegions(plan_)), rowOps_(plan_, weights_, device_, options.maxTokens),
        attentionOps_(plan_, device_, options, kv_.data(), kNumRegions), graphs_(device_), linearOf_(plan_.ops.size(), -1),
        isa_(format("sm_%d%d", device_.info().major, device_.info().minor)) {
    makeLinearOps();
    makeOperandRuns();
    for (int i = 0; i < static_cast<int>(plan_.ops.size()); ++i) qkvRuns_.push_back(findQkvRun(plan_, i));
    if (options.poison && kv_.bytes()) device_.fill(kv_.data(), 0xff, kv_.bytes());  // NaN as one float or two halves
    device_.synchronize();
  }

  bool forward(const Batch& batch, int lastOp, const std::atomic<bool>& interrupt) override {
    const int end = std::min(lastOp + 1, static_cast<int>(plan_.ops.size()));
    const bool isWhole = end == static_cast<int>(plan_.ops.size());
    if (interrupt.load(std::memory_order_relaxed)) return false;
    prepare(batch);
    bool finished = true;
    if (isWhole && isDecode(batch)) {
      // A recording must be whole: it does not stop for an interrupt, and takes a few milliseconds.
      const std::atomic<bool> never{false};
      graphs_.run({step_.numRows[0], step_.numRows[1], keyBucket(batch)}, [&] { launchOps(end, never); });
      placeLastSum();
    } else {
      finished = launchOps(end, interrupt);
    }
    if (isWhole && finished && step_.numRows[1] > 0) {
      const View result{plan_.logits, 0, resultWidth()};
      device_.copy(hostLogits_.data(), step_.at(result).data, step_.numRows[1] * resultWidth() * 4);
      if (plan_.sampled) device_.copy(hostStats_.data(), stats_.data(), statsBytes(step_.numRows[1]));
    }
    device_.synchronize();
    return finished;
  }

  const float* logits(int row) const override { return hostLogits_.floats() + row * resultWidth(); }

  RowStats stats(int row) const override {
    if (!plan_.sampled) return {};
    const auto blocks = static_cast<size_t>(numRowBlocks());
    const float* first = hostStats_.floats() + row * 2 * numRowBlocks();
    return {{first, blocks}, {first + blocks, blocks}};
  }

  std::vector<float> readBuffer(int buffer) const override {
    const int64_t width = plan_.buffers[buffer].width;
    const View view{buffer, 0, width};
    std::vector<float> values(static_cast<size_t>(step_.rows(view) * width));
    if (!values.empty()) device_.copy(values.data(), step_.at(view).data, static_cast<int64_t>(values.size()) * 4);
    device_.synchronize();
    return values;
  }

  void copyPage(int32_t from, int32_t to) override {
    device_.copy(kv_.data() + to * options_.pageBytes, kv_.data() + from * options_.pageBytes, options_.pageBytes);
  }

  void parallel(int items, const std::function<void(int)>& fn) override { pool_.parallel(items, fn); }
  int64_t weightBytes() const override { return weights_.bytes(); }
  const char* isa() const override { return isa_.c_str(); }

 private:
  const LinearOp& linearAt(int op) const { return linearOps_[linearOf_[op]]; }
  int64_t resultWidth() const { return plan_.buffers[plan_.logits].width; }
  int64_t numRowBlocks() const { return (resultWidth() + kCudaRowBlock - 1) / kCudaRowBlock; }
  int64_t statsBytes(int rows) const { return plan_.sampled ? int64_t{rows} * 2 * numRowBlocks() * 4 : 0; }

  void makeLinearOps() {
    LinearOp::Needs needs;
    const int rows = std::max(options_.maxTokens, options_.maxLogitRows);
    for (size_t i = 0; i < plan_.ops.size(); ++i) {
      const Op& op = plan_.ops[i];
      if (op.kind != OpKind::kLinear && op.kind != OpKind::kGatedLinear) continue;
      linearOf_[i] = static_cast<int>(linearOps_.size());
      linearOps_.emplace_back(plan_, op, weights_, device_);
      linearOps_.back().addNeeds(rows, needs);
    }
    scratch_ = {DeviceMemory(device_, needs.prepared, "operands"), DeviceMemory(device_, int64_t{rows} * 4, "operands"),
                DeviceMemory(device_, needs.normed, "operands"), DeviceMemory(device_, needs.gate, "gates"), DeviceMemory(device_, needs.gate, "gates")};
  }

  void makeOperandRuns() {
    operandRuns_ = findOperandRuns(plan_, [this](int op) { return linearAt(op).prepares(); });
    const int64_t rowBytes = int64_t{options_.maxTokens} * 4;
    for (int i = 0; i < operandRuns_.numRegions; ++i) regions_.emplace_back(device_, operandRuns_.regionWidth * rowBytes, "token buffers");
    for (const std::optional<OperandRun>& run : operandRuns_.at)
      if (run) step_.elsewhere[plan_.ops[run->producer].in.buffer] = regions_[run->region].floats();
    if (operandRuns_.sumBuffer >= 0)
      regions_.emplace_back(device_, plan_.buffers[operandRuns_.sumBuffer].width * rowBytes, "token buffers");
  }

  // The batch to the device.
  void prepare(const Batch& batch) {
    step_.numRows[0] = batch.numTokens();
    step_.numRows[1] = static_cast<int>(batch.logitRows.size());
    if (operandRuns_.sumBuffer >= 0) step_.elsewhere[operandRuns_.sumBuffer] = nullptr;
    inputs_.region(kTokens) = batch.tokens;
    inputs_.region(kPositions) = batch.positions;
    inputs_.region(kLogitRows) = batch.logitRows;
    inputs_.region(kQueryStart) = batch.queryStart;
    inputs_.region(kKvLength) = batch.kvLength;
    std::vector<int32_t>& sequenceOf = inputs_.region(kSequenceOf);
    sequenceOf.resize(batch.tokens.size());
    for (int b = 0; b < batch.numSequences(); ++b)
      std::fill(sequenceOf.begin() + batch.queryStart[b], sequenceOf.begin() + batch.queryStart[b + 1], b);
    const bool grew = attentionOps_.plan(batch, inputs_);
    if (inputs_.upload() || grew) graphs_.clear();
    step_.tokens = inputs_.at(kTokens);
    step_.positions = inputs_.at(kPositions);
    step_.sequenceOf = inputs_.at(kSequenceOf);
    step_.logitRows = inputs_.at(kLogitRows);
    step_.queryStart = inputs_.at(kQueryStart);
    step_.kvLength = inputs_.at(kKvLength);
    if (!options_.poison) return;
    const auto poison = [&](const DeviceMemory& memory) {
      if (memory.bytes()) device_.fill(memory.data(), 0xff, memory.bytes());
    };
    std::for_each(std::begin(arenas_), std::end(arenas_), poison);
    std::for_each(regions_.begin(), regions_.end(), poison);
  }

  // Steps that recur: one token for each sequence. Larger ones hide the time of launches anyway.
  static bool isDecode(const Batch& batch) {
    return batch.numTokens() == batch.numSequences() && batch.numTokens() <= kCudaMaxSmallTokens;
  }

  // False when it was interrupted.
  bool launchOps(int end, const std::atomic<bool>& interrupt) {
    rowOps_.fillRopes(step_);
    for (int i = 0; i < end; ++i) {
      if (interrupt.load(std::memory_order_relaxed)) return false;
      if (const std::optional<QkvRun>& run = qkvRuns_[i]; run && run->write < end) {
        launchQkvRun(*run, step_, inputs_, weights_, rowOps_, attentionOps_);
        i = run->write;
      } else if (const std::optional<OperandRun>& run = operandRuns_.at[i];
                 run && run->linear < end && linearAt(run->linear).takesAlong(step_.numRows[0])) {
        launchOperandRun(*run);
        i = run->linear;
      } else {
        execute(i);
      }
    }
    if (end == static_cast<int>(plan_.ops.size()) && plan_.sampled && step_.numRows[1] > 0) {
      const CudaRows logits = step_.at({plan_.logits, 0, resultWidth()});
      const int width = static_cast<int>(resultWidth());
      device_.check(device_.kernels().rowStats(logits, step_.numRows[1], width, stats_.floats(), device_.stream()), "sums of logits");
    }
    return true;
  }

  void launchOperandRun(const OperandRun& run) {
    const Op& producer = plan_.ops[run.producer];
    const LinearOp& linear = linearAt(run.linear);
    if (producer.kind == OpKind::kActMul) return linear.run(step_, scratch_, operandOf(producer, step_, weights_));
    CudaOperand operand = operandOf(producer, step_, weights_);
    float*& place = step_.elsewhere[operandRuns_.sumBuffer];
    place = place ? nullptr : regions_.back().floats();
    operand.sum = step_.at(producer.out);
    linear.run(step_, scratch_, operand);
  }

  // After a replay, which moves no sums here: where `readBuffer` finds the last one.
  void placeLastSum() {
    if (operandRuns_.sumBuffer < 0) return;
    const auto movesSum = [&](const std::optional<OperandRun>& run) {
      return run && plan_.ops[run->producer].kind != OpKind::kActMul && linearAt(run->linear).takesAlong(step_.numRows[0]);
    };
    const auto moves = std::count_if(operandRuns_.at.begin(), operandRuns_.at.end(), movesSum);
    step_.elsewhere[operandRuns_.sumBuffer] = moves % 2 ? regions_.back().floats() : nullptr;
  }

  void execute(int index) {
    const Op& op = plan_.ops[index];
    switch (op.kind) {
      case OpKind::kLinear:
      case OpKind::kGatedLinear: return linearAt(index).run(step_, scratch_);
      case OpKind::kKvWrite: return attentionOps_.write(op, step_, inputs_);
      case OpKind::kAttention: return attentionOps_.attend(op, index, step_, inputs_);
      default: return rowOps_.run(op, step_);
    }
  }

  const Plan plan_;
  const BackendOptions options_;
  const Device device_;
  ThreadPool pool_;
  const PreparedWeights weights_;
  const DeviceMemory arenas_[2];
  const DeviceMemory hostLogits_;  // [L, vocab], or hidden states
  const DeviceMemory stats_, hostStats_;  // [L][2][blocks]: RowStats of each row
  const DeviceMemory kv_;
  Step step_;
  StepInputs inputs_;
  const RowOps rowOps_;
  AttentionOps attentionOps_;
  DecodeGraphs graphs_;
  std::vector<LinearOp> linearOps_;
  std::vector<int> linearOf_;  // by op
  std::vector<std::optional<QkvRun>> qkvRuns_;  // by first op
  OperandRuns operandRuns_;
  std::vector<DeviceMemory> regions_;  // of operandRuns_, then the second place of sums
  LinearScratch scratch_;
  const std::string isa_;
};

}  // namespace
}  // namespace cuda

std::unique_ptr<Backend> makeCudaBackend(const Plan& plan, std::vector<Weight> weights, const BackendOptions& options,
                                         const Progress& progress) {
  return std::make_unique<cuda::CudaBackend>(plan, std::move(weights), options, progress);
}

}  // namespace mistralrs
