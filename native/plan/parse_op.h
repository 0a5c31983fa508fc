// Reads the arguments of one op of a plan.
#pragma once
#include <string_view>

#include "plan/plan.h"
#include "plan/plan_fields.h"

namespace mistralrs {

// Ids are checked against what `plan` declares so far, shapes are not. Throws Error `invalid_plan`.
Op parseOp(const Plan& plan, std::string_view name, Fields& fields);

const char* opName(OpKind kind);

}  // namespace mistralrs
