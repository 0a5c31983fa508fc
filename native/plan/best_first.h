// Cuts candidates to the best ones by count and by mass.
#pragma once
#include <cstddef>
#include <vector>

#include "plan/logit_row.h"

namespace mistralrs {

// Largest logit first, ties by lower id.
bool isBetter(const Candidate& a, const Candidate& b);

// Keeps the shortest best-first prefix that has `maxCount` (>= 1) candidates or whose masses sum to `mass`; all of them if no
// prefix does. Candidates come by id; what is kept is best first or by id. Returns the mass kept.
double keepBestFirst(std::vector<Candidate>& candidates, size_t maxCount, double mass);

}  // namespace mistralrs
