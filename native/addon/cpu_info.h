#pragma once
#include <string>

namespace mistralrs {

// What the processor calls itself, without padding; "unknown" where it cannot be asked.
std::string cpuBrand();

}  // namespace mistralrs
