// A loaded model without JavaScript: a backend, and above it what the CPU decides: slots, their tokens, sampling and which calls
// a failed one takes along. The rules are those of NativeModel in runtime/native.ts.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "plan/backend.h"
#include "plan/error.h"
#include "plan/plan.h"
#include "plan/slot.h"

namespace mistralrs {

// SampleBatch of runtime/native.ts.
struct SampleBatch {
  struct Masks {
    std::vector<uint32_t> words;  // [S * ceil(vocab / 32)]
    std::vector<uint8_t> masked;  // [S]
  };
  struct Following {
    std::vector<int32_t> start;  // [S + 1]
    std::vector<int32_t> tokens;
  };
  std::vector<int32_t> rows, slots, positions;  // [S]
  std::optional<Masks> masks;
  std::optional<Following> following;
};

// ScoreBatch of runtime/native.ts.
struct ScoreBatch {
  std::vector<int32_t> rows, tokens;  // [S]
  int32_t top = 0;
};

// SampleResult and ScoreResult of runtime/native.ts; a score has no tokens.
struct SampleResult {
  std::vector<int32_t> tokens;    // [S]
  std::vector<float> logprobs;    // [S]
  std::vector<int32_t> topIds;    // [S * maxTop]
  std::vector<float> topLogprobs;
  int32_t maxTop = 0;
};

// One thread at a time. Calls throw Error; a set `interrupt` makes them throw `interrupted`.
class ModelRunner {
 public:
  ModelRunner(Plan plan, BackendOptions options, int maxSlots, std::unique_ptr<Backend> backend);

  const Plan& plan() const { return plan_; }
  const Backend& backend() const { return *backend_; }

  // The batch's tokens are ids or -(slot + 1).
  void forward(Batch batch, int lastOp, const std::atomic<bool>& interrupt);
  SampleResult sample(const SampleBatch& batch, const std::atomic<bool>& interrupt);
  SampleResult score(const ScoreBatch& batch, const std::atomic<bool>& interrupt);
  std::vector<float> readLogits(int row, const std::atomic<bool>& interrupt);
  std::vector<float> readBuffer(const std::string& name, const std::atomic<bool>& interrupt);
  void copyPages(std::span<const int32_t> from, std::span<const int32_t> to, const std::atomic<bool>& interrupt);
  // These two always take place: who called them has been told so.
  void openSlot(int slot, SlotOptions options);  // valid ones
  void closeSlot(int slot);

  // For calls refused before they came here: as if they had been made and had thrown.
  void forwardRefused(const Error& error) { logitsError_ = error; }
  void sampleRefused(std::span<const int32_t> slots, const Error& error);

 private:
  struct OpenSlot {
    Slot slot;
    std::optional<Error> sampleError;  // of the newest sample that named the slot
    bool drewNothing = false;          // the newest sample returned -1
  };

  void checkInterrupt(const std::atomic<bool>& interrupt) const;
  // Throws what took the logits away, or `invalid_batch`.
  void checkRows(std::span<const int32_t> rows) const;
  void requireSampled() const;
  OpenSlot& openSlotAt(int slot, const char* field, size_t index);
  void resolveSlotTokens(Batch& batch);
  void checkSample(const SampleBatch& batch);
  void checkFollowing(const SampleBatch::Following& following, size_t items) const;

  const Plan plan_;
  const BackendOptions options_;
  const int vocab_;
  const int64_t tokenLimit_;
  std::unique_ptr<Backend> backend_;
  std::vector<std::optional<OpenSlot>> slots_;  // [maxSlots]
  int numLogitRows_ = 0;
  bool ranAnOp_ = false;
  std::optional<Error> logitsError_;  // why there are no logits
};

}  // namespace mistralrs
