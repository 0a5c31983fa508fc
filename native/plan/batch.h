// The checks between a caller's batch and a backend: whatever the values, a batch that passes cannot read or write out of bounds.
#pragma once
#include "plan/backend.h"
#include "plan/plan.h"

namespace mistralrs {

// Checks the pool and the limits of a load against the plan. Throws Error `invalid_argument`.
void validateOptions(const Plan& plan, const BackendOptions& options);

// Checks a batch whose tokens are ids or -(slot + 1) with slot < numSlots; slots are resolved later, by the caller.
// Throws Error `invalid_batch`; the message names the field, the index and the allowed range.
void validateBatch(const Plan& plan, const BackendOptions& options, int numSlots, const Batch& batch);

// Throws Error `invalid_batch` for pages outside the pool and for a page named twice in `to` or in both.
void validateCopyPages(const BackendOptions& options, std::span<const int32_t> from, std::span<const int32_t> to);

// Smallest token id that is too large: an id indexes the rows of every `embed` weight.
int64_t tokenLimit(const Plan& plan);

}  // namespace mistralrs
