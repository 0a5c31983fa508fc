#include "plan/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "plan/best_first.h"
#include "plan/random.h"

namespace mistralrs {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::max();
constexpr double kGreedyBelow = 1e-7;
constexpr float kMinScale = 1e-30f;  // 0 times -infinity would be NaN

// Tokens tried first for top-p: nearly always enough, and few next to the number of blocks, so that gathering them is cheap.
int nucleusGuess(int vocab) { return std::clamp(vocab / (4 * LogitRow::kBlock), 1, 256); }

// out = logits where the bit is set, else -infinity.
void copyAllowed(const float* logits, int vocab, const uint32_t* mask, float* out) {
  for (int base = 0; base < vocab; base += 32) {
    const int count = std::min(32, vocab - base);
    const uint32_t word = mask[base / 32];
    if (word == ~0u) std::copy_n(logits + base, count, out + base);
    else std::fill_n(out + base, count, -INFINITY);
    if (word == ~0u || word == 0) continue;
    for (int i = 0; i < count; ++i)
      if (word >> i & 1) out[base + i] = logits[base + i];
  }
}

// The logit at which exp((logit - max) * scale) is `mass`, and a little lower.
float logitOfMass(const LogitRow& row, double mass, float scale) {
  const double logit = row.max() + std::log(mass * 0.99) / scale;
  return std::nextafter(static_cast<float>(std::max(logit, double{kLowest})), -INFINITY);
}

}  // namespace

int32_t Sampler::draw(const float* logits, int vocab, const Slot& slot, const uint32_t* mask, int32_t position, float& logprob,
                      Alternatives best, const RowStats& known) {
  logprob = NAN;
  if (!readRaw(logits, vocab, best, known)) return -1;
  LogitRow& row = adjusted(logits, vocab, slot, mask);
  if (row.max() == -INFINITY) return -1;
  const SlotOptions& options = slot.options();
  const double fraction = uniform(options.seed, static_cast<uint32_t>(options.choice), static_cast<uint32_t>(position));
  const int32_t token = options.temperature < kGreedyBelow ? row.argmax() : pick(row, options, fraction);
  logprob = this->logprob(logits[token]);
  return token;
}

float Sampler::score(const float* logits, int vocab, int32_t token, Alternatives best, const RowStats& known) {
  return readRaw(logits, vocab, best, known) ? logprob(logits[token]) : NAN;
}

bool Sampler::readRaw(const float* logits, int vocab, Alternatives best, const RowStats& known) {
  raw_.assign(logits, vocab, known);
  const double sum = raw_.sumExp(1);
  const bool readable = !std::isnan(sum);
  logSum_ = std::log(sum);
  if (readable && !best.ids.empty()) {
    reportBest(best);
  } else {
    std::fill(best.ids.begin(), best.ids.end(), -1);
    std::fill(best.logprobs.begin(), best.logprobs.end(), -1.0f);
  }
  return readable;
}

float Sampler::logprob(float logit) const { return static_cast<float>(double{logit} - raw_.max() - logSum_); }

void Sampler::reportBest(Alternatives best) {
  raw_.gather(raw_.reachedByBest(static_cast<int>(best.ids.size())), kept_);
  const size_t count = std::min(kept_.size(), best.ids.size());
  std::partial_sort(kept_.begin(), kept_.begin() + count, kept_.end(), isBetter);
  for (size_t i = 0; i < best.ids.size(); ++i) {
    best.ids[i] = i < count ? kept_[i].id : -1;
    best.logprobs[i] = i < count ? logprob(kept_[i].logit) : -1;
  }
}

LogitRow& Sampler::adjusted(const float* logits, int vocab, const Slot& slot, const uint32_t* mask) {
  if (!mask && !slot.adjusts()) return raw_;
  logits_.resize(vocab);
  if (mask) copyAllowed(logits, vocab, mask, logits_.data());
  else std::copy_n(logits, vocab, logits_.data());
  slot.adjust(logits_.data());
  changed_.assign(logits_.data(), vocab);
  return changed_;
}

int32_t Sampler::pick(LogitRow& row, const SlotOptions& options, double fraction) {
  const float scale = std::max(static_cast<float>(1 / options.temperature), kMinScale);
  const bool byCount = options.topK > 0 && options.topK < row.vocab(), byMass = options.topP < 1, byBest = options.minP > 0;
  if (!byCount && !byMass && !byBest) {
    row.sumExp(scale);
    return row.at(fraction, scale);
  }
  // Every filter keeps a prefix of the tokens best first, so they commute; each gives a logit below which nothing is kept.
  const double total = byMass ? row.sumExp(scale) : 0;
  const double mass = byMass ? options.topP * total : std::numeric_limits<double>::infinity();
  const float floor = byBest ? logitOfMass(row, options.minP, scale) : kLowest;
  const float reached = byCount ? row.reachedByBest(options.topK) : byMass ? row.reachedByBest(nucleusGuess(row.vocab())) : kLowest;
  keepBest(row, std::max(floor, reached), options, scale, mass);
  if (!byCount && keptMass_ < mass && reached > floor) {
    // All tokens of less than (1 - topP) / V hold together too little to be needed; half of it, for the rounding of sums.
    const double negligible = (1 - options.topP) * total / row.vocab() / 2;
    keepBest(row, std::max(floor, logitOfMass(row, negligible, scale)), options, scale, mass);
  }
  const double target = fraction * keptMass_;
  double sum = 0;
  int32_t last = kept_.front().id;
  for (const Candidate& candidate : kept_) {
    if (candidate.mass <= 0) continue;
    last = candidate.id;
    sum += candidate.mass;
    if (sum > target) break;
  }
  return last;
}

void Sampler::keepBest(const LogitRow& row, float threshold, const SlotOptions& options, float scale, double mass) {
  row.gather(threshold, kept_);
  row.weigh(kept_, scale);
  if (options.minP > 0) std::erase_if(kept_, [&](const Candidate& candidate) { return candidate.mass < options.minP; });
  const size_t maxCount = options.topK > 0 ? static_cast<size_t>(options.topK) : kept_.size();
  keptMass_ = keepBestFirst(kept_, maxCount, mass);
}

}  // namespace mistralrs
