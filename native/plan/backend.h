// What a backend is to the addon: prepared weights, a KV pool and a way to run a plan over a batch.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "plan/logit_row.h"
#include "plan/plan.h"
#include "plan/weights.h"

namespace mistralrs {

// StepBatch of runtime/native.ts, already validated against the plan and the pool; slot tokens are resolved to ids.
struct Batch {
  struct PageTable {
    std::vector<int32_t> start;  // [B + 1]
    std::vector<int32_t> pages;
  };
  std::vector<int32_t> tokens, positions;     // [T]
  std::vector<int32_t> queryStart, kvLength;  // [B + 1], [B]
  std::vector<PageTable> pageTables;          // by group
  std::vector<int32_t> logitRows;             // [L]
  int numTokens() const { return static_cast<int>(tokens.size()); }
  int numSequences() const { return static_cast<int>(kvLength.size()); }
};

enum class KvType : uint8_t { kF32, kF16 };

struct BackendOptions {
  int threads = 1;
  int maxTokens = 0, maxSequences = 0, maxLogitRows = 0;
  int64_t numPages = 0, pageBytes = 0;
  KvType kvType = KvType::kF32;
  bool poison = false;
  std::string isa;  // empty: the best
};

class Backend {
 public:
  virtual ~Backend() = default;
  // Runs ops 0..lastOp over the batch. Polls `interrupt` between ops; false when it was set.
  virtual bool forward(const Batch& batch, int lastOp, const std::atomic<bool>& interrupt) = 0;
  // Row l of the logits of the last forward, [vocab]; valid until the next one.
  virtual const float* logits(int row) const = 0;
  // What is known of that row beside.
  virtual RowStats stats([[maybe_unused]] int row) const { return {}; }
  // Rows x width of a buffer after the last forward.
  virtual std::vector<float> readBuffer(int buffer) const = 0;
  virtual void copyPage(int32_t from, int32_t to) = 0;
  // Runs fn(thread) on every compute thread (the sampler uses it over rows).
  virtual void parallel(int items, const std::function<void(int item)>& fn) = 0;
  virtual int64_t weightBytes() const = 0;
  virtual const char* isa() const = 0;
};

using Progress = std::function<void(int64_t doneBytes)>;

// All read every weight of the plan from `weights` (same order as plan.weights). Throw Error.
std::unique_ptr<Backend> makeReferenceBackend(const Plan& plan, std::vector<Weight> weights, const BackendOptions&, const Progress&);
std::unique_ptr<Backend> makeCpuBackend(const Plan& plan, std::vector<Weight> weights, const BackendOptions&, const Progress&);
// Throws also where there is no device, or this build has no kernels for one.
std::unique_ptr<Backend> makeCudaBackend(const Plan& plan, std::vector<Weight> weights, const BackendOptions&, const Progress&);

}  // namespace mistralrs
