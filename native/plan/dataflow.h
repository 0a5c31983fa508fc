// The part of plan validation that follows data through buffers and the KV cache.
#pragma once
#include "plan/plan.h"

namespace mistralrs {

// Checks aliasing within each op, that every column read holds what an earlier op wrote there (not overwritten since by a buffer
// sharing its place), that attention reads layers written before, and that the logits are complete.
// Throws Error `invalid_plan`.
void validateDataflow(const Plan& plan);

}  // namespace mistralrs
