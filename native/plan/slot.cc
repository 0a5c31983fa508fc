#include "plan/slot.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "plan/error.h"

namespace mistralrs {
namespace {

constexpr uint64_t kSeedLimit = uint64_t{1} << 53;  // what a JavaScript number can hold

void require(bool valid, const char* option, double value, const char* range) {
  if (!valid) throw Error("invalid_argument", format("%s is %.9g: must be %s", option, value, range));
}

void requireTokens(const std::vector<int32_t>& ids, const char* option, int64_t vocab) {
  for (size_t i = 0; i < ids.size(); ++i)
    if (ids[i] < 0 || ids[i] >= vocab)
      throw Error("invalid_argument",
                  format("%s[%zu] is %d: must be in 0..%lld", option, i, ids[i], static_cast<long long>(vocab - 1)));
}

}  // namespace

void validateSlotOptions(const SlotOptions& o, int64_t vocab) {
  require(std::isfinite(o.temperature), "temperature", o.temperature, "finite");
  require(o.topP >= 0 && o.topP <= 1, "topP", o.topP, "in 0..1");
  require(o.minP >= 0 && o.minP <= 1, "minP", o.minP, "in 0..1");
  require(std::isfinite(o.frequencyPenalty), "frequencyPenalty", o.frequencyPenalty, "finite");
  require(std::isfinite(o.presencePenalty), "presencePenalty", o.presencePenalty, "finite");
  require(std::isfinite(o.repetitionPenalty) && o.repetitionPenalty > 0, "repetitionPenalty", o.repetitionPenalty,
          "finite and above 0");
  require(o.seed < kSeedLimit, "seed", static_cast<double>(o.seed), "in 0..2^53-1");
  require(o.choice >= 0, "choice", o.choice, "0 or more");
  require(o.topLogprobs >= 0 && o.topLogprobs <= 20, "topLogprobs", o.topLogprobs, "in 0..20");
  requireTokens(o.history, "history", vocab);
  requireTokens(o.biasIds, "biasIds", vocab);
  requireTokens(o.dry.breakers, "dry.breakers", vocab);
  require(std::isfinite(o.dry.multiplier) && o.dry.multiplier >= 0, "dry.multiplier", o.dry.multiplier, "0 or more");
  require(std::isfinite(o.dry.base) && o.dry.base >= 1, "dry.base", o.dry.base, "1 or more");
  require(o.dry.allowedLength >= 0, "dry.allowedLength", o.dry.allowedLength, "0 or more");
  if (o.biasIds.size() != o.biasValues.size())
    throw Error("invalid_argument", format("biasIds has %zu entries and biasValues %zu: must be equal", o.biasIds.size(),
                                           o.biasValues.size()));
  for (float value : o.biasValues) require(value < INFINITY, "biasValues", value, "a number below Infinity");
}

Slot::Slot(SlotOptions options) : options_(std::move(options)), dry_(options_.dry, options_.history) {
  if (options_.repetitionPenalty != 1)
    for (int32_t token : options_.history) seen(token);
  options_.history = {};
}

bool Slot::penalizesSamples() const {
  return options_.repetitionPenalty != 1 || options_.frequencyPenalty != 0 || options_.presencePenalty != 0;
}

Slot::Seen& Slot::seen(int32_t token) {
  const auto [entry, isNew] = indexOf_.try_emplace(token, static_cast<int32_t>(seen_.size()));
  if (isNew) seen_.push_back({token, 0});
  return seen_[entry->second];
}

void Slot::record(int32_t token) {
  lastToken_ = token;
  dry_.record(token);
  if (penalizesSamples()) ++seen(token).sampled;
}

void Slot::adjust(float* logits) const {
  dry_.adjust(logits);
  // Penalties near 0 can overflow: an infinite logit would make the whole row NaN.
  const auto clamp = [](double logit) {
    return static_cast<float>(std::min(logit, double{std::numeric_limits<float>::max()}));
  };
  for (const Seen& seen : seen_) {
    double logit = logits[seen.id];
    logit = logit > 0 ? logit / options_.repetitionPenalty : logit * options_.repetitionPenalty;
    if (seen.sampled) logit -= options_.frequencyPenalty * seen.sampled + options_.presencePenalty;
    logits[seen.id] = clamp(logit);
  }
  for (size_t i = 0; i < options_.biasIds.size(); ++i) {
    float& logit = logits[options_.biasIds[i]];
    logit = clamp(double{logit} + options_.biasValues[i]);
  }
}

}  // namespace mistralrs
