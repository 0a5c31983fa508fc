// Opens the kernel variant of an ISA: mistralrs_cpu_<isa>.so, beside the module this code is linked into.
#pragma once
#include <string>
#include <vector>

#include "cpu/kernels.h"

namespace mistralrs {

// Variants this machine can run, best first; always ends with "generic". By cpuid and the register state the OS saves.
std::vector<std::string> availableIsas();

// The kernels of a variant, opened once per process; empty: the best.
// Throws Error `invalid_argument` (this machine lacks the ISA) or `io` (the shared object cannot be opened).
const KernelTable& openKernels(const std::string& isa = {});

}  // namespace mistralrs
