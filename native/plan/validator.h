// Everything a backend takes for granted about a plan: shapes, ranges, buffer bounds and lifetimes.
#pragma once
#include "plan/plan.h"

namespace mistralrs {

// Checks every op's shape rule and in-place rule, that no op reads columns never written or overwritten by a buffer that shares their
// place, and that groups, layers, ropes and weights exist. parsePlan calls it.
// Throws Error `invalid_plan`; the message carries line, op and shapes.
void validatePlan(const Plan& plan);

}  // namespace mistralrs
