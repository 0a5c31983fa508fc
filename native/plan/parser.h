// Reads the text form of a plan (docs/plan.md).
#pragma once
#include <string_view>

#include "plan/plan.h"

namespace mistralrs {

// Parses and validates: what comes back can be run as it is.
// Throws Error `invalid_plan`; the message begins with the line number.
Plan parsePlan(std::string_view text);

}  // namespace mistralrs
