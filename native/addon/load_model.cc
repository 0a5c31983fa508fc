#include "addon/load_model.h"

#include <chrono>
#include <limits>
#include <utility>

#include "plan/batch.h"
#include "plan/bind_weights.h"
#include "plan/parser.h"

namespace mistralrs {
namespace {

constexpr auto kProgressInterval = std::chrono::milliseconds(100);

// The others look at scales while they pack them; the reference backend uses weights as they lie.
void requireFinite(const Weight& weight, const std::atomic<bool>& interrupt) {
  int64_t row = 0;
  for (const WeightPart& part : weight.parts)
    for (int64_t i = 0; i < part.rows; ++i, ++row) {
      if (interrupt.load(std::memory_order_relaxed)) throw Error("interrupted", "loading was interrupted");
      if (!checkFinite(part.type, part.data + i * rowBytes(part.type, part.cols), part.cols))
        throw Error("invalid_weights", format("%s: row %lld holds a NaN or an infinity", weight.name.c_str(), static_cast<long long>(row)));
    }
}

}  // namespace

std::unique_ptr<ModelRunner> loadModel(const LoadSpec& spec, const LoadProgress& progress, const std::atomic<bool>& interrupt) {
  Plan plan = parsePlan(spec.plan);
  if (plan.vocab > std::numeric_limits<int32_t>::max())
    throw Error("invalid_plan", format("vocab is %lld: token ids are 32 bits", static_cast<long long>(plan.vocab)));
  validateOptions(plan, spec.options);
  std::vector<Weight> weights = bindWeights(plan, spec.weights);
  const int64_t total = storedBytes(weights);
  auto reported = std::chrono::steady_clock::now() - kProgressInterval;
  const Progress report = [&](int64_t done) {
    if (interrupt.load(std::memory_order_relaxed)) throw Error("interrupted", "loading was interrupted");
    const auto now = std::chrono::steady_clock::now();
    if (done < total && now - reported < kProgressInterval) return;
    reported = now;
    progress(done, total);
  };
  const bool isReference = spec.backend == LoadSpec::Backend::kReference;
  if (isReference)
    for (const Weight& weight : weights) requireFinite(weight, interrupt);
  const auto make = isReference ? makeReferenceBackend : spec.backend == LoadSpec::Backend::kCuda ? makeCudaBackend : makeCpuBackend;
  std::unique_ptr<Backend> backend = make(plan, std::move(weights), spec.options, report);
  return std::make_unique<ModelRunner>(std::move(plan), spec.options, spec.maxSlots, std::move(backend));
}

}  // namespace mistralrs
