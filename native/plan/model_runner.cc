#include "plan/model_runner.h"

#include <algorithm>
#include <utility>

#include "plan/batch.h"
#include "plan/sampler.h"

namespace mistralrs {
namespace {

constexpr int32_t kMaxTop = 20;

Sampler& threadSampler() {
  static thread_local Sampler sampler;
  return sampler;
}

Alternatives alternatives(SampleResult& result, int item, int32_t top) {
  const size_t at = static_cast<size_t>(item) * result.maxTop;
  return {std::span(result.topIds).subspan(at, top), std::span(result.topLogprobs).subspan(at, top)};
}

SampleResult emptyResult(size_t items, int32_t maxTop) {
  SampleResult result;
  result.logprobs.resize(items);
  result.topIds.assign(items * maxTop, -1);
  result.topLogprobs.assign(items * maxTop, -1);
  result.maxTop = maxTop;
  return result;
}

void requireLength(const char* field, size_t length, size_t wanted) {
  if (length != wanted) throw Error("invalid_batch", format("%s has %zu entries: must be %zu", field, length, wanted));
}

}  // namespace

ModelRunner::ModelRunner(Plan plan, BackendOptions options, int maxSlots, std::unique_ptr<Backend> backend)
    : plan_(std::move(plan)), options_(std::move(options)), vocab_(static_cast<int>(plan_.vocab)), tokenLimit_(mistralrs::tokenLimit(plan_)),
      backend_(std::move(backend)),
      slots_(maxSlots), logitsError_(Error("invalid_batch", "no forward has run: there are no logits")) {}

void ModelRunner::checkInterrupt(const std::atomic<bool>& interrupt) const {
  if (interrupt.load(std::memory_order_relaxed)) throw Error("interrupted", "the call was interrupted");
}

ModelRunner::OpenSlot& ModelRunner::openSlotAt(int slot, const char* field, size_t index) {
  if (slot < 0 || slot >= static_cast<int>(slots_.size()) || !slots_[slot])
    throw Error("invalid_batch", format("%s[%zu] names slot %d, which is not open", field, index, slot));
  return *slots_[slot];
}

void ModelRunner::forward(Batch batch, int lastOp, const std::atomic<bool>& interrupt) {
  // Until the end is reached there are no logits, whatever happens.
  logitsError_ = Error("internal", "forward failed");
  try {
    checkInterrupt(interrupt);
    validateBatch(plan_, options_, static_cast<int>(slots_.size()), batch);
    resolveSlotTokens(batch);
    numLogitRows_ = static_cast<int>(batch.logitRows.size());
    ranAnOp_ = true;
    if (!backend_->forward(batch, lastOp, interrupt)) throw Error("interrupted", "forward was interrupted between two ops");
  } catch (const Error& error) {
    logitsError_ = error;
    throw;
  }
  logitsError_.reset();
  if (lastOp + 1 < static_cast<int>(plan_.ops.size()))
    logitsError_ = Error("invalid_batch", format("the last forward stopped after op %d: there are no logits", lastOp));
}

void ModelRunner::resolveSlotTokens(Batch& batch) {
  for (size_t i = 0; i < batch.tokens.size(); ++i) {
    int32_t& token = batch.tokens[i];
    if (token >= 0) continue;
    const int slot = -(token + 1);
    const OpenSlot& open = openSlotAt(slot, "tokens", i);
    if (open.sampleError)
      throw Error(open.sampleError->code, format("tokens[%zu] names slot %d, whose newest sample failed: %s", i, slot,
                                                 open.sampleError->message.c_str()));
    // Whoever queued this forward before it could see the -1 gets a run of a harmless token.
    token = open.drewNothing ? 0 : open.slot.lastToken();
    if (token < 0) throw Error("invalid_batch", format("tokens[%zu] names slot %d, which has not sampled yet", i, slot));
    if (token >= tokenLimit_)
      throw Error("invalid_batch", format("tokens[%zu] names slot %d, which drew %d: embeddings end before it", i, slot, token));
  }
}

void ModelRunner::checkRows(std::span<const int32_t> rows) const {
  if (logitsError_) throw *logitsError_;
  for (size_t i = 0; i < rows.size(); ++i)
    if (rows[i] < 0 || rows[i] >= numLogitRows_)
      throw Error("invalid_batch", format("rows[%zu] is %d: the last forward has %d logit rows", i, rows[i], numLogitRows_));
}

void ModelRunner::requireSampled() const {
  if (!plan_.sampled) throw Error("invalid_batch", "the plan gives hidden states: there is nothing to draw from");
}

void ModelRunner::checkSample(const SampleBatch& batch) {
  requireSampled();
  const size_t items = batch.slots.size();
  requireLength("rows", batch.rows.size(), items);
  requireLength("positions", batch.positions.size(), items);
  if (batch.masks) {
    requireLength("masks.masked", batch.masks->masked.size(), items);
    requireLength("masks.words", batch.masks->words.size(), items * ((vocab_ + 31) / 32));
  }
  if (batch.following) checkFollowing(*batch.following, items);
  checkRows(batch.rows);
  std::vector<bool> named(slots_.size());
  for (size_t i = 0; i < items; ++i) {
    openSlotAt(batch.slots[i], "slots", i);
    if (named[batch.slots[i]]) throw Error("invalid_batch", format("slots[%zu] names slot %d again", i, batch.slots[i]));
    named[batch.slots[i]] = true;
    if (batch.positions[i] < 0)
      throw Error("invalid_batch", format("positions[%zu] is %d: must be 0 or more", i, batch.positions[i]));
  }
}

void ModelRunner::checkFollowing(const SampleBatch::Following& following, size_t items) const {
  const auto& [start, tokens] = following;
  requireLength("following.start", start.size(), items + 1);
  if (start.front() != 0 || !std::is_sorted(start.begin(), start.end()))
    throw Error("invalid_batch", "following.start must begin with 0 and not fall");
  requireLength("following.tokens", tokens.size(), static_cast<size_t>(start.back()));
  for (size_t i = 0; i < tokens.size(); ++i)
    if (tokens[i] < 0 || tokens[i] >= vocab_)
      throw Error("invalid_batch", format("following.tokens[%zu] is %d: must be in 0..%d", i, tokens[i], vocab_ - 1));
}

SampleResult ModelRunner::sample(const SampleBatch& batch, const std::atomic<bool>& interrupt) try {
  checkInterrupt(interrupt);
  checkSample(batch);
  const int items = static_cast<int>(batch.slots.size());
  const size_t maskWords = (vocab_ + 31) / 32;
  int32_t maxTop = 0;
  for (int32_t slot : batch.slots) maxTop = std::max(maxTop, slots_[slot]->slot.options().topLogprobs);
  SampleResult result = emptyResult(items, maxTop);
  result.tokens.resize(items);
  backend_->parallel(items, [&](int i) {
    const Slot& slot = slots_[batch.slots[i]]->slot;
    const uint32_t* mask = batch.masks && batch.masks->masked[i] ? &batch.masks->words[i * maskWords] : nullptr;
    result.tokens[i] = threadSampler().draw(backend_->logits(batch.rows[i]), vocab_, slot, mask, batch.positions[i],
                                            result.logprobs[i], alternatives(result, i, slot.options().topLogprobs),
                                            backend_->stats(batch.rows[i]));
  });
  checkInterrupt(interrupt);  // the last moment: from here on slots change
  for (int i = 0; i < items; ++i) {
    OpenSlot& open = *slots_[batch.slots[i]];
    open.sampleError.reset();
    open.drewNothing = result.tokens[i] < 0;
    if (open.drewNothing) continue;
    open.slot.record(result.tokens[i]);
    if (!batch.following) continue;
    const auto& [start, tokens] = *batch.following;
    for (int32_t k = start[i]; k < start[i + 1]; ++k) open.slot.record(tokens[k]);
  }
  return result;
} catch (const Error& error) {
  sampleRefused(batch.slots, error);
  throw;
} catch (const std::exception& error) {
  sampleRefused(batch.slots, Error("internal", error.what()));
  throw;
}

void ModelRunner::sampleRefused(std::span<const int32_t> slots, const Error& error) {
  for (int32_t slot : slots)
    if (slot >= 0 && slot < static_cast<int>(slots_.size()) && slots_[slot]) slots_[slot]->sampleError = error;
}

SampleResult ModelRunner::score(const ScoreBatch& batch, const std::atomic<bool>& interrupt) {
  checkInterrupt(interrupt);
  requireSampled();
  requireLength("tokens", batch.tokens.size(), batch.rows.size());
  checkRows(batch.rows);
  for (size_t i = 0; i < batch.tokens.size(); ++i)
    if (batch.tokens[i] < 0 || batch.tokens[i] >= vocab_)
      throw Error("invalid_batch", format("tokens[%zu] is %d: must be in 0..%d", i, batch.tokens[i], vocab_ - 1));
  if (batch.top < 0 || batch.top > kMaxTop) throw Error("invalid_batch", format("top is %d: must be in 0..%d", batch.top, kMaxTop));
  const int items = static_cast<int>(batch.rows.size());
  SampleResult result = emptyResult(items, batch.top);
  backend_->parallel(items, [&](int i) {
    result.logprobs[i] = threadSampler().score(backend_->logits(batch.rows[i]), vocab_, batch.tokens[i],
                                               alternatives(result, i, batch.top), backend_->stats(batch.rows[i]));
  });
  return result;
}

std::vector<float> ModelRunner::readLogits(int row, const std::atomic<bool>& interrupt) {
  checkInterrupt(interrupt);
  checkRows({&row, 1});
  const float* logits = backend_->logits(row);
  return {logits, logits + plan_.buffers[static_cast<size_t>(plan_.logits)].width};
}

std::vector<float> ModelRunner::readBuffer(const std::string& name, const std::atomic<bool>& interrupt) {
  checkInterrupt(interrupt);
  if (!ranAnOp_) throw Error("invalid_batch", "no forward has run: buffers are empty");
  for (size_t i = 0; i < plan_.buffers.size(); ++i)
    if (plan_.buffers[i].name == name) return backend_->readBuffer(static_cast<int>(i));
  throw Error("invalid_argument", format("the plan has no buffer %s", name.c_str()));
}

void ModelRunner::copyPages(std::span<const int32_t> from, std::span<const int32_t> to, const std::atomic<bool>& interrupt) {
  checkInterrupt(interrupt);
  validateCopyPages(options_, from, to);
  for (size_t i = 0; i < from.size(); ++i) backend_->copyPage(from[i], to[i]);
}

void ModelRunner::openSlot(int slot, SlotOptions options) { slots_[slot].emplace(OpenSlot{Slot(std::move(options)), std::nullopt, false}); }

void ModelRunner::closeSlot(int slot) { slots_[slot].reset(); }

}  // namespace mistralrs
